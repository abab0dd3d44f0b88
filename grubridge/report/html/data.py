"""Numbers for the script of a page: arrays as base64 inside JSON, so that none is rounded."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grubridge.spec import Array

__all__ = ["Series", "by_quantity", "in_script", "packed"]

_KINDS = {"float64": "<f8", "float32": "<f4", "uint32": "<u4", "uint16": "<u2"}


@dataclass(frozen=True)
class Series:
    """The arrays of one quantity, packed."""

    quantity: str
    arrays: Mapping[str, Mapping[str, str]]


def packed(array: Array) -> dict[str, str]:
    """Return an array of numbers in its own precision, flat: {"type": "f4", "data": base64}.

    Whole numbers, which are indices, take two bytes where that is enough, else four.
    """
    if array.dtype.kind in "iu":
        array = array.astype(np.uint16 if array.max(initial=0) < 2**16 else np.uint32)
    kind = _KINDS[array.dtype.name]
    data = base64.b64encode(np.ascontiguousarray(array).astype(kind).tobytes())
    return {"type": kind[1:], "data": data.decode("ascii")}


def by_quantity(series: Iterable[Series]) -> dict[str, Mapping[str, Mapping[str, str]]]:
    """Return packed arrays by quantity and name."""
    return {one.quantity: one.arrays for one in series}


def in_script(value: Any) -> str:  # noqa: ANN401 - JSON values
    r"""Return JSON that stays inside its <script>: no `<`, `>` or `&`, no line separator; each as \uXXXX."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.replace("##[", r"##\u005b")  # a command, in the log of a job on GitHub
