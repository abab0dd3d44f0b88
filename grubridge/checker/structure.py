"""What two specs say of themselves that makes them different functions, before anything is run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grubridge.reference import Cell, cell
from grubridge.spec import Array, GRULayer, GRUSpec

from .result import Cause

__all__ = ["conventions", "largest_weight_change", "shapes"]


def shapes(left: GRUSpec, right: GRUSpec, sides: tuple[str, str]) -> Cause | None:
    """Return why no input fits both specs, or no output of one the other's; None when they are alike."""
    if len(left.layers) != len(right.layers):
        return Cause("structure", f"{sides[0]} has {_count(left)}, {sides[1]} has {_count(right)}")
    for index, (one, other) in enumerate(zip(left.layers, right.layers, strict=True)):
        if _shape(one) != _shape(other):
            detail = f"layer {index} of {sides[0]} is {_shape(one)}; of {sides[1]}, {_shape(other)}"
            return Cause("structure", detail)
    return None


def conventions(left: GRUSpec, right: GRUSpec, sides: tuple[str, str]) -> tuple[Cause, ...]:
    """Return the settings in which two specs of one shape differ: equations, activations, clip, precision."""
    found: list[Cause] = []
    for index, (one, other) in enumerate(zip(left.layers, right.layers, strict=True)):
        here, there = _settings(one), _settings(other)
        found += (
            Cause(name, f"layer {index}: {here[name]} in {sides[0]}, {there[name]} in {sides[1]}")
            for name in here
            if here[name] != there[name]
        )
    change = largest_weight_change(left, right)
    if left.dtype != right.dtype and change:
        detail = (
            f"{sides[0]} stores its weights in {left.dtype.name}, {sides[1]} in {right.dtype.name}; "
            f"the numbers differ by up to {change:.2g}"
        )
        found.append(Cause("precision", detail))
    return tuple(found)


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


def _settings(layer: GRULayer) -> dict[str, str]:
    directions = list(layer.directions())
    when = "after" if layer.reset_after else "before"
    return {
        "reset mode": f"reset gate applied {when} the recurrent product",
        "clip": str(layer.clip),
        "gate activation": ", ".join(f"{name} {d.gate_activation}" for name, d in directions),
        "candidate activation": ", ".join(f"{name} {d.candidate_activation}" for name, d in directions),
    }
