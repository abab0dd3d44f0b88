"""Whether two specs hold the same GRU bit for bit: a written file read back, or two files of one model."""

from __future__ import annotations

import numpy as np

from grubridge.files.strips import equal_bits
from grubridge.spec import Activation, GRULayer, GRUSpec

__all__ = ["differences"]


def differences(left: GRUSpec, right: GRUSpec) -> tuple[str, ...]:
    """Return the names of what differs between two specs; () when they are the same GRU bit for bit.

    Names, wiring and source do not count. Activation parameters and clip are compared as float32, which is
    how ONNX stores them.
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
        found += [
            f"layer {index} {name} {kind}"
            for kind in ("gate_activation", "candidate_activation")
            if not _same_activation(getattr(one_way, kind), getattr(other_way, kind))
        ]
    arrays = dict(left.arrays()), dict(right.arrays())
    for array in sorted(arrays[0].keys() | arrays[1].keys()):
        present = array in arrays[0] and array in arrays[1]
        if not present or not equal_bits(arrays[0][array], arrays[1][array]):
            found.append(array)
    return tuple(found)


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
