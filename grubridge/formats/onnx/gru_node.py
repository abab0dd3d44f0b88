"""One GRU node of an ONNX graph, read into a layer.

    W [D, 3H, I], R [D, 3H, H], B [D, 6H] = [Wb, Rb], initial_h [D, B, H] (layout 1: [B, D, H])

The gates stand in the order update, reset, candidate; the update gate keeps. `linear_before_reset` is
`reset_after`. Source: the GRU operator's page, versions 1 to 22.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grubridge.errors import CorruptFileError, FileFormatError
from grubridge.files.text import printable, quoted
from grubridge.spec import (
    CANDIDATE,
    DTYPES,
    RESET,
    SIGMOID,
    TANH,
    UPDATE,
    Activation,
    Array,
    Direction,
    Gate,
    GRUDirection,
    GRULayer,
    Layout,
    split,
)

from .activations import parse, simplest
from .attributes import describe, integer, real, reals, text, texts
from .fold import Folder, RunTime
from .graph import Scope
from .messages import NodeProto
from .tensors import Tensors

__all__ = ["GATE_ORDER", "LAYOUT", "GRUNode", "read_layer"]

GATE_ORDER: tuple[Gate, ...] = (UPDATE, RESET, CANDIDATE)
LAYOUT = Layout(GATE_ORDER, "output")

_DIRECTIONS: dict[str, tuple[Direction, ...]] = {
    "forward": ("forward",),
    "foward": ("forward",),  # the default of version 1, as its page spells it
    "reverse": ("backward",),
    "bidirectional": ("forward", "backward"),
}

_ATTRIBUTES = {
    "activation_alpha",
    "activation_beta",
    "activations",
    "clip",
    "direction",
    "hidden_size",
    "layout",
    "linear_before_reset",
    "output_sequence",  # versions 1 and 3: whether Y is given out at all
}


@dataclass(frozen=True, eq=False)
class GRUNode:
    """A GRU node and where it stands."""

    scope: Scope
    node: NodeProto

    @property
    def batch_first(self) -> bool:
        """Whether X, Y and the states have the batch in front (`layout` 1)."""
        return integer(self.node, "layout", 0) != 0

    @property
    def hidden_size(self) -> int | None:
        """H, if the node says it."""
        given = any(one.name == "hidden_size" for one in self.node.attribute)
        return integer(self.node, "hidden_size", 0) if given else None

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The node's directions in the order of its tensors."""
        name = text(self.node, "direction")
        if name is not None and name not in _DIRECTIONS:
            raise CorruptFileError(
                f"{describe(self.node)}: direction must be forward, reverse or bidirectional; received "
                + quoted(name)
            )
        return _DIRECTIONS[name or "forward"]

    def input(self, index: int) -> str:
        """Return the name of an input, '' when it is left out."""
        return self.node.input[index] if index < len(self.node.input) else ""

    def output(self, index: int) -> str:
        """Return the name of an output, '' when it is left out."""
        return self.node.output[index] if index < len(self.node.output) else ""


def read_layer(gru: GRUNode, tensors: Tensors, constants: Folder) -> tuple[GRULayer, list[str]]:
    """Read a GRU node.

    Args:
        gru: the node.
        tensors: the model's tensors.
        constants: computes its weights.

    Returns:
        The layer, and notes on what the file leaves open.

    Raises:
        FileFormatError: when the weights are not constant, or do not fit the node's attributes.
    """
    node, directions, notes = gru.node, gru.directions, list[str]()
    unknown = {one.name for one in node.attribute} - _ATTRIBUTES
    if unknown:
        listed = ", ".join(sorted(printable(name) for name in unknown))
        raise CorruptFileError(f"{describe(node)}: the ONNX GRU has no attribute {listed}")
    weight, recurrent = _constant(gru, 1, "W", constants), _constant(gru, 2, "R", constants)
    bias = _constant(gru, 3, "B", constants) if gru.input(3) else None
    hidden_size = gru.hidden_size
    if hidden_size is None:
        hidden_size = recurrent.shape[-1] if recurrent.ndim else 0
        notes.append(f"{describe(node)} has no hidden_size; {hidden_size} is taken from R")
    _check(gru, hidden_size, {"W": weight, "R": recurrent, "B": bias})
    activations, left_open = _activations(gru)
    states, unread = _initial_states(gru, tensors, hidden_size, weight.dtype)
    made: dict[str, GRUDirection] = {}
    for index, name in enumerate(directions):
        biases = [] if bias is None else np.split(bias[index], 2)
        made[name] = GRUDirection(
            split(weight[index], GATE_ORDER, axis=0),
            split(recurrent[index], GATE_ORDER, axis=0),
            split(biases[0], GATE_ORDER, axis=0) if biases else None,
            split(biases[1], GATE_ORDER, axis=0) if biases else None,
            states[index],
            activations[2 * index],
            activations[2 * index + 1],
        )
    clip = real(node, "clip")
    layer = GRULayer(
        made.get("forward"),
        made.get("backward"),
        reset_after=integer(node, "linear_before_reset", 0) != 0,
        clip=None if clip is None else simplest(clip),
    )
    return layer, [*notes, *left_open, *unread]


