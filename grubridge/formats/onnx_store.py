"""A model and its weights as files: the small rest first, then the weights, strip by strip.

Fields of a protobuf message may come in any order, so a graph's initializers can follow everything else:
their data is written straight from the spec's arrays and never passes through protobuf. Beyond protobuf's
limit of 2 GiB the weights go to a second file beside the model (ONNX's external data).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from onnx import ModelProto, TensorProto

from grubridge.files.opening import open_for_writing
from grubridge.files.strips import Segment, write_segments

from .onnx_nodes import Model, Weight
from .onnx_tensors import DATA_TYPES
from .onnx_wire import tag, varint

__all__ = ["EXTERNAL_SUFFIX", "store"]

EXTERNAL_SUFFIX = ".data"

_LARGEST_FILE = (1 << 31) - 1
_PAGE = 4096
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # the fields' numbers in onnx.proto


def store(model: Model, path: Path) -> bool:
    """Write `model` to the new file `path`.

    Returns:
        Whether the weights are in the file; otherwise they are in `path` + EXTERNAL_SUFFIX.
    """
    head, announcements = _embedded(model)
    sizes = [weight.data.nbytes for weight in model.weights]
    if len(head) + sum(map(len, announcements)) + sum(sizes) > _LARGEST_FILE:
        _store_outside(model, path)
        return False
    offset = len(head)
    begins: list[tuple[int, bytes]] = [(0, head)]
    segments: list[Segment] = []
    for announcement, weight in zip(announcements, model.weights, strict=True):
        begins.append((offset, announcement))
        segments.append(Segment(offset + len(announcement), weight.data))
        offset += len(announcement) + weight.data.nbytes
    _write(path, begins, segments)
    return True


def _embedded(model: Model) -> tuple[bytes, list[bytes]]:
    """Return the file's beginning, and what stands in front of each weight's data."""
    announcements = []
    for weight in model.weights:
        size = weight.data.nbytes
        tensor = _tensor(weight).SerializeToString(deterministic=True) + tag(_RAW_DATA) + varint(size)
        announcements.append(tag(_INITIALIZER) + varint(len(tensor) + size) + tensor)
    graph = model.proto.graph.SerializeToString(deterministic=True)
    data = sum(weight.data.nbytes for weight in model.weights)
    length = len(graph) + sum(map(len, announcements)) + data
    around = ModelProto()
    around.CopyFrom(model.proto)
    around.ClearField("graph")
    return around.SerializeToString(deterministic=True) + tag(_GRAPH) + varint(length) + graph, announcements


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
            os.pwrite(file, piece, offset)
        write_segments(file, segments)
    finally:
        os.close(file)
