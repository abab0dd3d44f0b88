"""Biases brought to the kind that a target stores: absence made zeros, or two biases made one.

Zeros in the place of an absent bias are the same function. Two biases may be summed into one where the
equations only ever see their sum, that is everywhere but in the candidate when the reset gate comes
after the product; the sum is rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from .fused import Array
from .gates import Gates
from .gru import GRUDirection, GRULayer, GRUSpec
from .ledger import Action

__all__ = ["BiasChange", "has_biases", "split_biases", "sum_biases"]


@dataclass(frozen=True)
class BiasChange:
    """What happened to one bias, and the largest |new - old| that rounding caused."""

    action: Action
    largest_change: float = 0.0


def split_biases(layer: GRULayer) -> tuple[GRULayer, Mapping[str, BiasChange]]:
    """Give every direction of `layer` an input and a recurrent bias for all gates, zeros where absent.

    Returns:
        The layer, and the changes by canonical part, e.g. {"forward recurrent_bias": zero-filled}.
    """
    changes: dict[str, BiasChange] = {}
    directions: dict[str, GRUDirection] = {}
    for name, direction in layer.directions():
        zeros = np.zeros(direction.hidden_size, direction.input_weight.update.dtype)
        split = direction
        if direction.input_bias is None:
            split = replace(split, input_bias=Gates(zeros, zeros, zeros))
            changes[f"{name} input_bias"] = BiasChange("zero-filled")
        recurrent = direction.recurrent_bias
        if recurrent is None or recurrent.update is None:
            candidate = zeros if recurrent is None else recurrent.candidate
            split = replace(split, recurrent_bias=Gates(zeros, zeros, candidate))
            changes[f"{name} recurrent_bias"] = BiasChange("zero-filled")
        directions[name] = split
    return _with(layer, directions), changes


def sum_biases(layer: GRULayer) -> tuple[GRULayer, Mapping[str, BiasChange]]:
    """Give every direction of a reset-before `layer` one bias: the sum of the two, zeros where absent.

    Returns:
        The layer, and the changes by canonical part, e.g. {"forward input_bias": summed}.
    """
    changes: dict[str, BiasChange] = {}
    directions: dict[str, GRUDirection] = {}
    for name, direction in layer.directions():
        zeros = np.zeros(direction.hidden_size, direction.input_weight.update.dtype)
        biases = direction.input_bias or Gates(zeros, zeros, zeros)
        if direction.recurrent_bias is not None:
            largest = 0.0
            sums: list[Array] = []
            for (_, one), (_, other) in zip(biases.items(), direction.recurrent_bias.items(), strict=True):
                total = one if other is None else one + other
                exact = one.astype(np.float64) + (0.0 if other is None else other.astype(np.float64))
                largest = max(largest, float(np.max(np.abs(total.astype(np.float64) - exact), initial=0.0)))
                sums.append(total)
            biases = Gates(*sums)
            changes[f"{name} input_bias"] = BiasChange("summed", largest)
        elif direction.input_bias is None:
            changes[f"{name} input_bias"] = BiasChange("zero-filled")
        directions[name] = replace(direction, input_bias=biases, recurrent_bias=None)
    return _with(layer, directions), changes


def has_biases(spec: GRUSpec) -> bool:
    """Whether any direction of `spec` has a bias."""
    return any(direction.has_bias for _, _, direction in spec.directions())


def _with(layer: GRULayer, directions: Mapping[str, GRUDirection]) -> GRULayer:
    return replace(layer, forward=directions.get("forward"), backward=directions.get("backward"))