def _constant(gru: GRUNode, index: int, what: str, constants: Folder) -> Array:
    name = gru.input(index)
    if not name:
        raise CorruptFileError(f"{describe(gru.node)} has no {what}")
    value = constants.value(gru.scope, name)
    if isinstance(value, RunTime):
        raise FileFormatError(
            f"{describe(gru.node)}: its {what} {value.reason}; grubridge reads weights that the file "
            "holds: export the model with its weights as constants"
        )
    return value


def _check(gru: GRUNode, hidden_size: int, arrays: Mapping[str, Array | None]) -> None:
    if hidden_size < 1:
        raise CorruptFileError(
            f"{describe(gru.node)}: hidden_size must be at least 1; received {hidden_size}"
        )
    directions = len(gru.directions)
    expected: dict[str, tuple[int | str, ...]] = {
        "W": (directions, 3 * hidden_size, "input size"),
        "R": (directions, 3 * hidden_size, hidden_size),
        "B": (directions, 6 * hidden_size),
    }
    for name, array in arrays.items():
        if array is not None and not _has_shape(array, expected[name]):
            raise CorruptFileError(
                f"{describe(gru.node)}: with hidden_size {hidden_size} and {directions} direction(s), {name} "
                f"must be [{', '.join(map(str, expected[name]))}]; received {list(array.shape)}"
            )
    dtypes = {name: array.dtype.name for name, array in arrays.items() if array is not None}
    if len(set(dtypes.values())) > 1 or dtypes["W"] not in DTYPES:
        listed = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise CorruptFileError(
            f"{describe(gru.node)}: its weights must share one float type; received {listed}"
        )


def _has_shape(array: Array, expected: tuple[int | str, ...]) -> bool:
    """Whether `array` has the shape; a dimension that is text can be anything but 0."""
    if array.ndim != len(expected) or not array.size:
        return False
    return all(
        isinstance(want, str) or want == size for want, size in zip(expected, array.shape, strict=True)
    )


def _activations(gru: GRUNode) -> tuple[list[Activation], list[str]]:
    names, expected = texts(gru.node, "activations"), 2 * len(gru.directions)
    if names is None:
        return [SIGMOID, TANH] * len(gru.directions), []
    if len(names) != expected:
        raise CorruptFileError(
            f"{describe(gru.node)}: activations must name {expected} functions (gates and candidate of every "
            f"direction); received {len(names)}"
        )
    alphas, betas = reals(gru.node, "activation_alpha"), reals(gru.node, "activation_beta")
    try:
        return parse(names, alphas or (), betas or ())
    except FileFormatError as error:
        raise type(error)(f"{describe(gru.node)}: {error}") from None


def _initial_states(
    gru: GRUNode, tensors: Tensors, hidden_size: int, dtype: np.dtype[Any]
) -> tuple[list[Array | None], list[str]]:
    """Return every direction's learned initial state, [H], None where it is zero or comes from outside.

    Exporters write the state of a batch whose size they do not know by expanding a constant; that is
    computed here for a batch of one.
    """
    directions = len(gru.directions)
    none: list[Array | None] = [None] * directions
    if not gru.input(5):
        return none, []
    value = Folder(tensors, batch_of_one=True).value(gru.scope, gru.input(5))
    if isinstance(value, RunTime):
        return none, [f"{describe(gru.node)}: initial_h {value.reason}; it is not part of the weights"]
    if not value.any():
        return none, []
    batch_axis = 0 if gru.batch_first else 1
    if value.ndim != 3 or value.shape[2] != hidden_size or value.shape[1 - batch_axis] != directions:
        raise CorruptFileError(
            f"{describe(gru.node)}: initial_h must be {directions} direction(s) of [batch, {hidden_size}]; "
            f"received {list(value.shape)}"
        )
    state = np.moveaxis(value, batch_axis, 0)
    if state.dtype != dtype or not (state == state[:1]).all():
        raise FileFormatError(
            f"{describe(gru.node)}: its constant initial_h differs over the batch, or in type from the "
            "weights; grubridge holds one learned state for all sequences"
        )
    return [row if row.any() else None for row in state[0]], []
