"""Names, most of them out of files: made safe to print, put in order, guessed when mistyped."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Sequence

__all__ = ["inert_lines", "listed", "natural_order", "nearest", "printable", "printable_lines", "quoted"]

_LONGEST = 120
_COMMAND = re.compile(r"^(\s*)(?=::)|(?<=##)(?=\[)", re.MULTILINE)
_TEXT_AND_NUMBER = re.compile(r"([^0-9]*)([0-9]{0,18})")


def printable(name: object, longest: int = _LONGEST) -> str:
    """Return `name` with control, bidirectional and other odd characters escaped, cut at `longest`."""
    # `ascii`, because a process that may open no more files cannot import a codec
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))
    return text if len(text) <= longest else text[: longest - 3] + "..."


def printable_lines(text: str) -> str:
    """Return a text with all odd characters but its line breaks escaped, however long it is."""
    lines = text.split("\n")
    return "\n".join(line if line.isprintable() else printable(line, sys.maxsize) for line in lines)


def inert_lines(text: str) -> str:
    """Return `printable_lines` of a text in which GitHub, where it runs this, finds no command either.

    Its runner obeys lines that begin with `::`, and `##[` anywhere (ActionCommand.cs).
    """
    return _COMMAND.sub(r"\1\\", printable_lines(text))


def quoted(name: object, longest: int = _LONGEST) -> str:
    """Return `name` in quotes as Python writes a string, odd characters escaped, cut at `longest`."""
    text = repr(str(name))
    return text if len(text) <= longest + 2 else f"{text[: longest - 2]}...{text[-1]}"


def listed(names: Sequence[str], longest: int = 12) -> str:
    """Return names with commas between, "and 3 more" in the place of those past `longest`."""
    rest = len(names) - longest
    return ", ".join(map(printable, names[:longest])) + (f" and {rest} more" if rest > 0 else "")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ' Did you mean ...?' with the known name closest to `name`, or ''."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {quoted(close[0])}?" if close else ""


def natural_order(name: str) -> tuple[tuple[str, int], ...]:
    """Return the sort key that puts gru_2 before gru_10."""
    return tuple((text, int(digits or -1)) for text, digits in _TEXT_AND_NUMBER.findall(name))
