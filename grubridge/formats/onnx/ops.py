"""The ONNX operators that exporters put between a GRU and its weights, in numpy, every version of each.

Formulas: the operators' pages of the ONNX documentation. What an operator took as an attribute in older
opsets it takes as an input in newer ones; both are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from grubridge.spec import Array, numpy_dtype

from .attributes import integer, integers, real, reals, tensor
from .messages import NodeProto
from .tensors import Tensors, dtype_name

__all__ = ["OPERATORS", "Call"]

_LARGEST_SHAPE = 1024


@dataclass(frozen=True)
class Call:
    """One node with the values of its inputs.

    Args:
        node: the node.
        inputs: its inputs; None where an optional one is left out.
        tensors: the model's tensors.
        take: to be called with a number of bytes before they are used; views are free.
    """

    node: NodeProto
    inputs: Sequence[Array | None]
    tensors: Tensors
    take: Callable[[int], None]

    def input(self, index: int) -> Array:
        """Return an input that must be there."""
        value = self.optional(index)
        if value is None:
            raise ValueError(f"input {index} is missing")
        return value

    def optional(self, index: int) -> Array | None:
        """Return an input that may be left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def value(self) -> Array | None:
        """Return the values of the attribute `value`, a tensor; None without it."""
        found = tensor(self.node, "value")
        return None if found is None else self.tensors.array(found)

    def numbers(self, name: str, index: int) -> list[int] | None:
        """Return a list that is the attribute `name` or the input `index`; None when it is neither."""
        given = self.optional(index)
        return (
            integers(self.node, name)
            if given is None
            else [int(number) for number in _shape_like(given).ravel()]
        )


def _shape_like(array: Array) -> Array:
    """Return `array` if it can be a shape or part of one: few integers. Weights are never computed with."""
    if array.dtype.kind not in "ib" or array.size > _LARGEST_SHAPE:
        raise ValueError("expected a few integers")
    return array


def _constant(call: Call) -> Array:
    value = call.value()
    if value is not None:
        return value
    for floats in (real(call.node, "value_float"), reals(call.node, "value_floats")):
        if floats is not None:
            return np.array(floats, np.float32)
    if any(one.name == "value_int" for one in call.node.attribute):
        return np.array(integer(call.node, "value_int", 0), np.int64)
    ints = integers(call.node, "value_ints")
    if ints is None:
        raise ValueError("a constant that is no number")
    return np.array(ints, np.int64)


def _cast(call: Call) -> Array:
    name = dtype_name(integer(call.node, "to", 0))
    if name is None:
        raise ValueError("a cast to a type that no GRU has")
    array, dtype = call.input(0), numpy_dtype(name)
    if array.dtype == dtype:
        return array
    call.take(array.size * dtype.itemsize)
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def _dropout(call: Call) -> Array:
    training = call.optional(2)
    if training is not None and training.any():
        raise ValueError("dropout that drops")
    return call.input(0)


def _concat(call: Call) -> Array:
    parts = [call.input(index) for index in range(len(call.inputs))]
    call.take(sum(part.nbytes for part in parts))
    return np.concatenate(parts, axis=integer(call.node, "axis", 1))


def _transpose(call: Call) -> Array:
    return np.transpose(call.input(0), integers(call.node, "perm"))


def _slice(call: Call) -> Array:
    array = call.input(0)
    starts, ends = call.numbers("starts", 1), call.numbers("ends", 2)
    if starts is None or ends is None:
        raise ValueError("starts or ends are missing")
    axes = call.numbers("axes", 3) or list(range(len(starts)))
    steps = call.numbers("steps", 4) or [1] * len(starts)
    chosen = [slice(None)] * array.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        chosen[axis] = slice(start, end, step)
    return array[tuple(chosen)]


def _unsqueeze(call: Call) -> Array:
    return np.expand_dims(call.input(0), tuple(call.numbers("axes", 1) or ()))


def _squeeze(call: Call) -> Array:
    axes = call.numbers("axes", 1)
    return np.squeeze(call.input(0), None if axes is None else tuple(axes))


def _reshape(call: Call) -> Array:
    array, wanted = call.input(0), call.numbers("shape", 1)
    if wanted is None:
        raise ValueError("the shape is missing")
    if not integer(call.node, "allowzero", 0):
        wanted = [array.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    if any(size < -1 for size in wanted):  # NumPy takes any of them for -1
        raise ValueError("the shape has a size below -1")
    if not array.flags.c_contiguous:
        call.take(array.nbytes)
    return array.reshape(wanted)


def _gather(call: Call) -> Array:
    array, indices, axis = call.input(0), call.input(1), integer(call.node, "axis", 0)
    call.take(array.nbytes // max(array.shape[axis], 1) * indices.size)
    return np.asarray(np.take(array, indices, axis))


def _shape(call: Call) -> Array:
    shape = call.input(0).shape
    return np.array(shape[integer(call.node, "start", 0) : integer(call.node, "end", len(shape))], np.int64)


def _constant_of_shape(call: Call) -> Array:
    value = call.value()
    if value is None:
        value = np.zeros(1, np.float32)
    return _broadcast(call, value.reshape(()), [int(size) for size in _shape_like(call.input(0))])


def _expand(call: Call) -> Array:
    array, wanted = call.input(0), [int(size) for size in _shape_like(call.input(1))]
    return _broadcast(call, array, np.broadcast_shapes(array.shape, wanted))


def _tile(call: Call) -> Array:
    array, repeats = call.input(0), [int(count) for count in _shape_like(call.input(1))]
    call.take(array.nbytes * prod(repeats))
    return np.tile(array, repeats)


def _broadcast(call: Call, array: Array, shape: Sequence[int]) -> Array:
    call.take(prod(shape) * array.itemsize)  # a view, but one that may look far larger than the file
    return np.broadcast_to(array, shape)


def _where(call: Call) -> Array:
    return np.where(*(_shape_like(call.input(index)) for index in range(3)))


def _shape_arithmetic(function: Callable[[Array, Array], Any]) -> Callable[[Call], Array]:
    def apply(call: Call) -> Array:
        with np.errstate(all="raise"):
            return np.asarray(function(_shape_like(call.input(0)), _shape_like(call.input(1))))

    return apply


OPERATORS: dict[str, Callable[[Call], Array]] = {
    "Add": _shape_arithmetic(np.add),
    "Cast": _cast,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Div": _shape_arithmetic(np.floor_divide),
    "Dropout": _dropout,
    "Equal": _shape_arithmetic(np.equal),
    "Expand": _expand,
    "Gather": _gather,
    "Identity": lambda call: call.input(0),
    "Mul": _shape_arithmetic(np.multiply),
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _shape_arithmetic(np.subtract),
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
"""Operator -> the function that computes its first output; raises ValueError where inputs do not fit."""
