"""A suite as a page: all pairs on one scale, then one row each, the worst first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from grubridge.files.text import listed, printable
from grubridge.report.check.words import by_edge, letters_of, verdict
from grubridge.suite.result import PairResult, SuiteReport

from .axes import Log
from .check import where
from .numbers import figure
from .page import fragment, page, within_limit
from .strip import WORDS, Strip, strip

__all__ = ["render_suite", "suite_fragment"]

_ROWS = 200
_DETAILED = 30
_LONGEST = 300
_FILES, _LISTED = 4, 6
_OUTCOMES = {
    "passed": "every pair is what it is to be",
    "different": "not every pair is the same function",
    "inconclusive": "not everything could be judged",
    "trouble": "not every pair could be checked",
}


@dataclass(frozen=True)
class PairRow:
    """One pair in the table.

    Args:
        name: of the pair.
        files: of it.
        status: in one word.
        words: the status for a person.
        at: where its ratio of error to bound stands on the scale; None where it has none.
        ratio: that ratio.
        why: why it is not equivalent, in a sentence.
        details: what else is known, (what, text).
        locked: whether it was answered from the lock.
    """

    name: str
    files: str
    status: str
    words: str
    at: float | None
    ratio: str
    why: str
    details: tuple[tuple[str, str], ...]
    locked: bool


@dataclass(frozen=True)
class SuiteView:
    """What the page of a suite shows, in its order."""

    outcome: str
    sentence: str
    manifest: str
    counts: tuple[tuple[str, str, int], ...]
    deselected: int
    strip: Strip | None
    bound: float
    rows: tuple[PairRow, ...]
    left_out: int
    warnings: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]


def render_suite(suite: SuiteReport) -> str:
    """Return a suite as one HTML page that loads nothing, below 400 kB.

    Raises:
        MissingDependencyError: when Jinja2 is not installed.
    """
    title = f"{suite.outcome}: {printable(PurePath(suite.manifest).name)}"
    rows = (_ROWS >> halved for halved in range(_ROWS.bit_length()))
    return within_limit(page("suite", title, view=_view(suite, most)) for most in rows)


def suite_fragment(suite: SuiteReport) -> str:
    """Return the strip and the worst pairs of a suite.

    Raises:
        MissingDependencyError: when Jinja2 is not installed.
    """
    return fragment("suite_fragment", view=_view(suite, _DETAILED))


def _view(suite: SuiteReport, most: int) -> SuiteView:
    scale = Log.around([1.0, 0.1, *(one.headroom for one in suite.results if one.headroom is not None)])
    counts = tuple((status, WORDS[status], count) for status, count in suite.counts.items() if count)
    shown = suite.results[:most]
    rows = tuple(_row(one, scale, detailed=index < _DETAILED) for index, one in enumerate(shown))
    return SuiteView(
        suite.outcome,
        _OUTCOMES[suite.outcome] if suite.results else "no pair was checked",
        suite.manifest,
        counts,
        suite.deselected,
        strip(suite.results),
        scale.at(1.0),
        rows,
        len(suite.results) - len(rows),
        suite.warnings,
        tuple(suite.environment.items()),
    )


def _row(one: PairResult, scale: Log, *, detailed: bool) -> PairRow:
    why = one.trouble or one.cause or ""
    at = None if one.headroom is None else scale.at(one.headroom)
    return PairRow(
        one.name,
        listed(one.artifacts, _FILES),
        one.status,
        WORDS[one.status],
        at,
        "" if one.headroom is None else figure(one.headroom, 2),
        printable(why, _LONGEST),
        tuple(_details(one)) if detailed else (),
        one.locked,
    )


def _details(one: PairResult) -> list[tuple[str, str]]:
    told = [("expected to differ", one.reason)] if one.reason is not None else []
    told += [("warning", warning) for warning in one.warnings]
    if one.report is not None and one.status != "equivalent":
        letters, edges = letters_of(one.report), by_edge(one.report.comparisons)
        told.append(("verdict", verdict(one.report, edges, letters).replace("\n", "; ")))
        told += [("where", text) for text in where(edges, letters)[:_LISTED]]
        told += [(f"why: {cause.cause}", cause.detail) for cause in one.report.diagnosis[:_LISTED]]
    return told
