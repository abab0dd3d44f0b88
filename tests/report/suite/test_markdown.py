"""The Markdown of a suite, as a parser of GitHub's kind reads it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from grubridge.report import render
from grubridge.suite.result import PairResult, SuiteReport

from .a_suite import HOSTILE, a_suite, every_status, hostile_suite

SUMMARY_LIMIT = 1024 * 1024
_DETAILS = re.compile(r"<details><summary><code>[^<>]*</code>: [a-z]+</summary>\n|</details>\n")


def _tokens(report: SuiteReport) -> list[Any]:
    markdown_it = pytest.importorskip("markdown_it")
    parser = markdown_it.MarkdownIt("commonmark").enable("table")
    return list(parser.parse(render(report, "markdown")))


def _cells(report: SuiteReport) -> list[list[str]]:
    """The rows of the table below its head, each cell as a reader sees it."""
    rows: list[list[str]] = []
    inside = False
    for token in _tokens(report):
        if token.type in {"tbody_open", "tbody_close"}:
            inside = token.type == "tbody_open"
        if token.type == "tr_open" and inside:
            rows.append([])
        elif token.type == "inline" and inside:
            rows[-1].append(
                "".join(child.content or "\n" * (child.type == "softbreak") for child in token.children)
            )
    return rows


def test_markdown_of_two_pairs() -> None:
    good, _, swapped, *_ = every_status()

    assert render(a_suite(good, swapped, warnings=("the lock is *old*",)), "markdown") == (
        """\
### grubridge: DIFFERENT

2 pairs of `ci/grubridge.toml`: 1 different, 1 equivalent; grubridge 0.1.0

- the lock is `*old*`

| pair | status | error/bound | what |
| :-- | :-- | --: | :-- |
| `swapped` | different | 2.5e+06 | gate order: the update and reset gates are exchanged; up to 2.5e+06 \
times the bound from step 2 on: layer 0 forward, hidden state |
| `good` | equivalent | 0.75 |  |

<details><summary><code>swapped</code>: different</summary>

```text
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
```

</details>
"""
    )


def test_every_pair_has_a_row_the_worst_first() -> None:
    assert [row[:3] for row in _cells(a_suite(*every_status()))] == [
        ["pointer", "trouble", "-"],
        ["swapped", "different", "2.5e+06"],
        ["half", "different", "30"],
        ["mended", "xpassed", "0.25"],
        ["unknown", "inconclusive", "-"],
        ["old", "xfailed", "3e+04"],
        ["good", "equivalent", "0.75"],
        ["kept", "equivalent (unchanged)", "0.50"],
    ]
    assert _cells(a_suite(*every_status()))[-1][3] == "12 times worse than locked"


def test_to_have_checked_nothing_is_said() -> None:
    assert render(a_suite(), "markdown") == (
        "### grubridge: TROUBLE\n\nno pair of `ci/grubridge.toml` was checked; grubridge 0.1.0\n"
    )


def test_hostile_names_are_text() -> None:
    report = hostile_suite()
    tokens = _tokens(report)
    inline = {child.type for token in tokens for child in token.children or ()}
    pages = [token.content for token in tokens if token.type == "html_block"]

    # a line break between a sentence and its warnings is the one piece of HTML in a table
    assert inline <= {"text", "code_inline", "html_inline", "softbreak"}
    assert {c.content for t in tokens for c in t.children or () if c.type == "html_inline"} == {"<br>"}
    assert len(pages) == 2 * 13 * 5
    assert all(_DETAILS.fullmatch(page) for page in pages)
    assert len([token for token in tokens if token.type == "fence"]) == 13 * 5
    assert len(_cells(report)) == 13 * 8
    assert all(len(row) == 4 for row in _cells(report))


@pytest.mark.parametrize("name", [name for name in HOSTILE if name and name.isprintable()])
def test_a_name_is_shown_as_it_is(name: str) -> None:
    ((shown, *_, said),) = _cells(a_suite(PairResult(name, ("a", "b"), "trouble", trouble=name)))

    assert shown == name
    assert said == name


@pytest.mark.parametrize(
    "word", ["@team", "#12", "https://a.b/c", "www.a.b", "WWW.a.b", "<b>", "**b**", "a_b", "[x](y)"]
)
def test_a_word_that_could_be_more_is_code(word: str) -> None:
    trouble = PairResult("p", ("a", "b"), "trouble", trouble=f"see {word}, and 1.5e-07 (0.36) of B's.")

    assert f"| see `{word}`, and 1.5e-07 (0.36) of B's. |" in render(a_suite(trouble), "markdown")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("x [batch, time, 5] of", r"x \[batch, time, 5\] of"),
        ("mode (ONNX linear_before_reset); up", "mode (ONNX `linear_before_reset`); up"),
        ("see (www.a.b).", "see (`www.a.b`)."),
        ("a [x] b", r"a \[x\] b"),
        ("a [] b", "a `[]` b"),
    ],
)
def test_brackets_stay_outside_of_code(said: str, shown: str) -> None:
    trouble = PairResult("p", ("a", "b"), "trouble", trouble=said)
    ((*_, cell),) = _cells(a_suite(trouble))

    assert f"| {shown} |" in render(a_suite(trouble), "markdown")
    assert cell == said


@pytest.mark.parametrize("failing", [0, 700, 20_000])
def test_a_large_suite_stays_below_the_limit(failing: int) -> None:
    swapped = every_status()[2]
    bad = [replace(swapped, name=f"bad{n:05}", headroom=1e6 - n) for n in range(failing)]
    good = [PairResult(f"good{n}", ("a", "b"), "equivalent", headroom=0.5) for n in range(20_000)]
    report = a_suite(*bad, *good)
    text = render(report, "markdown")
    rows, pages = text.count("\n| `"), text.count("<details>")

    assert len(text.encode("utf-8")) < SUMMARY_LIMIT - 100_000
    assert f"\n{20_000 + failing - rows} more pairs are left out of this table.\n" in text
    assert (f"What is wrong with {failing - pages} more pairs is left out.\n" in text) == (failing > pages)
    assert rows > 1000
    assert min(failing, 300) <= pages <= failing
    assert [f"`bad{n:05}`" in text for n in (0, 1)] == [failing > 0] * 2
    assert text.index("20000 equivalent") < 200


def test_many_warnings_are_cut_too() -> None:
    text = render(
        a_suite(every_status()[0], warnings=tuple(f"{n} {'word ' * 50}" for n in range(9000))), "markdown"
    )

    assert len(text.encode("utf-8")) < SUMMARY_LIMIT // 8
    left = 9000 - text.count("\n- ")
    assert f"\n\n{left} more warnings are left out.\n\n| pair" in text
