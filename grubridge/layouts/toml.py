"""Layouts as TOML files: the shipped ones by name, anyone's own by path. Source: https://toml.io/en/v1.0.0."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from grubridge.errors import LayoutError, UnsafeFileError
from grubridge.files.opening import check_openable, shown
from grubridge.files.text import nearest, printable

from .description import CellLayout
from .document import from_json, to_json

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["SHIPPED", "from_json", "load", "shipped", "to_json", "to_toml"]

SHIPPED = Path(__file__).parent / "shipped"
"""Where the .toml files of the shipped layouts are."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LARGEST = 64 << 10
_MOST_LINES = 1000


def shipped() -> tuple[str, ...]:
    """Return the names of the layouts that come with grubridge."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def load(layout: str | Path) -> CellLayout:
    """Return a layout.

    Args:
        layout: the name of a shipped one, or the path of a .toml file.

    Raises:
        FileFormatError: when the file cannot be opened.
        LayoutError: when there is no such layout, or the file describes none; the message says file and line.
    """
    name = str(layout)
    if name in shipped():
        path = SHIPPED / f"{name}.toml"
    elif name.lower().endswith(".toml"):
        path = Path(layout)
    else:
        raise LayoutError(
            f"no layout is called {printable(name)!r}.{nearest(name, shipped())} "
            f"Known: {', '.join(shipped())}; your own is the path of a .toml file"
        )
    text = _text(path)
    try:
        return from_json(tomllib.loads(text))
    except LayoutError as error:
        where = ".".join(printable(part) for part in error.key)
        at = f", line {_line(text, error.key)}: {where}" if error.key else ""
        raise LayoutError(f"{shown(path)}{at}: {error}", error.key) from None
    except (ValueError, RecursionError) as error:  # a ValueError of Python's own for a number of 5,000 digits
        why = "tables nested too deep" if isinstance(error, RecursionError) else printable(error)
        raise LayoutError(f"{shown(path)}: this is not TOML: {why}") from None


def to_toml(layout: CellLayout) -> str:
    """Return the text of a .toml file that `load` reads the layout from; a line for each tensor."""
    document = to_json(layout)
    tensors = document.pop("tensors")
    lines = [f"{key} = {_value(value)}" for key, value in document.items()]
    keys = [name if _BARE_KEY.fullmatch(name) else _value(name) for name in tensors]
    named = [f"{key} = {_value(tensor)}" for key, tensor in zip(keys, tensors.values(), strict=True)]
    return "\n".join([*lines, "", "[tensors]", *named]) + "\n"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]" if len(value) > 1 else _value(value[0])
    # true and false, numbers and text are the same in TOML, but for one character that it wants escaped
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _text(path: Path) -> str:
    size = check_openable(path)
    if size > _LARGEST:
        raise UnsafeFileError(f"{shown(path)}: a layout takes a few lines; this file has {size} bytes")
    try:
        text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise LayoutError(f"{shown(path)}: this is not TOML: it is not UTF-8") from None
    lines = text.count("\n")
    if lines > _MOST_LINES:
        raise UnsafeFileError(f"{shown(path)}: a layout takes a few lines; this file has {lines} of them")
    return text


def _line(text: str, key: Sequence[str]) -> int:
    """Return the line, counted from 1, on which the value at `key` begins.

    TOML's parser does not tell. What stands above a line is TOML too, unless a value goes on there: the key
    begins right after the last such part that lacks it.
    """
    lines = text.split("\n")
    without, having = 0, len(lines)
    while having - without > 1:
        middle = (without + having) // 2
        end = next((at for at in range(middle, having) if _holds(lines[:at], key) is not None), having)
        if end == having or _holds(lines[:end], key):
            having = middle
        else:
            without = end
    return without + 1


def _holds(lines: Sequence[str], key: Sequence[str]) -> bool | None:
    """Return whether some lines hold a value at `key`; None when they are no TOML by themselves."""
    try:
        value: object = tomllib.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return None
    for part in key:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True
