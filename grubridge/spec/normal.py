"""The normal form of a direction: what it computes, without the choices that compute the same.

Two directions with equal normal forms are the same function of real numbers. What is brought to one form:

- An absent bias or initial state is zeros, and -0.0 is 0.0.
- Biases that the equations only ever see as a sum are that sum, exactly: those of the update and the reset
  gate, and those of the candidate unless r multiplies one of them.
- An activation that is another one for its parameters is called by one name: scaled_tanh(1, 1) is tanh.
- r * (U_n h + c_n) is U_n (r * h) + c_n when U_n is diagonal and c_n zero: either reset mode is the other.
- An absent reset gate is r = 1: what it would multiply is added outside of it, and either reset mode is the
  other. The numbers in its place do not matter.
- The reset gate of a unit is idle where r only ever multiplies zeros. Its weights then do not matter.

Only true statements about real numbers are used, not all of them: unequal forms prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from .activation import TANH, Activation
from .fused import Array
from .gates import RESET, Gate, Gates
from .gru import GRUDirection, GRULayer

__all__ = ["Exact", "NormalDirection", "exact_sum", "normal_activation", "normal_form", "tiles"]

_TILE = 512  # numbers along each axis; the float64 values of a tile stay in a processor's cache


@dataclass(frozen=True)
class Exact:
    """Real numbers, each `high + low` without any rounding.

    Args:
        high: [H] or [H, ...], one of `DTYPES`.
        low: what `high` leaves of sums, float64, of the same shape; None where nothing is left.
    """

    high: Array
    low: Array | None = None

    def at(self, where: tuple[slice | Array, ...]) -> tuple[Array, Array | float]:
        """Return `high` and `low` of a part in float64."""
        return self.high[where].astype(np.float64, order="C"), 0.0 if self.low is None else self.low[where]


@dataclass(frozen=True)
class NormalDirection:
    """What one direction computes. Weights are views of the spec's own arrays.

    Args:
        input_weight: each gate [H, I].
        recurrent_weight: each gate [H, H].
        bias: each gate [H]; everything that is added outside of r.
        reset_bias: [H]; added to U_n h and multiplied by r with it.
        initial_state: [H].
        gate_activation: in its one form.
        candidate_activation: likewise.
        reset_modes: the values of `reset_after` that make this function; both where it does not matter.
        clip: of the pre-activations; None does not clip.
        idle_reset: [H] bool; where True, the reset gate's row of weights and its bias do not matter.
        absent_gates: the gates that the cell does not have.
    """

    input_weight: Gates[Exact]
    recurrent_weight: Gates[Exact]
    bias: Gates[Exact]
    reset_bias: Exact
    initial_state: Exact
    gate_activation: Activation
    candidate_activation: Activation
    reset_modes: frozenset[bool]
    clip: float | None
    idle_reset: Array
    absent_gates: frozenset[Gate]


def normal_form(layer: GRULayer, direction: GRUDirection) -> NormalDirection:
    """Return the normal form of `direction` of `layer`."""
    zeros = np.zeros(direction.hidden_size)
    no_biases = Gates[Array | None](None, None, None)

    def wide(vector: Array | None) -> Array:
        return zeros if vector is None else vector.astype(np.float64)

    b = Gates(*(wide(bias) for _, bias in (direction.input_bias or no_biases).items()))
    c = Gates(*(wide(bias) for _, bias in (direction.recurrent_bias or no_biases).items()))
    ungated = RESET in direction.absent_gates
    parted = layer.reset_after and not ungated
    inside = c.candidate if parted else zeros
    candidate = Exact(b.candidate) if parted else exact_sum(b.candidate, c.candidate)
    weight = direction.recurrent_weight.candidate
    either = ungated or (not inside.any() and _is_diagonal(weight))
    used = _nonzero_rows(weight) | (inside != 0) if layer.reset_after else _nonzero_rows(weight.T)
    return NormalDirection(
        direction.input_weight.map(Exact),
        direction.recurrent_weight.map(Exact),
        Gates(exact_sum(b.update, c.update), exact_sum(b.reset, c.reset), candidate),
        Exact(inside),
        Exact(wide(direction.initial_state)),
        normal_activation(direction.gate_activation),
        normal_activation(direction.candidate_activation),
        frozenset((True, False) if either else (layer.reset_after,)),
        layer.clip,
        np.ones(direction.hidden_size, bool) if ungated else _idle(direction, ~used),
        direction.absent_gates,
    )


def exact_sum(one: Array, other: Array) -> Exact:
    """Return one + other, float64, without rounding.

    Source: Knuth, The Art of Computer Programming 2, 4.2.2, theorem B (TwoSum). `high` is the rounded sum
    and `low` its error, so that equal sums have equal parts.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        high = one + other
        added = high - one
        return Exact(high, (one - (high - added)) + (other - added))


def normal_activation(activation: Activation) -> Activation:
    """Return the same function under one name."""
    name = activation.name
    alpha = 0.0 if activation.alpha is None else activation.alpha
    beta = 0.0 if activation.beta is None else activation.beta
    if name == "scaled_tanh":
        if beta < 0:  # tanh is odd
            alpha, beta = -alpha, -beta
        if alpha == 0 or beta == 0:
            return Activation("affine", 0.0, 0.0)
        return TANH if (alpha, beta) == (1, 1) else Activation("scaled_tanh", alpha, beta)
    if name == "hard_sigmoid" and alpha == 0:
        return Activation("affine", 0.0, min(1.0, max(0.0, beta)))
    if name in ("leaky_relu", "thresholded_relu", "elu") and alpha == 0:
        return Activation("relu")
    if name == "leaky_relu" and alpha == 1:
        return Activation("affine", 1.0, 0.0)
    return activation


def tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield where the pieces of an array of `shape` are: small, and read well in either memory order."""
    return product(*([slice(at, min(at + _TILE, size)) for at in range(0, size, _TILE)] for size in shape))


def _is_diagonal(matrix: Array) -> bool:
    diagonal = np.diagonal(matrix)
    return all(
        np.count_nonzero(matrix[rows, columns])
        == (np.count_nonzero(diagonal[rows]) if rows == columns else 0)
        for rows, columns in tiles(matrix.shape)
    )


def _nonzero_rows(matrix: Array) -> Array:
    """Return which rows hold any number but zero, bool; few columns settle that as a rule."""
    found = np.zeros(len(matrix), bool)
    for columns, rows in tiles(matrix.T.shape):
        found[rows] |= (matrix[rows, columns] != 0).any(axis=1)
        if found.all():
            break
    return found


def _idle(direction: GRUDirection, unused: Array) -> Array:
    """Return the units whose reset gate is `unused` and finite: zero times infinity is not zero."""
    idle = unused.copy()
    for unit in np.flatnonzero(unused):
        own = [direction.input_weight.reset[unit], direction.recurrent_weight.reset[unit]]
        own += [
            bias.reset[[unit]]
            for bias in (direction.input_bias, direction.recurrent_bias)
            if bias is not None and bias.reset is not None
        ]
        idle[unit] = all(np.isfinite(numbers).all() for numbers in own)
    return idle
