"""The text of a suite, from results made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from grubridge.checker.algebra import Proof, TensorDifference
from grubridge.checker.findings import Cause, FileProof, Tolerance
from grubridge.checker.result import CheckedArtifact
from grubridge.checker.verdict import Verdict
from grubridge.report import render
from grubridge.report.suite.words import headline
from grubridge.suite.result import PairResult, PairStatus
from tests.report.a_check import a_report

from .a_suite import a_difference, a_suite, every_status, hostile_suite


def test_text_of_every_status() -> None:
    report = a_suite(*every_status(), deselected=2, warnings=("the lock was made by version 0.0.9",))

    assert render(report) == (
        """\
status        error/bound  pair
TROUBLE                 -  pointer
DIFFERENT         2.5e+06  swapped
DIFFERENT              30  half
XPASSED              0.25  mended
INCONCLUSIVE            -  unknown
XFAILED             3e+04  old
EQUIVALENT           0.75  good
EQUIVALENT           0.50  kept  (unchanged)
warning: the lock was made by version 0.0.9
note: old: it is different, as was expected: saved by Keras
  1, ticket 12
warning: kept: 12 times worse than locked

TROUBLE  pointer
A  a.keras
B  b.pt
b.pt: a Git LFS pointer (130 bytes)
run git lfs pull

DIFFERENT  swapped
A  a.keras (float32), keras 3.15.1 (tensorflow 2.21.0), cpu
B  b.pt (float32), torch 2.13.0, cpu
DIFFERENT: B is not the function of A; up to 2.5e+06 times
  the bound
end-to-end: A on keras against B on pytorch
  hidden state  max |error| 2.5e-01, 2.5e+06 times the bound
  update gate   max |error| 2.5e-01, 2.5e+06 times the bound
  reset gate    max |error| 2.5e-01, 2.5e+06 times the bound
  candidate     max |error| 2.5e-01, 2.5e+06 times the bound
  DIFFERENT from step 2 on: layer 0 forward, hidden state;
  most at step 4, sequence 1, unit 3
why: gate order: the update and reset gates are exchanged
mend: grubridge verify a.keras b.pt --fix NEW

DIFFERENT  half
A  a.keras
B  b.pt
precision: float16; up to 30 times the bound

XPASSED  mended
A  a.keras
B  b.pt
it was expected to be different (saved by Keras 1, ticket
  13) and is not: take xfail out of the manifest

INCONCLUSIVE  unknown
A  a.keras
B  b.pt
not run: a.keras needs keras

