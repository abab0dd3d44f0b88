"""TOML files that people write: read as data, and what is wrong in them told with its line.

Source: https://toml.io/en/v1.0.0.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grubridge.errors import DescriptionError, UnsafeFileError

from .opening import check_openable, shown
from .plain_data import Key
from .text import printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Limits", "TomlFile", "read_toml"]

_NO_KEY = re.compile(r""" "(?:[^"\\\n]|\\.)*" | '[^'\n]*' | \#[^\n]* """, re.VERBOSE)
_MOST_PARTS = 64
"""Of a key, in a line: TOML's parser takes a time that grows with their square."""
_MOST_DIGITS = 100
_EFFORT = 3 << 20
"""How many characters are parsed again to find a line; a line by itself takes as long as eight."""


@dataclass(frozen=True)
class Limits:
    """How large a file may be.

    Args:
        size: in bytes.
        lines: their number.
        told: what such a file takes, for the message.
    """

    size: int
    lines: int
    told: str


@dataclass(frozen=True)
class TomlFile:
    """A TOML file.

    Args:
        path: the file.
        text: its text, lines ended by newlines.
        values: what it says.
        error: what is raised of it.
    """

    path: Path
    text: str
    values: dict[str, Any]
    error: type[DescriptionError]

    def located(self, wrong: DescriptionError) -> DescriptionError:
        """Return the error with the file, the line and the key in front of its message."""
        where = ".".join(printable(part) for part in wrong.key if isinstance(part, str))
        line = _line(self.text, wrong.key) if wrong.key else None
        at = "" if line is None else f", line {line}"
        return self.error(f"{shown(self.path)}{at}{f': {where}' if where else ''}: {wrong}", wrong.key)


def read_toml(path: Path, limits: Limits, error: type[DescriptionError]) -> TomlFile:
    """Read a TOML file.

    Args:
        path: the file.
        limits: how large it may be.
        error: what is raised when it is no TOML.

    Raises:
        FileFormatError: when it cannot be opened, or is too large.
    """
    text = _text(path, limits, error)
    for number, line in enumerate(_NO_KEY.sub("", text).split("\n"), 1):
        if line.count(".") > _MOST_PARTS:
            raise error(f"{shown(path)}, line {number}: a key of more than {_MOST_PARTS} parts")
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as wrong:  # a ValueError of Python's own for a number of 5,000 digits
        why = "tables nested too deep" if isinstance(wrong, RecursionError) else printable(wrong)
        raise error(f"{shown(path)}: this is not TOML: {why}") from None
    if any(abs(number) >= 10**_MOST_DIGITS for number in _whole_numbers(values)):
        raise error(f"{shown(path)}: a number of more than {_MOST_DIGITS} digits")
    return TomlFile(path, text, values, error)


def _whole_numbers(values: dict[str, Any]) -> Iterator[int]:
    waiting: list[Any] = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, int):
            yield value


def _text(path: Path, limits: Limits, error: type[DescriptionError]) -> str:
    size = check_openable(path)
    if size > limits.size:
        raise UnsafeFileError(f"{shown(path)}: {limits.told}; this file has {size} bytes")
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")  # some editors begin with a mark
    except UnicodeDecodeError:
        raise error(f"{shown(path)}: this is not TOML: it is not UTF-8") from None
    lines = text.count("\n")
    if lines > limits.lines:
        raise UnsafeFileError(f"{shown(path)}: {limits.told}; this file has {lines} of them")
    return text


def _line(text: str, key: Key) -> int | None:
    """Return the line, counted from 1, on which the value at `key` begins; None where that takes too long.

    TOML's parser does not tell. What stands above a line is TOML too, unless a value goes on there: the key
    begins right after the last such part that lacks it.
    """
    lines = text.split("\n")
    without, having, left = 0, len(lines), _EFFORT
    while having - without > 1:
        middle = (without + having) // 2
        for end in range(middle, having):
            left -= sum(len(line) + 8 for line in lines[:end])
            if left < 0:
                return None
            holds = _holds(lines[:end], key)
            if holds is not None:
                break
        else:
            holds = True
        if holds:
            having = middle
        else:
            without = end
    return without + 1


def _holds(lines: Sequence[str], key: Key) -> bool | None:
    """Return whether some lines hold a value at `key`; None when they are no TOML by themselves."""
    try:
        value: Any = tomllib.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return None
    for part in key:
        members = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if part not in members:
            return False
        value = value[part]
    return True
