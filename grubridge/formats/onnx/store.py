"""A model and its weights as files: the small rest first, then the weights, strip by strip.

Fields of a protobuf message may come in any order, so a graph's initializers can follow everything else:
their data is written straight from the spec's arrays and never passes through protobuf. Beyond protobuf's
limit of 2 GiB the weights go to a second file beside the model (ONNX's external data).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from grubridge.errors import UnsupportedFeatureError
from grubridge.files.opening import open_for_writing
from grubridge.files.strips import Segment, write_at, write_segments

from .messages import ModelProto, TensorProto
from .nodes import Model, Weight
from .protobuf import tag, varint
from .tensors import DATA_TYPES

__all__ = ["EXTERNAL_SUFFIX", "embedded", "store"]

EXTERNAL_SUFFIX = ".data"

_LARGEST_MESSAGE = (1 << 31) - 1
_PAGE = 4096
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # the fields' numbers in onnx.proto


def store(model: Model, path: Path) -> bool:
    """Write `model` to the new file `path`.

    Returns:
        Whether the weights are in the file; otherwise they are in `path` + EXTERNAL_SUFFIX.
    """
    head, announcements, size = _plan(model)
    if size > _LARGEST_MESSAGE:
        _store_outside(model, path)
        return False
    offset = len(head)
    pieces: list[tuple[int, bytes]] = [(0, head)]
    segments: list[Segment] = []
    for announcement, weight in zip(announcements, model.weights, strict=True):
        pieces.append((offset, announcement))
        segments.append(Segment(offset + len(announcement), weight.data))
        offset += len(announcement) + weight.data.nbytes
    _write(path, pieces, segments)
    return True


def embedded(model: Model) -> ModelProto:
    """Return `model` as one protobuf message in memory, weights included.

    Raises:
        UnsupportedFeatureError: when it is larger than protobuf can hold.
    """
    *_, size = _plan(model)
    if size > _LARGEST_MESSAGE:
        reason = (
            f"the model takes {size:,} bytes, and protobuf holds {_LARGEST_MESSAGE:,}: write a file instead"
        )
        raise UnsupportedFeatureError(reason, [reason])
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    for weight in model.weights:
        tensor = proto.graph.initializer.add()
        tensor.CopyFrom(_tensor(weight))
        tensor.raw_data = weight.data.to_array().tobytes()
    return proto


def _plan(model: Model) -> tuple[bytes, list[bytes], int]:
    """Return the file's beginning, what stands in front of each weight's data, and the file's size."""
    announcements = []
    for weight in model.weights:
        size = weight.data.nbytes
        tensor = _tensor(weight).SerializeToString(deterministic=True) + tag(_RAW_DATA) + varint(size)
        announcements.append(tag(_INITIALIZER) + varint(len(tensor) + size) + tensor)
    data = sum(map(len, announcements)) + sum(weight.data.nbytes for weight in model.weights)
    graph = model.proto.graph.SerializeToString(deterministic=True)
    around = ModelProto()
    around.CopyFrom(model.proto)
    around.ClearField("graph")
    head = around.SerializeToString(deterministic=True) + tag(_GRAPH) + varint(len(graph) + data) + graph
    return head, announcements, len(head) + data


def _store_outside(model: Model, path: Path) -> None:
    proto, segments, offset = ModelProto(), list[Segment](), 0
    proto.CopyFrom(model.proto)
    data = path.with_name(path.name + EXTERNAL_SUFFIX)
    for weight in model.weights:
        tensor = _tensor(weight)
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": data.name, "offset": str(offset), "length": str(weight.data.nbytes)}
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)
        proto.graph.initializer.append(tensor)
        segments.append(Segment(offset, weight.data))
        offset += weight.data.nbytes + -weight.data.nbytes % _PAGE
    _write(data, (), segments)
    _write(path, [(0, proto.SerializeToString(deterministic=True))], ())


def _tensor(weight: Weight) -> TensorProto:
    return TensorProto(dims=weight.shape, data_type=DATA_TYPES[weight.data.dtype.name], name=weight.name)


def _write(path: Path, pieces: Sequence[tuple[int, bytes]], segments: Sequence[Segment]) -> None:
    file = open_for_writing(path)
    try:
        for offset, piece in pieces:
            write_at(file, piece, offset)
        write_segments(file, segments)
    finally:
        os.close(file)
