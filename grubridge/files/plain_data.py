"""Descriptions that people write, as plain values of TOML or JSON: what is wrong is told with its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from grubridge.errors import DescriptionError

from .text import nearest, printable

__all__ = ["NUMBER", "Key", "PlainData", "field_names"]

Key = tuple[str | int, ...]
"""The way to a value, outermost part first; a number counts the members of a list from 0."""

NUMBER = (int, float)
_KINDS: dict[type | tuple[type, ...], str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    list: "a list",
    NUMBER: "a number",
}


def field_names(kind: type) -> frozenset[str]:
    """Return the names of a dataclass's fields."""
    return frozenset(field.name for field in fields(kind))


@dataclass(frozen=True)
class PlainData:
    """Checks of plain values.

    Args:
        error: what is raised, with the key of what is wrong.
    """

    error: type[DescriptionError]

    def table(
        self, value: object, key: Key, known: Iterable[str] | None = None, required: Iterable[str] = ()
    ) -> Mapping[str, Any]:
        """Return a table whose keys are among `known`, any where that is None, and hold all of `required`."""
        if not isinstance(value, dict):
            raise self.error(f"expected a table; received {_received(value)}", key)
        for name in value:
            if known is not None and name not in known:
                raise self.error(
                    f"unknown key.{nearest(str(name), known)} Known: {', '.join(sorted(known))}",
                    (*key, str(name)),
                )
        for name in required:
            if name not in value:
                raise self.error(f"{name} is missing", key)
        return value

    def typed(self, value: object, key: Key, kind: type | tuple[type, ...]) -> Any:  # noqa: ANN401 - any of _KINDS
        """Return a value of `kind`; true and false are no numbers."""
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"expected {_KINDS[kind]}; received {_received(value)}", key)
        return value

    def one_of(self, value: object, key: Key, allowed: Sequence[str]) -> str:
        """Return a text that is among `allowed`."""
        if not isinstance(value, str) or value not in allowed:
            guess = nearest(value, allowed) if isinstance(value, str) else ""
            raise self.error(
                f"expected one of {', '.join(allowed)}; received {_received(value)}.{guess}", key
            )
        return value

    def some_of(self, value: object, key: Key, allowed: Sequence[str]) -> tuple[str, ...]:
        """Return a list's members, all among `allowed`; a text stands for a list of one."""
        members = value if isinstance(value, list) else [value]
        return tuple(self.one_of(member, key, allowed) for member in members)


def _received(value: object) -> str:
    try:
        text = repr(value)
    except RecursionError:  # a table in a table in a table, ...
        text = "of many parts"
    return f"the {type(value).__name__} {printable(text, 60)}"