"""
        "TROUBLE: 8 pairs of ci/grubridge.toml: 1 trouble, 2 different, 1 xpassed, 1 inconclusive, "
        "1 xfailed, 2 equivalent; 1 unchanged, answered from the lock; 2 not selected; grubridge 0.1.0\n"
    )


def test_all_lines_but_the_last_are_narrow_and_ascii() -> None:
    lines = render(a_suite(*every_status())).splitlines()

    assert max(map(len, lines[:-1])) <= 60
    assert all(line.isascii() for line in lines)


@pytest.mark.parametrize(
    ("statuses", "last"),
    [
        (["equivalent"], "PASSED: 1 pair of ci/grubridge.toml: 1 equivalent; grubridge 0.1.0"),
        (["xfailed"], "PASSED: 1 pair of ci/grubridge.toml: 1 xfailed; grubridge 0.1.0"),
        (["xpassed"], "DIFFERENT: 1 pair of ci/grubridge.toml: 1 xpassed; grubridge 0.1.0"),
        (
            ["inconclusive", "equivalent"],
            "INCONCLUSIVE: 2 pairs of ci/grubridge.toml: 1 inconclusive, 1 equivalent; grubridge 0.1.0",
        ),
        ([], "TROUBLE: no pair of ci/grubridge.toml was checked; grubridge 0.1.0"),
    ],
)
def test_the_last_line_says_the_outcome(statuses: list[str], last: str) -> None:
    results = (PairResult(status, ("a", "b"), status, reason="r") for status in statuses)  # type: ignore[arg-type]

    assert render(a_suite(*results)).splitlines()[-1] == last


def test_a_failing_pair_has_25_lines_at_most() -> None:
    report = a_difference()
    crowded = replace(
        report,
        artifacts=tuple(
            CheckedArtifact(f"{name}.pt", f"{name}.pt", "pytorch", "rnn", "float32", None)
            for name in "abcdefgh"
        ),
        runs=(),
        diagnosis=tuple(
            Cause(f"cause {number}", "a long sentence of many words " * 6) for number in range(9)
        ),
    )
    crowded = replace(crowded, comparisons=())
    pairs = [
        PairResult("crowded", ("a", "b"), "different", crowded, headroom=5.0),
        PairResult("wordy", ("a", "b"), "trouble", trouble="line\n" * 99),
    ]
    blocks = render(a_suite(*pairs)).split("\n\n")[1:-1]

    assert [block.splitlines()[0] for block in blocks] == ["TROUBLE  wordy", "DIFFERENT  crowded"]
    for block in blocks:
        assert len(block.splitlines()) == 25
        assert block.splitlines()[-1] == "... (all of it with --format json)"
    assert blocks[1].splitlines()[6:8] == ["F  f.pt (float32), not run", "and 2 more"]


@pytest.mark.parametrize(
    ("status", "headroom", "said"),
    [
        (
            "different",
            30.0,
            "up to 30 times your own tolerance from step 2 on: layer 0 forward, hidden state",
        ),
        ("equivalent", 0.5, "within 0.50 of your own tolerance"),
    ],
)
def test_a_tolerance_of_the_users_own_is_named(status: PairStatus, headroom: float, said: str) -> None:
    report = replace(a_difference(), tolerance=Tolerance(1e-5))

    assert headline(PairResult("p", ("a", "b"), status, report, headroom=headroom)) == said


def test_numbers_of_files_that_differ_are_told_where_nothing_was_run() -> None:
    found = TensorDifference(0, "forward", "bias.reset (sum)", 0.25, 2, None, 3, 8, "1 and 2")
    different = replace(a_difference(), runs=(), comparisons=(), sensitivity=())
    report = replace(different, proofs=(FileProof("a.keras", "b.pt", Proof(False, False, (), (found,), ())),))  # noqa: FBT003
    text = render(a_suite(PairResult("p", ("a.keras", "b.pt"), "different", report, cause="gate order: c")))

    assert (
        "B  b.pt (float32), not run\n"
        "DIFFERENT: the files do not hold the same numbers; nothing\n"
        "  was run\n"
        "files: A and B do not hold the same numbers\n"
        "  layer 0 forward bias.reset (sum): 3 of 8 numbers, by up to\n"
        "    0.25\n"
        "why: gate order: the update and reset gates are exchanged\n"
    ) in text
    assert headline(PairResult("p", (), "different", report, cause="gate order: c")) == (
        "gate order: c; layer 0 forward bias.reset (sum): 3 of 8 numbers, by up to 0.25"
    )


def test_what_could_not_be_run_is_told_with_its_reason() -> None:
    report = replace(
        a_report(),
        verdict=Verdict.INCONCLUSIVE,
        by_the_bound=Verdict.INCONCLUSIVE,
        runs=(),
        comparisons=(),
        diagnosis=(Cause("not run", "a.keras: needs keras:\n  pip install 'grubridge[tensorflow]'"),),
    )

    assert (
        "INCONCLUSIVE  p\n"
        "A  a.keras (float32), not run\n"
        "B  b.pt (float32), not run\n"
        "INCONCLUSIVE: not everything could be run and judged\n"
        "why: not run: a.keras: needs keras:\n"
        "  pip install 'grubridge[tensorflow]'\n"
    ) in render(a_suite(PairResult("p", ("a.keras", "b.pt"), "inconclusive", report)))


@pytest.mark.parametrize(
    ("headroom", "shown"), [(math.inf, "inf"), (math.nan, "-"), (None, "-"), (1.0, "1.00")]
)
def test_a_ratio_may_be_no_number(headroom: float | None, shown: str) -> None:
    text = render(a_suite(PairResult("p", ("a", "b"), "different", headroom=headroom)))

    assert f"DIFFERENT     {shown:>11}  p" in text.splitlines()


def test_the_words_of_a_framework_are_not_obeyed() -> None:
    said = "Keras says \x1b[2J\x9b2J \u202e and\tthen:\n  ::stop-commands::e"
    report = replace(a_report(), verdict=Verdict.INCONCLUSIVE, diagnosis=(Cause("not run", said),))
    text = render(a_suite(PairResult("p", ("a", "b"), "inconclusive", report)))

    assert "why: not run: Keras says \\x1b[2J\\x9b2J \\u202e and  then:\n  \\::stop-commands::e\n" in text
    assert text.split("\n\n")[1].split("\n", 1)[1].splitlines()[-2:] == render(report).splitlines()[-4:-2]


def test_hostile_names_stay_on_their_lines_and_are_no_commands() -> None:
    text = render(hostile_suite())

    assert all(character == "\n" or character.isprintable() for character in text)
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert "\\::error::boom" in text
    assert (
        sum(line.startswith("TROUBLE  ") for line in text.splitlines()) == 2 * 13
    )  # in the table, and below
