"""The pickle of a state dict, as torch.save would write it, without torch.

Protocol 2; source: torch/serialization.py (`persistent_id`) and torch/_utils.py (`_rebuild_tensor_v2`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import accumulate
from operator import mul

from grubridge.spec import Fused

from .pickle_reader import STORAGES

__all__ = ["dump"]

_PROTOCOL_2, _STOP = b"\x80\x02", b"."
_MARK, _TUPLE, _EMPTY_TUPLE = b"(", b"t", b")"
_REDUCE, _PERSISTENT, _SET_ITEMS = b"R", b"Q", b"u"
_FALSE = b"\x89"
_CLASSES = {dtype: storage for storage, dtype in STORAGES.items()}


def dump(tensors: Mapping[str, Fused]) -> bytes:
    """Return the pickle of an OrderedDict of contiguous tensors; the n-th one's record is "data/n"."""
    items = b"".join(
        _text(name) + _tensor(str(record), tensor) for record, (name, tensor) in enumerate(tensors.items())
    )
    return _PROTOCOL_2 + _ordered_dict() + _MARK + items + _SET_ITEMS + _STOP


def _tensor(record: str, tensor: Fused) -> bytes:
    count = tensor.nbytes // tensor.dtype.itemsize
    storage_class = _global("torch", _CLASSES[tensor.dtype.name])
    storage = (
        _tuple(_text("storage"), storage_class, _text(record), _text("cpu"), _integer(count)) + _PERSISTENT
    )
    strides = [*accumulate(tensor.shape[:0:-1], mul, initial=1)][::-1]
    shape_and_strides = (_tuple(*map(_integer, numbers)) for numbers in (tensor.shape, strides))
    arguments = _tuple(storage, _integer(0), *shape_and_strides, _FALSE, _ordered_dict())
    return _global("torch._utils", "_rebuild_tensor_v2") + arguments + _REDUCE


def _ordered_dict() -> bytes:
    return _global("collections", "OrderedDict") + _EMPTY_TUPLE + _REDUCE


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _tuple(*items: bytes) -> bytes:
    return _MARK + b"".join(items) + _TUPLE


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def _integer(value: int) -> bytes:
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)
