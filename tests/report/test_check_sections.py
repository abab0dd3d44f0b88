"""What a check says of the files, of single weights and of a tolerance."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from grubridge.checker.algebra import Proof, TensorDifference
from grubridge.checker.findings import FileProof, Sensing, Tolerance, Tolerated
from grubridge.checker.verdict import Verdict
from grubridge.report import render, to_json

from .a_check import ONE, OTHER, SENSED, a_report, comparisons

_DIFFERENT: dict[str, Any] = {"verdict": Verdict.DIFFERENT, "by_the_bound": Verdict.DIFFERENT}


def test_files_that_differ_are_told_tensor_by_tensor() -> None:
    number = TensorDifference(0, "forward", "recurrent_weight.candidate", 2.4e-5, 3, 17, 1, 256, "1 and 2")
    setting = TensorDifference(0, "forward", "clip", None, None, None, 1, 1, "no clip in a, clip 3 in b")
    proof = Proof(False, False, (), (setting, number), ())  # noqa: FBT003
    lines = render(replace(a_report(), proofs=(FileProof("a.keras", "b.pt", proof),))).splitlines()
    files = lines.index("files: A and B do not hold the same numbers")

    assert lines[files + 1 : files + 4] == [
        "  layer 0 forward clip: no clip in a, clip 3 in b",
        "  layer 0 forward recurrent_weight.candidate: 1 of 256",
        "    numbers, by up to 2.4e-05",
    ]
    assert lines[-1] == "EQUIVALENT: hidden states and gates agree, within 0.75 of the bound"


def test_a_model_of_which_no_weight_shows_says_so() -> None:
    total = replace(SENSED.total, median=math.inf, most=math.inf)
    blind = Sensing("end-to-end", ONE, OTHER, Verdict.EQUIVALENT, 0.4, replace(SENSED, total=total))
    lines = render(replace(a_report(), sensitivity=(blind,))).splitlines()
    place = lines.index("sensitivity: in 2048 further single steps, no change of half")

    assert lines[place + 1] == "  of the 1,248 weights shows"


def test_a_weight_that_only_the_designed_steps_show_is_a_difference() -> None:
    seen = Sensing("end-to-end", ONE, OTHER, Verdict.DIFFERENT, 0.9, SENSED)
    report = replace(
        a_report(), by_the_bound=Verdict.DIFFERENT, verdict=Verdict.DIFFERENT, sensitivity=(seen,)
    )

    assert render(report).splitlines()[-1] == (
        "DIFFERENT: B is not the function of A; by a single weight, which only the designed steps show"
    )


def test_a_difference_that_is_not_proved_says_its_chance() -> None:
    found = tuple(replace(one, certainty=0.8) for one in comparisons("end-to-end", ONE, OTHER, 1.5))
    different = replace(
        a_report(), by_the_bound=Verdict.DIFFERENT, verdict=Verdict.DIFFERENT, comparisons=found
    )

    assert render(different).splitlines()[-1] == (
        "DIFFERENT: B is not the function of A; up to 1.5 times the bound "
        "(honest rounding comes that far once in a billion checks)"
    )


def test_a_tolerance_of_the_users_own_decides_and_the_bound_is_said_beside_it() -> None:
    own = Tolerated(ONE, OTHER, 0.25, Verdict.EQUIVALENT)
    report = replace(
        a_report(),
        by_the_bound=Verdict.DIFFERENT,
        comparisons=comparisons("end-to-end", ONE, OTHER, 50.0),
        tolerance=Tolerance(1e-3, 0.0),
        tolerated=(own,),
    )

    assert render(report).splitlines()[-2:] == [
        "the rounding bound says DIFFERENT: B is not the function of A; up to 50 times the bound",
        "EQUIVALENT: within your own tolerance (atol 0.001, rtol 0), 0.25 of it",
    ]
    assert to_json(report)["tolerance"] == {
        "atol": 1e-3,
        "rtol": 0.0,
        "by_the_bound": "DIFFERENT",
        "pairs": [
            {"left": "a.keras on keras", "right": "b.pt on pytorch", "largest": 0.25, "verdict": "EQUIVALENT"}
        ],
    }
