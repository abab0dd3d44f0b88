"""The gates of a GRU node as further outputs of its graph.

A GRU node gives out hidden states only. All steps' gates follow from them at once: the equations of
`reference.equations` on x_t and on h_{t-1}, which is the node's own Y moved by one step. They are computed in
float32 at least, as runtimes compute a float16 GRU.

    update_0, reset_0, candidate_0 [batch, time, D*H] of layer 0, and so on; time in its natural order
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from grubridge.spec import (
    CANDIDATE,
    GATE_NAMES,
    RESET,
    UPDATE,
    Activation,
    Direction,
    Gate,
    Gates,
    GRUDirection,
)

from .activations import NAMES
from .chain import GATES_PREFIX
from .gru_node import GATE_ORDER
from .nodes import Builder, Place
from .tensors import DATA_TYPES

__all__ = ["add_gates"]

_END = np.iinfo(np.int64).max


def add_gates(builder: Builder, place: Place) -> None:
    """Append the nodes that compute one layer's gates, and declare them as outputs."""
    if not place.state:
        directions = len(list(place.layer.directions()))
        zeros = np.zeros((directions, 1, place.layer.hidden_size), builder.dtype)
        place = replace(place, state=builder.for_batch(builder.constant(f"gru_{place.index}_zeros", zeros)))
    narrow = builder.dtype.itemsize < np.dtype(np.float32).itemsize
    if narrow:
        place = _widened(builder, place)
    made = [
        _Direction(builder, place, number, name, direction).gates()
        for number, (name, direction) in enumerate(place.layer.directions())
    ]
    for gate in GATE_NAMES:
        name = f"{gate}_{place.index}"
        joined = builder.add("Concat", [gates[gate] for gates in made], f"{GATES_PREFIX}{name}", axis=2)
        if narrow:
            joined = _cast(builder, joined, builder.dtype)
        builder.turned(joined, name)
        builder.declare("output", name, *builder.sequence(place.layer.output_size))


def _widened(builder: Builder, place: Place) -> Place:
    """Return the place with every value in float32."""

    def widen(name: str) -> str:
        return _cast(builder, name, np.dtype(np.float32))

    weights = {kind: widen(name) for kind, name in place.weights.items()}
    x = widen(place.x if place.index else "x")
    if not place.index:  # cast, then turned: ONNX Runtime 1.32 crashes on MatMul(Cast(Transpose(x)))
        x = builder.turned(x, f"{GATES_PREFIX}x_by_time")
    return replace(place, x=x, y=widen(place.y), state=widen(place.state), weights=weights)


def _cast(builder: Builder, name: str, dtype: np.dtype[Any]) -> str:
    output = f"{GATES_PREFIX}{name.removeprefix(GATES_PREFIX)}_as_{dtype.name}"
    return builder.add("Cast", [name], output, to=DATA_TYPES[dtype.name])


