"""The JUnit XML of a suite, as other programs read it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from grubridge.checker.findings import Cause
from grubridge.report import render
from grubridge.suite.result import PairResult
from tests.hostile_names import has_command

from .a_suite import HOSTILE, a_difference, a_suite, every_status, hostile_suite
from .junit_rules import broken_rules

SWAPPED = (
    "gate order: the update and reset gates are exchanged; up to 2.5e+06 times the bound from step 2 on: "
    "layer 0 forward, hidden state"
)
MENDED = (
    "it was expected to be different (saved by Keras 1, ticket 13) and is not: take xfail out of the manifest"
)


@pytest.fixture(name="junitparser")
def _junitparser() -> ModuleType:
    module: ModuleType = pytest.importorskip("junitparser")
    return module


def test_documents_keep_to_the_schema() -> None:
    for report in (a_suite(*every_status()), a_suite(), hostile_suite()):
        assert broken_rules(render(report, "junit")) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("<testsuite/>", "the root is testsuite"),
        ("<testsuites><testsuite name='a' tests='1' failures='0'/></testsuites>", "testsuite lacks errors"),
        ("<testsuites skipped='1'/>", "testsuites has skipped"),
        ("<testsuites time='1e-3'/>", "testsuites took 1e-3"),
        ("<testsuites><testcase name='a'/></testsuites>", "testsuites holds testcase"),
        ("<testsuites>a</testsuites>", "testsuites holds text"),
    ],
)
def test_the_rules_find_what_is_wrong(wrong: str, said: str) -> None:
    assert broken_rules(wrong) == [said]


def test_a_parser_reads_it_back(junitparser: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(render(a_suite(*every_status()), "junit"), encoding="utf-8")
    read = junitparser.JUnitXml.fromfile(str(path))

    assert (read.tests, read.failures, read.errors) == (8, 3, 2)
    suites = {suite.name: suite for suite in read}
    cases = {name: next(iter(suite)) for name, suite in suites.items()}
    assert list(cases) == ["pointer", "swapped", "half", "mended", "unknown", "old", "good", "kept"]
    assert all(case.classname == "grubridge.check" and case.name == name for name, case in cases.items())
    ended = {
        name: [(type(one).__name__, one.type, one.message) for one in case.result]
        for name, case in cases.items()
    }
    assert ended == {
        "good": [],
        "kept": [],
        "swapped": [
            (
                "Failure",
                "different",
                SWAPPED,
            )
        ],
        "half": [("Failure", "different", "precision: float16; up to 30 times the bound")],
        "pointer": [("Error", "trouble", "b.pt: a Git LFS pointer (130 bytes)")],
        "unknown": [("Error", "inconclusive", "not run: a.keras needs keras")],
        "old": [("Skipped", "xfailed", "it is different, as was expected: saved by Keras 1, ticket 12")],
        "mended": [
            (
                "Failure",
                "xpassed",
                MENDED,
            )
        ],
    }
    assert [suite.skipped for suite in read] == [int(name == "old") for name in cases]
    lines = cases["swapped"].result[0].text.splitlines()
    assert lines[0] == "A  a.keras (float32), keras 3.15.1 (tensorflow 2.21.0), cpu"
    assert lines[-1] == "mend: grubridge verify a.keras b.pt --fix NEW"


def test_numbers_are_properties(junitparser: ModuleType) -> None:
    read = junitparser.JUnitXml.fromstring(render(a_suite(*every_status()), "junit").encode())
    properties = {
        suite.name: [(one.name, one.value) for one in suite.properties()] for suite in read if suite.name
    }

    assert properties["swapped"] == [
        ("status", "different"),
        ("artifact", "a.keras"),
        ("artifact", "b.pt"),
        ("headroom", "2500000.0"),
        ("max_abs", "0.25"),
        ("edge", "end-to-end"),
        ("layer", "0"),
        ("direction", "forward"),
        ("quantity", "hidden"),
        ("first_bad_time", "2"),
        ("worst_time", "4"),
        ("worst_batch", "1"),
        ("worst_unit", "3"),
        ("cause", "gate order: the update and reset gates are exchanged"),
        ("locked", "false"),
    ]
    assert properties["kept"] == [
        ("status", "equivalent"),
        ("artifact", "a.keras"),
        ("artifact", "b.pt"),
        ("headroom", "0.5"),
        ("locked", "true"),
        ("warning", "12 times worse than locked"),
    ]


def test_to_have_checked_nothing_is_an_error() -> None:
    root = ET.fromstring(render(a_suite(), "junit"))  # noqa: S314 - our own document

    assert (root.get("tests"), root.get("errors")) == ("1", "1")
    error = root.find("testsuite/testcase/error")
    assert error is not None
    assert error.get("message") == "TROUBLE: no pair of ci/grubridge.toml was checked; grubridge 0.1.0"


def test_hostile_names_are_escaped(junitparser: ModuleType) -> None:
    document = render(hostile_suite(), "junit")
    names = [suite.name for suite in junitparser.JUnitXml.fromstring(document.encode("ascii"))]

    assert document.isascii()
    assert len(set(names)) == len(names) == 8 * len(HOSTILE)
    assert "]]> 4" in names
    assert "\u00e9\u4e2d\U0001f600 4" in names
    assert "two\\nlines\\r\\n::add-mask::e 4" in names
    assert "nul\\x00\\x08\\x7f\\x85\\ufffe\\udce8 4" in names


def test_github_finds_no_command_in_it(junitparser: ModuleType) -> None:
    document = render(a_suite(PairResult("##[error]y", ("a", "b"), "trouble", trouble="::error::z")), "junit")
    (suite,) = junitparser.JUnitXml.fromstring(document.encode("ascii"))

    assert not has_command(document)
    assert suite.name == "##[error]y"


def test_no_character_is_written_that_xml_forbids() -> None:
    report = replace(a_difference(), diagnosis=(Cause("a\x01", "\ud800 \ufffe \x00 \U0001f600"),))
    pair = PairResult("p", ("a", "b"), "different", report)
    document = render(replace(a_suite(pair), manifest="ci\x1b/\x00\udce8.toml"), "junit")

    assert broken_rules(document) == []
    assert 'file="ci\\x1b/\\x00\\udce8.toml"' in document
    assert "why: a\\x01: \\ud800 \\ufffe \\x00 &#128512;" in document


@pytest.mark.parametrize("headroom", [math.inf, math.nan, 1e300])
def test_any_number_is_written(headroom: float) -> None:
    document = render(a_suite(PairResult("p", ("a", "b"), "different", headroom=headroom)), "junit")

    assert broken_rules(document) == []
    assert f'<property name="headroom" value="{headroom}" />' in document
