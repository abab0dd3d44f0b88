"""Numbers that play the same part in two normal forms, held against each other exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from grubridge.files.strips import all_finite, equal_bits
from grubridge.spec import GATE_NAMES, RESET, Array
from grubridge.spec.normal import Exact, NormalDirection, exact_sum, tiles

__all__ = ["Difference", "Pair", "difference", "differing", "pairs"]


@dataclass(frozen=True)
class Pair:
    """One tensor of two directions.

    Args:
        name: e.g. "recurrent_weight.reset".
        left: [H] or [H, columns].
        right: the same shape.
        idle: [H] bool; rows that matter on neither side.
        columns: what they are: the direction's "inputs" or its own "units"; "" of a vector.
    """

    name: str
    left: Exact
    right: Exact
    idle: Array
    columns: Literal["inputs", "units", ""] = ""


@dataclass(frozen=True)
class Difference:
    """How two tensors differ.

    Args:
        max_abs: the largest |left - right| of finite numbers; None when no such pair differs.
        index: where that is, or else the first NaN or infinity.
        values: left and right there.
        count: of numbers that differ; what is not finite differs from everything.
        not_finite: how many of these are NaN or infinite on a side.
        rounded: "left" when left's numbers rounded to right's dtype are right's, "right" the other way round.
    """

    max_abs: float | None
    index: tuple[int, ...]
    values: tuple[float, float]
    count: int
    not_finite: int
    rounded: Literal["left", "right"] | None


def pairs(one: NormalDirection, other: NormalDirection) -> Iterator[Pair]:
    """Yield every tensor of two directions of the same sizes."""
    none = np.zeros_like(one.idle_reset)
    idle = one.idle_reset & other.idle_reset
    for gate in GATE_NAMES:
        rows = idle if gate == RESET else none
        inputs = one.input_weight[gate], other.input_weight[gate]
        units = one.recurrent_weight[gate], other.recurrent_weight[gate]
        yield Pair(f"input_weight.{gate}", *inputs, rows, "inputs")
        yield Pair(f"recurrent_weight.{gate}", *units, rows, "units")
    yield Pair("bias.update (sum)", one.bias.update, other.bias.update, none)
    yield Pair("bias.reset (sum)", one.bias.reset, other.bias.reset, idle)
    if one.reset_modes & other.reset_modes == {True}:
        yield Pair("input_bias.candidate", one.bias.candidate, other.bias.candidate, none)
        yield Pair("recurrent_bias.candidate", one.reset_bias, other.reset_bias, none)
    else:
        yield Pair("bias.candidate (sum)", _candidate_sum(one), _candidate_sum(other), none)
    yield Pair("initial_state", one.initial_state, other.initial_state, none)


def _candidate_sum(direction: NormalDirection) -> Exact:
    """All that is added to the candidate; where r multiplies a part of it, that part comes last."""
    if not direction.reset_bias.high.any():
        return direction.bias.candidate
    return exact_sum(direction.bias.candidate.high, direction.reset_bias.high)


def difference(pair: Pair, dtypes: tuple[np.dtype[Any], np.dtype[Any]]) -> Difference | None:
    """Return how the two sides of `pair` differ; None when all numbers are finite and equal.

    Memory stays at a few tiles, whatever the size.

    Args:
        pair: the two.
        dtypes: what the two specs store.
    """
    left, right = pair.left, pair.right
    alike = left.low is None and right.low is None and left.high.dtype == right.high.dtype
    if alike and equal_bits(left.high, right.high) and all_finite(left.high):
        return None
    count, not_finite = 0, 0
    max_abs: float | None = None
    index: tuple[int, ...] | None = None
    for where in tiles(left.high.shape):
        apart = differing(left.at(where), right.at(where), pair.idle[where[0]])
        here = int(np.count_nonzero(apart))
        if not here:
            continue
        count += here
        largest = float(apart.max())
        if not np.isfinite(largest):
            wild = ~np.isfinite(apart)
            not_finite += int(np.count_nonzero(wild))
            index = index or _largest(wild, where)
            apart[wild] = 0
            largest = float(apart.max())
        if largest > (max_abs or 0.0):
            max_abs, index = largest, _largest(apart, where)
    if index is None:
        return None
    values = float(_value(left, index)), float(_value(right, index))
    return Difference(max_abs, index, values, count, not_finite, _rounded(pair, dtypes))


def differing(one: tuple[Array, Array | float], other: tuple[Array, Array | float], idle: Array) -> Array:
    """Return |one - other| of a part, float64; NaN where a side is not finite, 0 in rows that are idle."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart: Array = one[0] - other[0]
        if isinstance(one[1], np.ndarray) or isinstance(other[1], np.ndarray):
            apart += one[1] - other[1]
        np.abs(apart, out=apart)
    if idle.any():
        apart[idle] = 0
    return apart


def _largest(numbers: Array, where: tuple[slice, ...]) -> tuple[int, ...]:
    """Return where the largest number of a tile is, in the whole tensor."""
    inside = np.unravel_index(int(np.argmax(numbers)), numbers.shape)
    return tuple(int(i) + int(tile.start) for i, tile in zip(inside, where, strict=True))


def _value(numbers: Exact, index: tuple[int, ...]) -> float:
    return float(numbers.high[index]) + (0.0 if numbers.low is None else float(numbers.low[index]))


def _rounded(pair: Pair, dtypes: tuple[np.dtype[Any], np.dtype[Any]]) -> Literal["left", "right"] | None:
    if dtypes[0] == dtypes[1] and pair.left.low is None and pair.right.low is None:
        return None
    if _rounds_to(pair.left, pair.right, dtypes[1], pair.idle):
        return "left"
    return "right" if _rounds_to(pair.right, pair.left, dtypes[0], pair.idle) else None


def _rounds_to(exact: Exact, stored: Exact, dtype: np.dtype[Any], idle: Array) -> bool:
    with np.errstate(over="ignore"):
        for where in tiles(exact.high.shape):
            rounded = exact.high[where].astype(dtype).astype(np.float64), 0.0
            if differing(rounded, stored.at(where), idle[where[0]]).any():
                return False
    return True
