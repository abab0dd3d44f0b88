"""The JSON of a suite: it agrees with the published schema, and changes only where a result does."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grubridge.checker.algebra import Proof, TensorDifference
from grubridge.checker.algebra.permutation import UnitPermutation
from grubridge.checker.ensemble import Followed
from grubridge.checker.findings import FileProof, Tolerance, Tolerated
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.diagnosis.weight_change import WeightChange
from grubridge.reference.tapped import Recomposition
from grubridge.report import Form, render, suite, to_json
from grubridge.suite.result import PairResult, SuiteReport
from tests.cli.command import grubridge
from tests.report.a_check import ONE, OTHER, SENSED, a_report

from .a_suite import HOSTILE, a_difference, a_suite, every_status, hostile_suite

SCHEMA = Path(suite.__file__).with_name("schema.json")


def _read_back(report: SuiteReport) -> Any:
    return json.loads(json.dumps(to_json(report), allow_nan=False))


@pytest.fixture(name="mistakes")
def _mistakes() -> Callable[[object], list[str]]:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def mistakes(document: object) -> list[str]:
        """What is wrong with it as a suite, where it is neither a suite nor an error."""
        both = [one for error in validator.iter_errors(document) for one in error.context]
        found = [one for one in both if one.schema_path[0] == 0]
        return [f"{one.json_path}: {one.message}" for one in found]

    return mistakes


def _check_of_everything() -> CheckReport:
    """A check with a value in every place that may have one."""
    report = a_difference()
    change = WeightChange(0, "forward", "reset", "input_weight", 3, None, 1e-3, 5.0, explains=True)
    difference = TensorDifference(0, "backward", "bias.update (sum)", None, 2, None, 3, 8, "1 and 2")
    permutation = UnitPermutation(0, "forward", (2, 0, 1))
    judged = replace(
        report.comparisons[0],
        headroom=math.inf,
        max_abs=math.nan,
        recomposition=Recomposition(1e-8, 0.1),
        followed=Followed(16, 100, 40, math.inf),
    )
    return replace(
        report,
        proofs=(
            FileProof("a.keras", "b.pt", Proof(False, False, (), (difference,), ())),  # noqa: FBT003
            FileProof("a.keras", "b.pt", Proof(False, True, (), (difference,), (permutation,))),  # noqa: FBT003
        ),
        comparisons=(judged, *report.comparisons[1:]),
        sensitivity=(replace(report.sensitivity[0], sensed=replace(SENSED, changes=(change,))),),
        lyapunov_exponent=-math.inf,
        tolerance=Tolerance(1e-5, 0.0),
        tolerated=(Tolerated(ONE, OTHER, math.inf, Verdict.DIFFERENT),),
        left_out={"keras": "not installed"},
    )


def test_a_suite_is_valid(mistakes: Callable[[object], list[str]]) -> None:
    bare = replace(
        a_report(), runs=(), comparisons=(), sensitivity=(), drift=(), probe=None, lyapunov_exponent=None
    )
    whole = PairResult("whole", ("a", "b"), "different", _check_of_everything(), headroom=math.inf)
    report = a_suite(*every_status(), whole, PairResult("bare", ("a",), "equivalent", bare), warnings=("w",))

    assert mistakes(_read_back(report)) == []
    assert mistakes(_read_back(hostile_suite())) == []
    assert mistakes(_read_back(a_suite())) == []


def test_what_is_printed_of_a_wrong_manifest_is_valid(
    mistakes: Callable[[object], list[str]], tmp_path: Path
) -> None:
    (tmp_path / "grubridge.toml").write_text("version = 1\npear = 2\n", encoding="utf-8")
    ended = grubridge("check", "--json", cwd=tmp_path)
    document = json.loads(ended.stdout)

    assert (ended.code, document["error"]["kind"]) == (2, "ManifestError")
    assert mistakes(document) == []
    assert mistakes({**document, "pairs": []}) != []
    assert mistakes({**document, "error": {"kind": "ManifestError"}}) != []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda document: document["pairs"][0].update(status="passed"),
            "$.pairs[0].status: 'passed' is not one",
        ),
        (lambda document: document["pairs"][0].update(seconds=1.0), "('seconds' was unexpected)"),
        (
            lambda document: document["pairs"][0]["check"]["runs"][0].update(seconds=1.0),
            "is not valid under any",
        ),
        (lambda document: document.pop("counts"), "$: 'counts' is a required property"),
        (lambda document: document.update(schema_version=2), "$.schema_version: 1 was expected"),
    ],
)
def test_what_is_not_a_suite_is_not_valid(
    change: Callable[[Any], object], said: str, mistakes: Callable[[object], list[str]]
) -> None:
    document = _read_back(a_suite(*every_status()))
    change(document)

    assert len(found := mistakes(document)) == 1
    assert said in found[0]


def test_the_document() -> None:
    document = _read_back(a_suite(*every_status(), deselected=2, warnings=("w",)))

    assert list(document) == [
        "schema_version",
        "outcome",
        "manifest",
        "counts",
        "deselected",
        "warnings",
        "pairs",
        "environment",
    ]
    assert document["outcome"] == "trouble"
    assert document["counts"] == {
        "equivalent": 2,
        "different": 2,
        "inconclusive": 1,
        "trouble": 1,
        "xfailed": 1,
        "xpassed": 1,
    }
    pairs = {pair["name"]: pair for pair in document["pairs"]}
    assert list(pairs) == ["good", "half", "kept", "mended", "old", "pointer", "swapped", "unknown"]
    assert pairs["old"] == {
        "name": "old",
        "artifacts": ["a.keras", "b.pt"],
        "line": None,
        "status": "xfailed",
        "headroom": 3e4,
        "cause": None,
        "trouble": None,
        "xfail": "saved by Keras 1, ticket 12",
        "locked": False,
        "warnings": [],
        "check": None,
    }
    assert pairs["pointer"]["trouble"] == "b.pt: a Git LFS pointer (130 bytes)\nrun git lfs pull"
    assert (pairs["good"]["line"], pairs["good"]["check"]["verdict"]) == (3, "EQUIVALENT")
    assert pairs["swapped"]["check"]["diagnosis"][0]["mend"] == "write anew"


def _slower(result: PairResult) -> PairResult:
    report = result.report
    if report is not None:
        report = replace(report, runs=tuple(replace(run, seconds=run.seconds + 9) for run in report.runs))
    return replace(result, seconds=result.seconds + 9, report=report)


@pytest.mark.parametrize("form", ["text", "markdown", "junit", "github", "html"])
def test_no_form_tells_the_time(form: Form) -> None:
    one = a_suite(*every_status())
    other = replace(one, results=tuple(map(_slower, one.results)))

    assert render(other, form) == render(one, form)


def test_the_document_is_the_same_in_every_run() -> None:
    """Other times, another order of pairs and of versions: as parallel runs give them."""
    results = every_status()
    again = replace(
        a_suite(*map(_slower, reversed(results))), environment={"grubridge": "0.1.0", "python": "3.12.0"}
    )

    assert json.dumps(to_json(again)) == json.dumps(to_json(a_suite(*results)))


def test_what_is_no_number_is_null() -> None:
    pair = PairResult("p", ("a", "b"), "different", _check_of_everything(), headroom=math.inf)
    (written,) = _read_back(a_suite(pair))["pairs"]

    assert written["headroom"] is None
    assert written["check"]["lyapunov_exponent"] is None
    assert written["check"]["comparisons"][0]["max_abs"] is None
    assert written["check"]["comparisons"][0]["ensemble"]["accepted"] is None
    assert written["check"]["tolerance"]["pairs"][0]["largest"] is None


def test_names_are_given_as_they_are() -> None:
    pairs = [PairResult(name, (name, name), "trouble", trouble=name) for name in HOSTILE]
    text = json.dumps(to_json(a_suite(*pairs)), indent=2)

    assert text.isascii()
    assert {pair["artifacts"][0] for pair in json.loads(text)["pairs"]} == set(HOSTILE)
