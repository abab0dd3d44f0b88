"""The text and the JSON of a recorded run that is held against a file."""

from __future__ import annotations

from dataclasses import replace

from grubridge.checker.ensemble import Followed
from grubridge.checker.findings import RECORDED, Comparison, Side
from grubridge.checker.judge import Element
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.report import render, to_json
from grubridge.spec import Direction

from .a_check import a_report


def _recorded(*, times: float, judged: int) -> CheckReport:
    """A recording of outputs alone, in two directions, held against one file."""
    sides = Side("io.npz", RECORDED), Side("a.keras", None)
    followed = Followed(16, 24, judged, 1.2e-5)
    verdict = Verdict.INCONCLUSIVE if not judged else Verdict.EQUIVALENT if times <= 1 else Verdict.DIFFERENT
    found = times * 1e-6 if judged else None
    directions: tuple[Direction, ...] = ("forward", "backward")
    ones = tuple(
        Comparison(
            "read",
            *sides,
            1,
            name,
            "hidden",
            verdict,
            found,
            found and times,
            None,
            Element(1, 23, 3) if judged else None,
            23 if times > 1 else None,
            followed=followed,
        )
        for name in directions
    )
    a = a_report()
    run = replace(
        a.runs[1], artifact="io.npz", backend=RECORDED, version="a recorded run", device="", gates=None
    )
    return replace(
        a,
        verdict=verdict,
        by_the_bound=verdict,
        artifacts=a.artifacts[:1],
        runs=(replace(run, kernel="the last state only"),),
        proofs=(),
        comparisons=ones,
        sensitivity=(),
        drift=(),
        probe=None,
    )


def test_text_of_a_recorded_run() -> None:
    assert render(_recorded(times=0.25, judged=18)) == (
        """\
A  a.keras (float32), not run
B  io.npz (float32), a recorded run
   the last state only

read: the recorded run B against the equations of A
  hidden state  max |error| 2.5e-07, 0.25 of the bound
  judged from end to end by an ensemble of 16 perturbed
    runs: 36 of 48 numbers, none accepted that is more than
    1.2e-05 off

Where a run is judged from end to end, the bound is what
rounding can do in all its steps together, as the spread of
perturbed runs shows it; one honest check in a billion
exceeds it.

EQUIVALENT: hidden states agree, within 0.25 of the bound
"""
    )


def test_text_of_a_recorded_run_that_is_another() -> None:
    text = render(_recorded(times=40, judged=24))

    assert "  DIFFERENT from step 23 on: layer 1 forward, hidden state;" in text
    assert text.endswith(
        "DIFFERENT: the recorded run B is no run of the equations of A; up to 40 times the bound\n"
    )


def test_text_of_a_recorded_run_that_nothing_can_be_said_of() -> None:
    text = render(_recorded(times=1, judged=0))

    assert "  hidden state  not judged\n" in text
    assert "  an ensemble of 16 perturbed runs could judge none of the\n    48 numbers\n" in text
    assert text.endswith("INCONCLUSIVE: not everything could be run and judged\n")


def test_json_of_a_recorded_run() -> None:
    document = to_json(_recorded(times=0.25, judged=18))

    assert document["comparisons"][0]["left"] == "recorded run io.npz"
    assert document["comparisons"][0]["ensemble"] == {
        "members": 16,
        "outputs": 24,
        "judged": 18,
        "accepted": 1.2e-5,
    }
