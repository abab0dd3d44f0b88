"""What may have gone wrong between a file and a run, one thing at a time, and what it does to the weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from grubridge.spec import (
    CANDIDATE,
    RESET,
    UPDATE,
    Activation,
    Array,
    Gate,
    Gates,
    GRUDirection,
    GRULayer,
    fuse,
    split,
    sum_biases,
)

__all__ = [
    "DATA_AXES",
    "SPEC_AXES",
    "Axis",
    "Edit",
    "Hypothesis",
    "Site",
    "edited",
    "parse_activation",
    "parse_order",
]

Axis = Literal[
    "directions",
    "kernel",
    "recurrent_kernel",
    "biases",
    "gate_order",
    "absent_gate",
    "reset_after",
    "update_gate",
    "gate_activation",
    "candidate_activation",
    "clip",
    "initial_state",
    "lengths",
    "time",
    "precision",
]

SPEC_AXES: tuple[Axis, ...] = (
    "directions",
    "kernel",
    "recurrent_kernel",
    "biases",
    "gate_order",
    "absent_gate",
    "reset_after",
    "gate_activation",
    "candidate_activation",
    "update_gate",
    "clip",
)
"""What a spec can say, in the order in which edits are made."""

DATA_AXES: tuple[Axis, ...] = ("initial_state", "lengths", "time")


@dataclass(frozen=True)
class Edit:
    """One mistake.

    Args:
        axis: its kind.
        value: which one, for a machine, e.g. "reset,update,candidate".
        phrase: the same for a person: a clause such as "the update and reset gates are exchanged".
    """

    axis: Axis
    value: str
    phrase: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.axis}={self.value}"


Hypothesis = tuple[Edit, ...]
"""Mistakes made at once, at most one of each axis; () none."""


@dataclass(frozen=True)
class Site:
    """One direction of one layer, with all that a mistake may bring into it.

    Args:
        direction: the weights.
        layer: the reset mode and clip.
        opposite: the weights of the layer's other direction, if there is one.
        halves: whether the layer's input is the two directions of the layer below, side by side.
    """

    direction: GRUDirection
    layer: GRULayer
    opposite: GRUDirection | None
    halves: bool


def edited(at: Site, hypothesis: Hypothesis) -> Site:
    """Return `at` with the mistakes that a spec can say; those of data and precision are passed over.

    Raises:
        UnsupportedFeatureError: when z is to be flipped and its activation has no such symmetry.
        ValueError: when an array is to be transposed or cut and has no such shape.
    """
    said = [edit for edit in hypothesis if edit.axis in SPEC_AXES]
    for edit in sorted(said, key=lambda edit: SPEC_AXES.index(edit.axis)):
        at = _CHANGES[edit.axis](at, edit.value)
    return at


def parse_order(value: str) -> tuple[str, tuple[Gate, ...]]:
    """Return whose gate order it is ("all" if unsaid), and what stands for update, reset and candidate."""
    target, _, order = value.rpartition(":")
    names: dict[str, Gate] = {UPDATE: UPDATE, RESET: RESET, CANDIDATE: CANDIDATE}
    return target or "all", tuple(names[name] for name in order.split(","))


def parse_activation(value: str) -> Activation:
    """Return the activation written as name:alpha:beta, with the parameters that it has."""
    name, *parameters = value.split(":")
    return Activation(name, *map(float, parameters))


def _opposite(at: Site, _: str) -> Site:
    if at.opposite is None:
        raise ValueError("there is no other direction")
    return replace(at, direction=at.opposite, opposite=at.direction)


def _kernel(at: Site, value: str) -> Site:
    if value == "halves_exchanged" and not at.halves:
        return at
    weight = _ARRANGEMENTS[value](at.direction.input_weight)
    return replace(at, direction=replace(at.direction, input_weight=weight))


def _recurrent_kernel(at: Site, value: str) -> Site:
    weight = _ARRANGEMENTS[value](at.direction.recurrent_weight)
    return replace(at, direction=replace(at.direction, recurrent_weight=weight))


def _fused_rows(weight: Gates[Array], order: Sequence[Gate]) -> Gates[Array]:
    """Stored as [3H, I], taken as [I, 3H] without a transposition."""
    rows = fuse(weight, order, axis=0).to_array()
    return split(rows.reshape(rows.shape[::-1]), order, axis=1).map(np.transpose)


def _fused_columns(weight: Gates[Array], order: Sequence[Gate]) -> Gates[Array]:
    """Stored as [I, 3H], taken as [3H, I] without a transposition."""
    columns = fuse(weight.map(np.transpose), order, axis=1).to_array()
    return split(columns.reshape(columns.shape[::-1]), order, axis=0)


def _reshaped(weight: Array) -> Array:
    return np.ascontiguousarray(weight.T).reshape(weight.shape)


def _exchange_halves(weight: Array) -> Array:
    first, second = np.split(weight, 2, axis=1)
    return np.concatenate([second, first], axis=1)


_ZRN = (UPDATE, RESET, CANDIDATE)
_RZN = (RESET, UPDATE, CANDIDATE)
_ARRANGEMENTS: dict[str, Callable[[Gates[Array]], Gates[Array]]] = {
    "transposed": lambda weight: weight.map(np.transpose),
    "reshaped": lambda weight: weight.map(_reshaped),
    "rows_reshaped_zrn": lambda weight: _fused_rows(weight, _ZRN),
    "rows_reshaped_rzn": lambda weight: _fused_rows(weight, _RZN),
    "columns_reshaped_zrn": lambda weight: _fused_columns(weight, _ZRN),
    "columns_reshaped_rzn": lambda weight: _fused_columns(weight, _RZN),
    "halves_exchanged": lambda weight: weight.map(_exchange_halves),
}


def _biases(at: Site, value: str) -> Site:
    direction = at.direction
    b, c = direction.input_bias, direction.recurrent_bias
    if value == "summed":
        alone = replace(at.layer, forward=direction, backward=None)
        summed = sum_biases(alone)[0].forward
        return at if summed is None else replace(at, direction=summed)
    zeros = np.zeros(direction.hidden_size, direction.input_weight.update.dtype)
    if value == "candidate_recurrent_dropped":
        kept = c and replace(c, candidate=zeros)
        return replace(at, direction=replace(direction, recurrent_bias=kept))
    if value == "exchanged":
        return replace(
            at, direction=replace(direction, input_bias=_filled(c, zeros), recurrent_bias=_loose(b))
        )
    return replace(
        at,
        direction=replace(
            direction,
            input_bias=b if value == "recurrent_dropped" else None,
            recurrent_bias=c if value == "input_dropped" else None,
        ),
    )


def _gate_order(at: Site, value: str) -> Site:
    target, order = parse_order(value)
    direction = at.direction
    if target in {"all", "weights", "kernel"}:
        direction = replace(direction, input_weight=_permuted(direction.input_weight, order))
    if target in {"all", "weights", "recurrent_kernel"}:
        direction = replace(direction, recurrent_weight=_permuted(direction.recurrent_weight, order))
    if target in {"all", "biases"}:
        zeros = np.zeros(direction.hidden_size, direction.input_weight.update.dtype)
        b, c = direction.input_bias, _filled(direction.recurrent_bias, zeros)
        direction = replace(
            direction,
            input_bias=b and _permuted(b, order),
            recurrent_bias=_loose(c and _permuted(c, order)),
        )
    return replace(at, direction=direction)


def _filled(biases: Gates[Array | None] | None, zeros: Array) -> Gates[Array] | None:
    """The biases with zeros for the gates that have none."""
    if biases is None:
        return None
    return Gates(*(zeros if array is None else array for _, array in biases.items()))


def _loose(biases: Gates[Array] | None) -> Gates[Array | None] | None:
    return biases and Gates(biases.update, biases.reset, biases.candidate)


def _permuted(gates: Gates[Array], order: Sequence[Gate]) -> Gates[Array]:
    return Gates(*(gates[gate] for gate in order))


_CHANGES: dict[Axis, Callable[[Site, str], Site]] = {
    "directions": _opposite,
    "kernel": _kernel,
    "recurrent_kernel": _recurrent_kernel,
    "biases": _biases,
    "gate_order": _gate_order,
    "absent_gate": lambda at, value: replace(
        at, direction=at.direction.without(RESET if value == RESET else UPDATE)
    ),
    "reset_after": lambda at, value: replace(at, layer=replace(at.layer, reset_after=value == "true")),
    "update_gate": lambda at, value: replace(at, direction=at.direction.complement_update()),
    "gate_activation": lambda at, value: replace(
        at, direction=replace(at.direction, gate_activation=parse_activation(value))
    ),
    "candidate_activation": lambda at, value: replace(
        at, direction=replace(at.direction, candidate_activation=parse_activation(value))
    ),
    "clip": lambda at, value: replace(at, layer=replace(at.layer, clip=None)),
}
