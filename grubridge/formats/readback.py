"""Whether two specs hold the same GRU bit for bit: a written file read back, or two files of one model."""

from __future__ import annotations

import numpy as np

from grubridge.files.strips import equal_bits
from grubridge.files.written import WrittenArrays
from grubridge.spec import Activation, Array, GRULayer, GRUSpec

__all__ = ["differences"]


_LARGE = 1 << 20


def differences(left: GRUSpec, right: GRUSpec, written: WrittenArrays | None = None) -> tuple[str, ...]:
    """Return the names of what differs between two specs; () when they are the same GRU bit for bit.

    Names, wiring and source do not count. Activation parameters and clip are compared as float32, which is
    how ONNX stores them. A large array of `right` that lies in a file where `written` says that the one of
    `left` was written, and compared while it was in cache, is not compared again.
    """
    if [_shape(layer) for layer in left.layers] != [_shape(layer) for layer in right.layers]:
        return ("sizes, directions or number of layers",)
    found: list[str] = []
    for index, (one, other) in enumerate(zip(left.layers, right.layers, strict=True)):
        if one.reset_after != other.reset_after:
            found.append(f"layer {index} reset_after")
        if not _same_number(one.clip, other.clip):
            found.append(f"layer {index} clip")
    for (index, name, one_way), (_, _, other_way) in zip(left.directions(), right.directions(), strict=True):
        if one_way.absent_gates != other_way.absent_gates:
            found.append(f"layer {index} {name} absent_gates")
        found += [
            f"layer {index} {name} {kind}"
            for kind in ("gate_activation", "candidate_activation")
            if not _same_activation(getattr(one_way, kind), getattr(other_way, kind))
        ]
    arrays = dict(left.arrays()), dict(right.arrays())
    for array in sorted(arrays[0].keys() | arrays[1].keys()):
        present = array in arrays[0] and array in arrays[1]
        if not present or not _same_bits(arrays[0][array], arrays[1][array], written):
            found.append(array)
    return tuple(found)


def _same_bits(left: Array, right: Array, written: WrittenArrays | None) -> bool:
    known = written is not None and left.nbytes > _LARGE and written.has(left, right)
    return known or equal_bits(left, right)


def _shape(layer: GRULayer) -> object:
    return layer.input_size, layer.hidden_size, [name for name, _ in layer.directions()]


def _same_number(left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    return bool(np.float32(left) == np.float32(right))


def _same_activation(left: Activation, right: Activation) -> bool:
    return (
        left.name == right.name
        and _same_number(left.alpha, right.alpha)
        and _same_number(left.beta, right.beta)
    )
