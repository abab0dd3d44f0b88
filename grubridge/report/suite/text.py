"""A suite in words: a line for every pair, worst first, what is wrong with those that fail, and counts."""

from __future__ import annotations

from collections.abc import Iterator

from grubridge.report.wrapping import wrapped
from grubridge.suite.result import PairResult, SuiteReport

from .words import FAILING, counted, details, headline, named, ratio, sentence

__all__ = ["render"]


def render(report: SuiteReport) -> str:
    """Return the text of a suite, ASCII but for names that the user chose; the counts are the last line."""
    lines = []
    if report.results:
        lines = ["status        error/bound  pair", *map(_row, report.results), *_notes(report), ""]
    for result in report.results:
        if result.status in FAILING:
            lines += [f"{result.status.upper()}  {named(result.name)}", *details(result), ""]
    return "\n".join([*lines, counted(report)]) + "\n"


def _row(result: PairResult) -> str:
    unchanged = "  (unchanged)" if result.locked else ""
    return f"{result.status.upper():<12}  {ratio(result.headroom):>11}  {named(result.name)}{unchanged}"


def _notes(report: SuiteReport) -> Iterator[str]:
    """What a reader should know although nothing failed."""
    for warning in report.warnings:
        yield from wrapped(f"warning: {sentence(warning)}")
    for result in report.results:
        for warning in result.warnings:
            yield from wrapped(f"warning: {named(result.name)}: {sentence(warning)}")
        if result.status == "xfailed":
            yield from wrapped(f"note: {named(result.name)}: {headline(result)}")
