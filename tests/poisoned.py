"""Results in which every text that may come from a file is another one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["poisoned"]


def poisoned(value: Any, name: str) -> Any:
    """Return a result with `name` before every text in it that is not one of a fixed set.

    Its fields say by their types whether they are: a `str` may be anything, a Literal may not. What was
    computed from is left alone.
    """
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    if type(value).__module__.startswith(("grubridge.spec", "grubridge.traces")):
        return value
    changes = {
        field.name: _changed(getattr(value, field.name), name, str(field.type))
        for field in dataclasses.fields(value)
        if field.init
    }
    return dataclasses.replace(value, **changes)


def _changed(value: Any, name: str, kind: str) -> Any:
    if isinstance(value, str):
        return name + value if re.search(r"\bstr\b", kind) else value
    if isinstance(value, Path):
        return Path(name + str(value))
    if isinstance(value, tuple):
        return tuple(_changed(one, name, kind) for one in value)
    if isinstance(value, Mapping):
        of_keys = "str" if re.search(r"Mapping\[str|dict\[str", kind) else ""
        return {_changed(key, name, of_keys): _changed(held, name, kind) for key, held in value.items()}
    return poisoned(value, name)
