"""JSON out of model files: sizes and depth are limited, and what parsers disagree about is refused."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

from grubridge.errors import CorruptFileError, UnsafeFileError

from .limits import excess
from .text import printable, quoted

__all__ = ["LARGEST_JSON", "parse_json"]

LARGEST_JSON = 16 << 20
"""Bytes; the configuration of a model with a thousand layers takes one or two million."""

_DEEPEST = 200
_MOST_DIGITS = 100


def parse_json(content: bytes | str, where: str) -> object:
    """Return what the JSON text `content` says.

    Args:
        content: the text; bytes are UTF-8.
        where: the file and the place in it, for messages.

    Raises:
        CorruptFileError: when it is not JSON, repeats a key or holds NaN, infinity or an absurd number.
        UnsafeFileError: when it is larger or deeper than any model needs.
    """
    problem = excess(len(content), LARGEST_JSON)
    if problem:
        raise UnsafeFileError(f"{where}: its JSON {problem}")
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        parsed = json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_constant=_refuse_constant,
            parse_int=_whole,
            parse_float=_finite,
        )
    except RecursionError:
        raise _too_deep(where) from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise CorruptFileError(
            f"{where}: expected JSON; received something else ({printable(error)}); the file is damaged"
        ) from None
    _check_depth(parsed, where)
    return parsed


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        repeated = next(key for key, count in counts.items() if count > 1)
        raise ValueError(f"the key {quoted(repeated)} is there twice")
    return made


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _whole(digits: str) -> int:
    """Return a whole number; one of thousands of digits could be neither printed nor made a float."""
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{printable(digits)} is larger than any float")
    return number


def _check_depth(parsed: object, where: str) -> None:
    level, depth = [parsed], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise _too_deep(where)
        inner: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
        level = inner


def _too_deep(where: str) -> UnsafeFileError:
    return UnsafeFileError(
        f"{where}: JSON nested more than {_DEEPEST} levels deep; a real model does not need that: the file "
        "is damaged or hostile"
    )
