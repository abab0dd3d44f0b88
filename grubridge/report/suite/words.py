"""Sentences and names that every form of a suite's report shares. Names come from files: they are escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence

from grubridge.files.text import printable
from grubridge.report.check.sections import difference
from grubridge.report.check.text import brief
from grubridge.report.check.words import by_edge, place, times
from grubridge.report.wrapping import wrapped
from grubridge.suite.result import PairResult, PairStatus, SuiteReport

__all__ = [
    "FAILING",
    "NOTHING",
    "counted",
    "counts",
    "details",
    "headline",
    "named",
    "outcome",
    "ratio",
    "sentence",
]

FAILING: tuple[PairStatus, ...] = ("trouble", "different", "xpassed", "inconclusive")
NOTHING = "no pair was checked"
_WORST_FIRST: tuple[PairStatus, ...] = (*FAILING, "xfailed", "equivalent")
_LONGEST_NAME = 200
_LONGEST_SENTENCE = 300
_DETAILS = 24


def named(name: str) -> str:
    """Return the name of a pair or a file on one line."""
    return printable(name, _LONGEST_NAME)


def sentence(said: str) -> str:
    """Return what a pair or its files say on one line, of a length that annotations and tables bear."""
    return printable(said, _LONGEST_SENTENCE)


def ratio(headroom: float | None) -> str:
    """Return error over bound, as a column of a table has it."""
    if headroom is None or math.isnan(headroom):
        return "-"
    return f"{headroom:.2f}" if headroom <= 1 else f"{headroom:.2g}"


def outcome(report: SuiteReport) -> str:
    """Return what the suite says in a word, in capitals as verdicts are."""
    return report.outcome.upper()


def counted(report: SuiteReport) -> str:
    """Return the last line of the text, which can be pasted: the outcome and the counts."""
    return f"{outcome(report)}: {counts(report)}"


def counts(report: SuiteReport) -> str:
    """Return how many pairs have each status, worst first, and what else there is to count."""
    total, locked = len(report.results), sum(result.locked for result in report.results)
    each = [f"{count} {status}" for status in _WORST_FIRST if (count := report.counts[status])]
    of = f" of {named(report.manifest)}" if report.manifest else ""
    parts = [
        f"{total} pair{'' if total == 1 else 's'}{of}: {', '.join(each)}"
        if total
        else f"no pair{of} was checked",
        f"{locked} unchanged, answered from the lock" if locked else "",
        f"{report.deselected} not selected" if report.deselected else "",
        f"grubridge {report.environment['grubridge']}" if "grubridge" in report.environment else "",
    ]
    return "; ".join(filter(None, parts))


def headline(result: PairResult) -> str:
    """Return in a sentence on one line what became of a pair."""
    if result.status == "trouble":
        said = (result.trouble or "it could not be checked").strip().split("\n")[0]
    elif result.status == "xpassed":
        said = f"it was expected to be different ({result.reason}) and is not: take xfail out of the manifest"
    elif result.status == "xfailed":
        said = f"it is different, as was expected: {result.reason}"
    elif result.status == "inconclusive":
        said = result.cause or "not everything could be run and judged"
    elif result.status == "different":
        said = "; ".join(filter(None, (result.cause, _extent(result))))
    else:
        said = "" if result.headroom is None else f"within {_times(result, result.headroom)}"
    return sentence(said)


def _extent(result: PairResult) -> str:
    """How large a difference is, and where it begins."""
    headroom = result.headroom
    how = "" if headroom is None or headroom <= 1 else f"up to {_times(result, headroom)}"
    where = ""
    if result.report is not None:
        steps = map(place, by_edge(result.report.comparisons).values())
        weights = (difference(found) for one in result.report.proofs for found in one.proof.differences)
        where = next((found[0] for found in steps if found is not None), "") or next(weights, "")
    return " ".join(filter(None, (how, where)))


def _times(result: PairResult, headroom: float) -> str:
    """A ratio of error to what decides, in words."""
    tolerated = result.report is not None and result.report.tolerance is not None
    return times(headroom).replace("the bound", "your own tolerance") if tolerated else times(headroom)


def details(result: PairResult) -> Sequence[str]:
    """Return the lines, at most 24, that say what was compared, where it went wrong, by how much and why."""
    lines: list[str] = []
    if result.report is None:
        lines += (f"{chr(ord('A') + index)}  {named(one)}" for index, one in enumerate(result.artifacts[:26]))
    if result.status == "trouble":
        lines += wrapped("\n".join(printable(line, 1000) for line in (result.trouble or "").splitlines()))
    elif result.status == "xpassed":
        lines += wrapped(headline(result))
    if result.report is not None:
        lines += brief(result.report)
    elif result.status not in {"trouble", "xpassed"}:
        lines += wrapped(headline(result))
    return lines if len(lines) <= _DETAILS else [*lines[: _DETAILS - 1], "... (all of it with --format json)"]
