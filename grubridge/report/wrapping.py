"""Text that fits narrow terminals, and text in columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from grubridge.files.text import inert_lines

__all__ = ["in_columns", "wrapped"]

_WIDTH = 60


def wrapped(text: str, indent: str = "", hanging: str = "  ") -> list[str]:
    """Return the lines of `text`, indented; what is too long goes on, `hanging` deeper. Line breaks are kept.

    Words are never broken: a path that is too long stays whole, so that it can be copied. Whatever name or
    message of a framework stands in the text, a terminal or a CI log has nothing to obey.
    """
    return [
        inert_lines(line)
        for part in text.splitlines()
        for line in textwrap.wrap(
            inert_lines(part.expandtabs()),
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line per row, its cells below each other; all rows have the same number of cells."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
