"""The workflow commands of a suite, read as the runner of a job reads them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from grubridge.report import render
from grubridge.report.suite.github import _command
from grubridge.suite.result import PairResult, SuiteReport

from .a_suite import HOSTILE, a_suite, every_status, hostile_suite

COMMAND = re.compile(r"::(error|warning|notice)(?: ([^:\r\n]*))?::([^\r\n]*)")


def _read(report: SuiteReport) -> list[tuple[str, dict[str, str], str]]:
    """The level, properties and message of every line, each of which must be a command."""
    found = []
    for line in render(report, "github").splitlines():
        command = COMMAND.fullmatch(line)
        assert command is not None, line
        properties = dict(pair.split("=", 1) for pair in (command[2] or "").split(",") if pair)
        found.append(
            (command[1], {name: _plain(value) for name, value in properties.items()}, _plain(command[3]))
        )
    return found


def _plain(text: str) -> str:
    for escape, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(escape, character)
    return text


def test_commands_of_every_status() -> None:
    assert render(a_suite(*every_status(), warnings=("the lock is old",)), "github") == (
        "::error file=ci/b.pt,title=pointer%3A trouble::b.pt: a Git LFS pointer (130 bytes)\n"
        "::error file=ci/b.pt,title=swapped%3A different::gate order: the update and reset gates are "
        "exchanged; up to 2.5e+06 times the bound from step 2 on: layer 0 forward, hidden state\n"
        "::error file=ci/b.pt,title=half%3A different::precision: float16; up to 30 times the bound\n"
        "::error file=ci/b.pt,title=mended%3A xpassed::it was expected to be different (saved by Keras 1, "
        "ticket 13) and is not: take xfail out of the manifest\n"
        "::warning file=ci/b.pt,title=unknown%3A inconclusive::not run: a.keras needs keras\n"
        "::warning file=ci/b.pt,title=kept%3A equivalent::12 times worse than locked\n"
        "::warning::the lock is old\n"
        "::notice file=ci/b.pt,title=old%3A xfailed::it is different, as was expected: saved by Keras 1, "
        "ticket 12\n"
    )


def test_a_suite_that_passed_says_nothing() -> None:
    assert render(a_suite(every_status()[0]), "github") == ""


def test_to_have_checked_nothing_is_an_error() -> None:
    assert _read(a_suite()) == [
        (
            "error",
            {"title": "no pair was checked"},
            "TROUBLE: no pair of ci/grubridge.toml was checked; grubridge 0.1.0",
        )
    ]


@pytest.mark.parametrize(("pairs", "lines"), [(9, 9), (10, 10), (11, 10), (300, 10)])
def test_there_are_ten_at_most_the_worst_first(pairs: int, lines: int) -> None:
    results = [PairResult(f"p{n}", ("a", "b"), "different", headroom=float(n + 2)) for n in range(pairs)]
    found = _read(a_suite(*results))

    assert len(found) == lines
    assert [title["title"] for _, title, _ in found[:9]] == [
        f"p{n}: different" for n in range(pairs - 1, max(pairs - 10, -1), -1)
    ]
    if pairs > 10:
        assert found[9] == (
            "error",
            {"title": f"{pairs - 9} more"},
            f"DIFFERENT: {pairs} pairs of ci/grubridge.toml: {pairs} different; grubridge 0.1.0",
        )


def test_a_path_is_that_of_the_repository() -> None:
    pairs = [
        PairResult("up", ("a", "../models/b.pt"), "trouble", trouble="t"),
        PairResult("absolute", ("a", "/models/b.pt"), "trouble", trouble="t"),
        PairResult("one", ("a.pt",), "trouble", trouble="t"),
        PairResult("none", (), "trouble", trouble="t"),
    ]

    assert [properties.get("file") for _, properties, _ in _read(a_suite(*pairs))] == [
        "models/b.pt",
        "/models/b.pt",
        "ci/a.pt",
        None,
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name: str) -> None:
    trouble = PairResult(name, (name, name), "trouble", trouble=name, warnings=(name,))
    found = _read(a_suite(trouble, warnings=(name,)))

    assert [level for level, *_ in found] == ["error", "warning", "warning"]
    for _, properties, _ in found[:2]:
        assert set(properties) == {"file", "title"}
        assert properties["title"].endswith(": trouble")
    if name.isprintable():
        assert [properties["title"] for _, properties, _ in found[:2]] == [f"{name}: trouble"] * 2
        assert found[2][2] == name


def test_escapes_are_those_of_the_toolkit() -> None:
    assert _command("error", {"file": "%\r\n:,", "title": "="}, "%\r\n:,") == (
        "::error file=%25%0D%0A%3A%2C,title==::%25%0D%0A:,"
    )


def test_a_suite_of_hostile_names_is_ten_commands() -> None:
    assert len(_read(hostile_suite())) == 10
    assert len(_read(replace(hostile_suite(), manifest="::error::a,b\n"))) == 10
