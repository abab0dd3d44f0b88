"""-k: which pairs are meant, in pytest's manner: words of their names, with and, or, not and parentheses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from grubridge.errors import ManifestError
from grubridge.files.text import quoted

__all__ = ["selector"]

_TOKEN = re.compile(r"[()]|[^\s()]+")
_DEEPEST = 50

_Chooses = Callable[[str], bool]


def selector(expression: str) -> _Chooses:
    """Return whether an expression chooses a name: "kws and not (onnx or old)".

    A word chooses every name that it is a part of, in upper or lower case.

    Raises:
        ManifestError: when the expression is none.
    """
    return _Parser(expression).whole()


class _Parser:
    """Reads an expression from left to right; `and` binds more than `or`."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = _TOKEN.findall(expression)
        self._depth = 0

    def whole(self) -> _Chooses:
        found = self._any()
        if self._tokens:
            raise self._refusal(f"and, or or the end is expected before {quoted(self._tokens[0])}")
        return found

    def _any(self) -> _Chooses:
        parts = [self._all()]
        while self._taken("or"):
            parts.append(self._all())
        return lambda name: any(_each(parts, name))

    def _all(self) -> _Chooses:
        parts = [self._one()]
        while self._taken("and"):
            parts.append(self._one())
        return lambda name: all(_each(parts, name))

    def _one(self) -> _Chooses:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._refusal("it is nested too deep")
        try:
            if self._taken("not"):
                inner = self._one()
                return lambda name: not inner(name)
            if self._taken("("):
                inner = self._any()
                if not self._taken(")"):
                    raise self._refusal("a parenthesis is not closed")
                return inner
            if not self._tokens or self._tokens[0] in {"and", "or", ")"}:
                raise self._refusal("a word of a name is missing")
            word = self._tokens.pop(0).lower()
            return lambda name: word in name.lower()
        finally:
            self._depth -= 1

    def _taken(self, token: str) -> bool:
        if not self._tokens or self._tokens[0] != token:
            return False
        del self._tokens[0]
        return True

    def _refusal(self, why: str) -> ManifestError:
        return ManifestError(f'-k {quoted(self._expression)}: {why}; write e.g. -k "kws and not onnx"')


def _each(parts: Iterable[_Chooses], name: str) -> Iterable[bool]:
    return (part(name) for part in parts)
