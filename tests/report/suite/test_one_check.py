"""A single check in the forms of a suite."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grubridge.checker.result import CheckedArtifact
from grubridge.checker.verdict import Verdict
from grubridge.report import render
from grubridge.report.check.alone import as_suite
from tests.report.a_check import a_report

from .a_suite import a_difference
from .junit_rules import broken_rules


def test_a_check_is_a_suite_of_one_pair() -> None:
    suite = as_suite(a_difference())
    (pair,) = suite.results

    assert (suite.manifest, suite.outcome, suite.environment) == ("", "different", {"grubridge": "0.1.0"})
    assert (pair.name, pair.artifacts, pair.status) == ("a.keras = b.pt", ("a.keras", "b.pt"), "different")
    assert (pair.headroom, pair.cause) == (2.5e6, "gate order: the update and reset gates are exchanged")
    assert pair.seconds == pytest.approx(0.1 + 1.25 + 1.25)


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.EQUIVALENT, "passed"),
        (Verdict.DIFFERENT, "different"),
        (Verdict.INCONCLUSIVE, "inconclusive"),
    ],
)
def test_the_outcome_is_the_verdict(verdict: Verdict, outcome: str) -> None:
    assert as_suite(replace(a_report(), verdict=verdict)).outcome == outcome


def test_what_was_not_judged_has_no_headroom() -> None:
    (pair,) = as_suite(replace(a_report(), comparisons=(), sensitivity=())).results

    assert (pair.headroom, pair.cause) == (None, None)


def test_two_grus_of_one_file_name_it_once() -> None:
    two = tuple(
        CheckedArtifact(f"{path}#{name}", path, "onnx", name, "float32", None)
        for name in ("encoder", "decoder")
        for path in ("a.onnx", "b.onnx")
    )
    (pair,) = as_suite(replace(a_report(), artifacts=two)).results

    assert pair.artifacts == ("a.onnx", "b.onnx")
    assert pair.name == "a.onnx#encoder = b.onnx#encoder = a.onnx#decoder = b.onnx#decoder"


def test_the_forms() -> None:
    report = a_difference()

    assert render(report, "github").startswith(
        "::error file=b.pt,title=a.keras = b.pt%3A different::gate order: "
    )
    assert render(report, "markdown").startswith(
        "### grubridge: DIFFERENT\n\n1 pair: 1 different; grubridge 0.1.0\n\n| pair |"
    )
    assert broken_rules(render(report, "junit")) == []
    assert '<testcase classname="grubridge.check" name="a.keras = b.pt">' in render(report, "junit")
    assert render(a_report(), "github") == ""


def test_a_form_that_a_result_has_not() -> None:
    with pytest.raises(ValueError, match="a CheckReport has no form 'latex'"):
        render(a_report(), "latex")
