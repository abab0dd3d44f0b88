"""Text that fits narrow terminals."""

from __future__ import annotations

import textwrap

__all__ = ["wrapped"]

_WIDTH = 60


def wrapped(text: str, indent: str = "", hanging: str = "  ") -> list[str]:
    """Return the lines of `text`, indented; what is too long goes on, `hanging` deeper. Line breaks are kept.

    Words are never broken: a path that is too long stays whole, so that it can be copied.
    """
    return [
        line
        for part in text.splitlines()
        for line in textwrap.wrap(
            part,
            _WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
