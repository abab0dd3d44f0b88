"""A suite as Markdown, for the summary of a job or a comment: a row for every pair, then what fails.

GitHub drops a summary beyond 1 MiB altogether, so what is least bad is left out, and a line says so. Names,
and all words that are more than letters, digits and punctuation, stand in code spans, where nothing is taken
for Markdown, HTML, a mention or a link.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from grubridge.suite.result import PairResult, SuiteReport

from .words import FAILING, counts, details, headline, named, outcome, ratio, sentence

__all__ = ["markdown"]

_LIMIT = 900_000
"""Bytes: the same step may write more to its summary."""
_PLAIN = re.compile(r"(?!www\.)([^\W_]|[,;:.()'+%-])*", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"([\[(]*)([^\[\](){}<>]+)([\])]*)")
_TABLE = ["| pair | status | error/bound | what |", "| :-- | :-- | --: | :-- |"]


def markdown(report: SuiteReport) -> str:
    """Return the Markdown, worst pairs first."""
    head = [f"### grubridge: {outcome(report)}", _prose(counts(report))]
    notes = _fitting((f"- {_prose(sentence(warning))}" for warning in report.warnings), _LIMIT // 10)
    rows = _fitting(map(_row, report.results), _LIMIT // 2)
    failing = [one for one in report.results if one.status in FAILING]
    failures = _fitting(map(_failure, failing), _LIMIT - sum(map(_size, [*head, *notes, *rows])))
    blocks = [
        *head,
        "\n".join(notes),
        _left("{} more warnings are left out.", report.warnings, notes),
        "\n".join([*_TABLE, *rows]) if rows else "",
        _left("{} more pairs are left out of this table.", report.results, rows),
        *failures,
        _left("What is wrong with {} more pairs is left out.", failing, failures),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _left(said: str, all_of_it: Sequence[object], kept: Sequence[object]) -> str:
    left = len(all_of_it) - len(kept)
    return said.format(left) if left else ""


def _fitting(parts: Iterable[str], limit: int) -> list[str]:
    """Return the first parts that fit."""
    kept: list[str] = []
    for part in parts:
        limit -= _size(part)
        if limit < 0:
            break
        kept.append(part)
    return kept


def _size(part: str) -> int:
    return len(part.encode("utf-8", "backslashreplace")) + len("\n\n")


def _row(result: PairResult) -> str:
    status = f"{result.status} (unchanged)" if result.locked else result.status
    cells = (_code(named(result.name)), status, ratio(result.headroom), _told(result))
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _told(result: PairResult) -> str:
    said = [] if result.status == "equivalent" else [headline(result)]
    return "<br>".join(map(_prose, [*said, *map(sentence, result.warnings)]))


def _failure(result: PairResult) -> str:
    """What is wrong with a pair, folded."""
    lines = list(details(result))
    fence = "`" * max(3, 1 + _longest_run("\n".join(lines)))
    title = f"<code>{html.escape(named(result.name))}</code>: {result.status}"
    return "\n".join(
        [f"<details><summary>{title}</summary>", "", f"{fence}text", *lines, fence, "", "</details>"]
    )


def _prose(text: str) -> str:
    return " ".join(map(_word, text.split(" ")))


def _word(text: str) -> str:
    word = text.rstrip(",;:.")
    end = text[len(word) :]
    found = _IN_BRACKETS.fullmatch(word)
    if found is None:
        return (word if _PLAIN.fullmatch(word) else _code(word)) + end
    before, inside, after = found.groups()
    inside = inside if _PLAIN.fullmatch(inside) else _code(inside)
    return before.replace("[", r"\[") + inside + after.replace("]", r"\]") + end


def _code(text: str) -> str:
    """Return a code span, whose fence is longer than any run of backticks in the text."""
    fence = "`" * (1 + _longest_run(text))
    edge = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{edge}{text}{edge}{fence}" if text else ""


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