class _Direction:
    """One direction of one layer, as expressions of the graph; every value is [time, batch, H]."""

    def __init__(
        self, builder: Builder, place: Place, number: int, name: Direction, direction: GRUDirection
    ) -> None:
        self._builder = builder
        self._place = place
        self._number = number
        self._name = name
        self._direction = direction
        self._dtype = np.promote_types(builder.dtype, np.float32)
        self._prefix = f"{GATES_PREFIX}{place.index}/{name}/"
        self._count = 0

    def gates(self) -> Gates[str]:
        """Return the names of z, r and n."""
        x, previous = self._place.x, self._previous()
        update, reset = (
            self._activated(
                self._direction.gate_activation,
                self._add("Add", self._linear(x, "W", gate), self._linear(previous, "R", gate)),
            )
            for gate in (UPDATE, RESET)
        )
        if self._place.layer.reset_after:
            recurrent = self._add("Mul", reset, self._linear(previous, "R", CANDIDATE))
        else:
            recurrent = self._linear(self._add("Mul", reset, previous), "R", CANDIDATE)
        candidate = self._activated(
            self._direction.candidate_activation,
            self._add("Add", self._linear(x, "W", CANDIDATE), recurrent),
        )
        return Gates(update, reset, candidate)

    def _previous(self) -> str:
        """h_{t-1} of every step: the initial state, then Y but for the step that is read last."""
        # the Reshape takes the name off the number of steps, which Slice of opset 10 would keep for one less
        shape = self._builder.integers(f"{self._prefix}shape", -1, 0, self._place.layer.hidden_size)
        hidden = self._add("Reshape", self._of_direction(self._place.y, axis=1), shape)
        row = self._builder.integers(f"{self._prefix}numbers", self._number)
        first = self._add("Gather", self._place.state, row, axis=0)
        if self._name == "forward":
            return self._add("Concat", first, self._slice(hidden, 0, -1), axis=0)
        return self._add("Concat", self._slice(hidden, 1, _END), first, axis=0)

    def _linear(self, value: str, kind: str, gate: Gate) -> str:
        """W x + b or R h + c of one gate; `kind` is "W" or "R"."""
        weights, hidden_size = self._place.weights, self._place.layer.hidden_size
        begin = GATE_ORDER.index(gate) * hidden_size
        block = self._slice(self._of_direction(weights[kind], axis=0), begin, begin + hidden_size)
        product = self._add("MatMul", value, self._add("Transpose", block, perm=[1, 0]))
        if "B" not in weights:
            return product
        begin += 3 * hidden_size if kind == "R" else 0
        bias = self._slice(self._of_direction(weights["B"], axis=0), begin, begin + hidden_size)
        return self._add("Add", product, bias)

    def _activated(self, activation: Activation, value: str) -> str:
        limit = self._place.layer.clip
        if limit is not None:
            value = self._clipped(value, float(limit))
        alpha, beta = activation.alpha, activation.beta
        if activation.name == "affine":
            return self._add("Add", self._add("Mul", value, self._number_of(alpha)), self._number_of(beta))
        if activation.name == "scaled_tanh":
            inner = self._add("Mul", value, self._number_of(beta))
            return self._add("Mul", self._add("Tanh", inner), self._number_of(alpha))
        if activation.name == "thresholded_relu":  # an operator of its own only since opset 10
            above = self._add("Greater", value, self._number_of(alpha))
            return self._add("Mul", value, self._add("Cast", above, to=DATA_TYPES[self._dtype.name]))
        given = {"alpha": alpha, "beta": beta}
        return self._add(
            NAMES[activation.name], value, **{k: float(v) for k, v in given.items() if v is not None}
        )

    def _clipped(self, value: str, limit: float) -> str:
        if self._builder.opset < 11:
            return self._add("Clip", value, min=-limit, max=limit)
        return self._add("Clip", value, self._number_of(-limit), self._number_of(limit))

    def _slice(self, value: str, begin: int, end: int) -> str:
        """Cut `value` along its first axis."""
        if self._builder.opset < 10:
            return self._add("Slice", value, axes=[0], starts=[begin], ends=[end])
        bounds = (self._builder.integers(f"{GATES_PREFIX}{number}", number) for number in (begin, end, 0))
        return self._add("Slice", value, *bounds)

    def _of_direction(self, value: str, axis: int) -> str:
        """Take this direction's part of `value`, without the axis of directions."""
        scalar = self._builder.constant(f"{self._prefix}number", np.array(self._number, np.int64))
        return self._add("Gather", value, scalar, axis=axis)

    def _number_of(self, value: float | None) -> str:
        return self._builder.constant(f"{GATES_PREFIX}{value!r}", np.array(value, self._dtype))

    def _add(self, operator: str, *inputs: str, **how: int | float | list[int]) -> str:
        self._count += 1
        return self._builder.add(operator, inputs, f"{self._prefix}{operator}_{self._count}", **how)
