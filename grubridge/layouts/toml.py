"""Layouts as TOML files: the shipped ones by name, anyone's own by path. Source: https://toml.io/en/v1.0.0."""

from __future__ import annotations

import json
import re
from pathlib import Path

from grubridge.errors import LayoutError
from grubridge.files.text import nearest, quoted
from grubridge.files.toml_data import Limits, read_toml

from .description import CellLayout
from .document import from_json, to_json

__all__ = ["SHIPPED", "from_json", "load", "shipped", "to_json", "to_toml"]

SHIPPED = Path(__file__).parent / "shipped"
"""Where the .toml files of the shipped layouts are."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LIMITS = Limits(64 << 10, 1000, "a layout takes a few lines")


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
            f"no layout is called {quoted(name)}.{nearest(name, shipped())} "
            f"Known: {', '.join(shipped())}; your own is the path of a .toml file"
        )
    file = read_toml(path, _LIMITS, LayoutError)
    try:
        return from_json(file.values)
    except LayoutError as error:
        raise file.located(error) from None


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
