"""Shapes and numbers of two specs, before anything is run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grubridge.reference import Cell, cell
from grubridge.spec import Array, GRULayer, GRUSpec

__all__ = ["largest_weight_change", "shapes"]


def shapes(left: GRUSpec, right: GRUSpec, sides: tuple[str, str]) -> str | None:
    """Return why no input fits both specs, or no output of one the other's; None when they are alike."""
    if len(left.layers) != len(right.layers):
        return f"{sides[0]} has {_count(left)}, {sides[1]} has {_count(right)}"
    for index, (one, other) in enumerate(zip(left.layers, right.layers, strict=True)):
        if _shape(one) != _shape(other):
            return f"layer {index} of {sides[0]} is {_shape(one)}; of {sides[1]}, {_shape(other)}"
    return None


def largest_weight_change(left: GRUSpec, right: GRUSpec) -> float:
    """Return the largest |difference| of two numbers that play the same part; absent biases are zeros.

    Where the equations see only the sum of two biases, the sums are compared.
    """
    largest = 0.0
    pairs = zip(left.directions(), right.directions(), strict=True)
    for (index, _, one), (_, _, other) in pairs:
        numbers = cell(left.layers[index], one), cell(right.layers[index], other)
        for here, there in zip(*(_numbers(c) for c in numbers), strict=True):
            largest = max(largest, float(np.max(np.abs(here - there))))
    return largest


def _numbers(c: Cell) -> Iterator[Array]:
    for weight in (c.input_weight, c.recurrent_weight):
        yield from (array for _, array in weight.items())
    yield c.input_bias.update + c.recurrent_bias.update
    yield c.input_bias.reset + c.recurrent_bias.reset
    if c.layer.reset_after:
        yield c.input_bias.candidate
        yield c.recurrent_bias.candidate
    else:
        yield c.input_bias.candidate + c.recurrent_bias.candidate
        yield np.zeros_like(c.input_bias.candidate)
    state = c.direction.initial_state
    yield np.zeros(c.direction.hidden_size) if state is None else state.astype(np.float64)


def _count(spec: GRUSpec) -> str:
    return f"{len(spec.layers)} layer{'s' * (len(spec.layers) > 1)}"


def _shape(layer: GRULayer) -> str:
    ways = " and ".join(name for name, _ in layer.directions())
    return f"{layer.input_size} -> {layer.hidden_size} {ways}"
