"""The page of a suite: the strip of all pairs, and one row each, the worst first."""

from __future__ import annotations

from grubridge.report.html import render_suite
from grubridge.suite.result import PairResult, SuiteReport, worst_first
from tests.hostile_names import has_command
from tests.report.html.pages import different, parts
from tests.report.html.test_check_page import HOSTILE


def _suite(*results: PairResult, deselected: int = 0) -> SuiteReport:
    return SuiteReport("grubridge.toml", worst_first(results), {"python": "3.12"}, deselected)


def _row(results: list[list[str]], name: str) -> list[str]:
    return next(row for row in results if row[0].startswith(name))


def test_every_pair_has_a_row_the_worst_first() -> None:
    found = parts(
        render_suite(
            _suite(
                PairResult("good", ("a.pt", "a.onnx"), "equivalent", headroom=0.25, locked=True, seconds=0.5),
                PairResult(
                    "bad", ("b.pt", "b.onnx"), "different", different(), headroom=1.2e7, cause="gate order"
                ),
                PairResult("lost", ("c.pt", "c.onnx"), "trouble", trouble="c.onnx: no such file"),
                deselected=2,
            )
        )
    )
    names = [row[0].split()[0] for row in found.rows if len(row) == 3][1:]

    assert names == ["lost", "bad", "good"]
    assert _row(found.rows, "good") == ["good a.pt, a.onnx", "equivalent from the lock", "0.25"]
    assert _row(found.rows, "bad")[2] == "1.2e7"
    assert _row(found.rows, "lost")[2] == "none"
    assert "c.onnx: no such file" in found.text
    assert "DIFFERENT: B is not the function of A" in found.text
    assert "not selected2\n" in found.text
    assert found.held["title"] == ["trouble: grubridge.toml"]


def test_the_strip_tells_its_numbers_in_words() -> None:
    found = parts(
        render_suite(
            _suite(
                PairResult("a", (), "equivalent", headroom=0.25),
                PairResult("b", (), "equivalent", headroom=0.5),
                PairResult("c", (), "xfailed", headroom=3e4),
                PairResult("d", (), "inconclusive"),
            )
        )
    )
    (words,) = [one["aria-label"] for one in found.named("svg") if one.get("role") == "img"]

    assert words == (
        "3 pairs by their largest error over its bound, which is a pair's own tolerance where it has one; "
        "the largest is 3.0e4 times the bound. "
        "1 different, as expected, 2 equivalent."
    )
    assert (
        "The bound is what rounding can do, or the pair's own tolerance where it has one; "
        "right of the dashed line is more than that. Without such a number: 1."
    ) in " ".join(found.text.split())


def test_five_thousand_pairs_fit_and_the_page_says_what_is_left_out() -> None:
    results = [
        PairResult(f"pair {index}", (f"{index}.keras", f"{index}.onnx"), "equivalent", headroom=index / 6000)
        for index in range(5000)
    ]
    page = render_suite(_suite(*results, PairResult("bad", (), "different", headroom=9e9)))
    found = parts(page)

    assert len(page.encode()) < 400_000
    assert "4,801 further pairs, none of them worse than the last one here" in found.text
    assert "equivalent 5,000" in " ".join(found.text.split())
    assert "pair 4999" in found.text


def test_hostile_names_are_escaped_and_still_fit() -> None:
    results = [
        PairResult(
            HOSTILE * 9, (HOSTILE * 9,) * 9, "different", different(), reason=HOSTILE * 9, cause=HOSTILE * 99
        )
        for _ in range(300)
    ]
    page = render_suite(SuiteReport(HOSTILE, tuple(results), {HOSTILE: HOSTILE}, warnings=(HOSTILE,)))
    found = parts(page)

    assert len(page.encode()) < 400_000
    assert not any("alert" in text for kind in ("script", "style") for text in found.held[kind])
    assert found.named("img") == []
    assert "\u202e" not in page


def test_github_finds_no_command_in_it() -> None:
    pair = PairResult("##[error]y", ("a", "b"), "trouble", trouble="see ##[error]z")
    page = render_suite(SuiteReport("grubridge.toml", (pair,), {}))

    assert not has_command(page)
    assert "##[error]y" in parts(page).text
    assert "see ##[error]z" in parts(page).text


def test_a_suite_without_pairs_says_so() -> None:
    assert "No pair was checked".lower() in parts(render_suite(_suite(deselected=3))).text.lower()
