"""One direction of a cell, out of the tensors that its layout names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from grubridge.spec import CANDIDATE, GATE_NAMES, UPDATE, Array, Gate, Gates, GRUDirection

from .description import CellLayout, Part, TensorLayout
from .shapes import check_shapes, sizes

__all__ = ["read_direction"]


def read_direction(layout: CellLayout, tensors: Mapping[str, Array]) -> tuple[GRUDirection, bool]:
    """Return the direction that a cell's tensors make, and its `reset_after` (True without a reset gate).

    Args:
        layout: of the cell.
        tensors: by the names that the layout has, placeholders and all; further ones do not matter.

    Returns:
        Views of the tensors wherever the spec can have them. A gate without a bias has zeros where others
        have one.

    Raises:
        InvalidSpecError: when a tensor is missing, or has another shape or dtype than the others show.
        UnsupportedFeatureError: when the update gate takes, and no negation makes it keep.
    """
    shapes = {name: array.shape for name, array in tensors.items()}
    input_size, hidden_size = sizes(layout, shapes)
    check_shapes(layout, shapes, input_size, hidden_size)
    blocks: dict[tuple[Part, Gate], Array] = {}
    initial_state: Array | None = None
    for tensor in layout.tensors:
        if tensor.name in tensors and tensor.gates:
            blocks.update(_blocks(tensor, tensors[tensor.name], hidden_size))
        elif tensor.name in tensors:
            initial_state = tensors[tensor.name]
    zero = np.zeros((), blocks["recurrent_weight", CANDIDATE].dtype)
    takes = layout.update == "takes"

    def gates(part: Part, *shape: int) -> Gates[Array]:
        def block(gate: Gate) -> Array:
            absent = (
                -zero if takes and gate == UPDATE else zero
            )  # for `complement_update` to make it 0.0 again
            return blocks[part, gate] if (part, gate) in blocks else np.full(shape, absent)

        return Gates(*map(block, GATE_NAMES))

    recurrent: Gates[Array] | Gates[Array | None] | None = None
    biased = {
        part: [gate for gate in GATE_NAMES if (part, gate) in blocks]
        for part in ("input_bias", "recurrent_bias")
    }
    if biased["recurrent_bias"] == [CANDIDATE]:
        recurrent = Gates[Array | None](None, None, blocks["recurrent_bias", CANDIDATE])
    elif biased["recurrent_bias"]:
        recurrent = gates("recurrent_bias", hidden_size)
    direction = GRUDirection(
        gates("input_weight", hidden_size, input_size),
        gates("recurrent_weight", hidden_size, hidden_size),
        gates("input_bias", hidden_size) if biased["input_bias"] else None,
        recurrent,
        initial_state,
        layout.gate_activation,
        layout.candidate_activation,
        layout.absent_gates,
    )
    kept = direction.complement_update() if takes else direction
    return kept, layout.reset != "before"


def _blocks(
    tensor: TensorLayout, array: Array, hidden_size: int
) -> Iterator[tuple[tuple[Part, Gate], Array]]:
    """Yield each gate's part in a tensor, weights as [H, I] or [H, H], biases as [H]."""
    if tensor.is_weight:
        matrix = array if tensor.rows == "output" else array.T
        inputs = matrix.shape[1] - hidden_size * (len(tensor.holds) - 1)
        ends = np.cumsum([hidden_size if part == "recurrent_weight" else inputs for part in tensor.holds])
        columns = np.split(matrix, ends[:-1], axis=1)
    else:
        columns = list(array.reshape(len(tensor.holds), -1))
    for part, stacked in zip(tensor.holds, columns, strict=True):
        for gate, block in zip(tensor.gates, np.split(stacked, len(tensor.gates)), strict=True):
            yield (part, gate), block
