"""The sizes of a cell, as the shapes of its tensors show them, and whether all of them agree."""

from __future__ import annotations

from collections.abc import Mapping

from grubridge.errors import InvalidSpecError
from grubridge.files.text import printable

from .description import CellLayout, TensorLayout

__all__ = ["check_shapes", "sizes", "tensor_shape"]

_Shape = tuple[int, ...]


def tensor_shape(tensor: TensorLayout, input_size: int, hidden_size: int) -> _Shape:
    """Return the shape that `tensor` has in a cell of I inputs and H units."""
    if not tensor.gates:
        return (hidden_size,)
    outputs = len(tensor.gates) * hidden_size
    if tensor.is_weight:
        inputs = sum(input_size if part == "input_weight" else hidden_size for part in tensor.holds)
        return (outputs, inputs) if tensor.rows == "output" else (inputs, outputs)
    if len(tensor.holds) == 1:
        return (outputs,)
    return (2 * outputs,) if tensor.flat else (2, outputs)


def sizes(layout: CellLayout, shapes: Mapping[str, _Shape]) -> tuple[int, int]:
    """Return (I, H) as the weights show them. `check_shapes` has to follow: other tensors may disagree.

    Args:
        layout: of the cell.
        shapes: by the names that the layout has.

    Raises:
        InvalidSpecError: when a weight is missing, or can be no weight of a GRU.
    """
    weights = [tensor for tensor in layout.tensors if tensor.is_weight]
    for tensor in weights:
        if tensor.name not in shapes:
            raise InvalidSpecError(
                f"tensor {printable(tensor.name)} is missing, which the layout {printable(layout.name)} has"
            )
        if len(shapes[tensor.name]) != 2 or 0 in shapes[tensor.name]:
            raise _misfit(tensor, shapes, "a matrix", _foreign(layout))
    hidden_size = _hidden_size(layout, weights, shapes)
    of_input = [tensor for tensor in weights if "input_weight" in tensor.holds]
    fitting = [
        tensor
        for tensor in of_input
        if _axes(tensor, shapes[tensor.name])[0] == len(tensor.gates) * hidden_size
    ]
    tensor = (fitting or of_input)[0]
    input_size = _axes(tensor, shapes[tensor.name])[1] - hidden_size * (len(tensor.holds) - 1)
    if input_size < 1:
        raise _misfit(
            tensor, shapes, f"a product with [x, h] of more than H = {hidden_size}", _turned(tensor)
        )
    return input_size, hidden_size


def check_shapes(layout: CellLayout, shapes: Mapping[str, _Shape], input_size: int, hidden_size: int) -> None:
    """Hold every tensor against the sizes.

    Raises:
        InvalidSpecError: when one does not fit them.
    """
    for tensor in layout.tensors:
        shape = shapes.get(tensor.name)
        expected = tensor_shape(tensor, input_size, hidden_size)
        if shape is None or shape == expected:
            continue
        cause = _foreign(layout)
        if tensor.is_weight and len(shape) == 2:
            outputs, inputs = _axes(tensor, shape)
            if outputs != len(tensor.gates) * hidden_size == inputs:
                cause = _turned(tensor)
        wanted = f"{list(expected)}, with I = {input_size} and H = {hidden_size} as other weights show"
        raise _misfit(tensor, shapes, wanted, cause)


def _hidden_size(layout: CellLayout, weights: list[TensorLayout], shapes: Mapping[str, _Shape]) -> int:
    """Return H: what a recurrent weight multiplies, or what a product with [x, h] gives."""
    recurrent = [tensor for tensor in weights if tensor.holds == ("recurrent_weight",)]
    tensor = (recurrent or weights)[0]
    count = len(tensor.gates)
    outputs, inputs = _axes(tensor, shapes[tensor.name])
    if not recurrent:
        if outputs % count:
            raise _misfit(tensor, shapes, f"{count} gates of H outputs each", _turned(tensor))
        return outputs // count
    if outputs != count * inputs:
        stacked = "H" if count == 1 else f"{count}H"
        wanted = f"[{stacked}, H]" if tensor.rows == "output" else f"[H, {stacked}]"
        turned = inputs == count * outputs
        lstm = "four gates look like an LSTM's" if outputs == 4 * inputs else _foreign(layout)
        raise _misfit(tensor, shapes, wanted, _turned(tensor) if turned else lstm)
    return inputs


def _axes(tensor: TensorLayout, shape: _Shape) -> tuple[int, int]:
    """Return the sizes of a weight's (outputs, inputs)."""
    return (shape[0], shape[1]) if tensor.rows == "output" else (shape[1], shape[0])


def _misfit(tensor: TensorLayout, shapes: Mapping[str, _Shape], wanted: str, cause: str) -> InvalidSpecError:
    name, shape = printable(tensor.name), list(shapes[tensor.name])
    return InvalidSpecError(f"tensor {name} should be {wanted}; received {shape}: {cause}")


def _turned(tensor: TensorLayout) -> str:
    other = "input" if tensor.rows == "output" else "output"
    return f'it looks stored the other way round, rows = "{other}" in its layout'


def _foreign(layout: CellLayout) -> str:
    return f"the file is damaged, or the layout {printable(layout.name)} is not this cell's"
