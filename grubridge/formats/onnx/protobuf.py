"""An ONNX file's protobuf, walked before it is parsed, so that large tensors stay in the file.

protobuf would copy every weight into memory. The walk follows the length prefixes down to the tensors,
cuts long data out and leaves a short mark in its place; the small rest is parsed by onnx.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.files.opening import FileMap, check_budget, shown

__all__ = ["Skimmed", "looks_like_model", "skim", "tag", "varint"]

_VARINT, _BYTES = 0, 2  # wire types
_FIXED = {1: 8, 5: 4}

_INSIDE: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 25: "FunctionProto"},
    "FunctionProto": {7: "NodeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto"},
    "TensorProto": {4: "data", 9: "data", 10: "data"},
}
"""Where tensors can be: message -> field number -> what the field holds (onnx.proto).

float_data (4) and double_data (10) are packed little-endian numbers: the same bytes as raw_data (9).
"""

_MODEL_FIELDS = {1: _VARINT, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _VARINT, 6: _BYTES, 7: _BYTES, 8: _BYTES}
_MODEL_FIELDS |= dict.fromkeys((14, 20, 25, 26), _BYTES)

_RAW_DATA = 9
_LONG = 4096
_DEEPEST = 100
_LARGEST_REST = 32 << 20
_MOST_FIELDS = 1_000_000


class Skimmed(NamedTuple):
    """A file's protobuf without its long data.

    Args:
        rest: a ModelProto in which every long tensor's raw_data is a mark.
        spans: mark -> (offset, size) of the data in the file.
    """

    rest: bytes
    spans: dict[bytes, tuple[int, int]]


def skim(file: FileMap) -> Skimmed:
    """Walk the ModelProto that the file is.

    Raises:
        CorruptFileError: when it is no protobuf, or truncated.
        UnsafeFileError: when what is not tensor data would take too much memory.
    """
    walk = _Walk(file)
    try:
        rest = walk.message("ModelProto", 0, file.size, depth=0)
    except EOFError as error:
        raise CorruptFileError(
            f"{shown(file.path)}: {error}; the file is truncated or damaged: copy or download it again"
        ) from None
    return Skimmed(rest, walk.spans)


def looks_like_model(head: bytes) -> bool:
    """Whether a file that starts with `head` can be a ModelProto: known fields, each of its own wire type."""
    at, seen = 0, set()
    while at < len(head):
        try:
            key, at = _read_varint(head, at, len(head))
            if _MODEL_FIELDS.get(key >> 3) != key & 7:
                return False
            value, at = _read_varint(head, at, len(head))
        except EOFError:
            break
        seen.add(key >> 3)
        at += value if key & 7 == _BYTES else 0
    return 7 in seen or (1 in seen and head[:1] == tag(1, _VARINT))


def tag(field: int, wire: int = _BYTES) -> bytes:
    """Return the bytes that announce a field."""
    return varint(field << 3 | wire)


def varint(value: int) -> bytes:
    """Return `value` as a protobuf varint."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Walk:
    def __init__(self, file: FileMap) -> None:
        self.spans: dict[bytes, tuple[int, int]] = {}
        self._file = file
        self._buffer = file.view(0, (file.size,), np.dtype("uint8"), "the file").data
        self._secret = os.urandom(16)  # no file can hold a mark of its own making
        self._rest = 0
        self._fields_seen = 0

    def message(self, kind: str, start: int, stop: int, *, depth: int) -> bytes:
        """Return the message of `kind` at bytes `start` to `stop`, long data replaced by marks."""
        if depth > _DEEPEST:
            raise UnsafeFileError(
                f"{shown(self._file.path)}: its graphs are nested more than {_DEEPEST} messages deep, which "
                "no real model is and protobuf refuses"
            )
        pieces: list[bytes] = []
        copied = start
        for at, field, begin, end in self._long_fields(start, stop):
            held = _INSIDE[kind].get(field)
            if held is None:
                continue
            pieces.append(self._copy(copied, at))
            if held == "data":
                content, field = self._mark(begin, end), _RAW_DATA  # noqa: PLW2901 - it becomes raw_data
            else:
                content = self.message(held, begin, end, depth=depth + 1)
            pieces += [tag(field), varint(len(content)), content]
            copied = end
        pieces.append(self._copy(copied, stop))
        return b"".join(pieces)

    def _long_fields(self, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (start of the tag, field number, start and end of the content) of every long field."""
        buffer, at = self._buffer, start
        while at < stop:
            key, begin = _read_varint(buffer, at, stop)
            wire, size = key & 7, 0
            if wire == _BYTES:
                size, begin = _read_varint(buffer, begin, stop)
                end = begin + size
            elif wire == _VARINT:
                _, end = _read_varint(buffer, begin, stop)
            elif wire in _FIXED:
                end = begin + _FIXED[wire]
            else:
                raise EOFError(f"the byte at {at} begins no protobuf field")
            if end > stop:
                raise EOFError(f"a field at byte {at} should reach byte {end}, past its end at byte {stop}")
            if size >= _LONG:
                yield at, key >> 3, begin, end
            self._count_field()
            at = end

    def _count_field(self) -> None:
        self._fields_seen += 1
        if self._fields_seen > _MOST_FIELDS:
            raise UnsafeFileError(
                f"{shown(self._file.path)}: its graphs have more than {_MOST_FIELDS:,} parts, which no real "
                "model has; the file is damaged or hostile"
            )

    def _copy(self, start: int, stop: int) -> bytes:
        self._rest += stop - start
        check_budget(self._file.path, self._rest, "everything but its large raw tensors", _LARGEST_REST)
        return self._file.bytes(start, stop - start)

    def _mark(self, begin: int, end: int) -> bytes:
        mark = self._secret + len(self.spans).to_bytes(4, "little")
        self.spans[mark] = (begin, end - begin)
        return mark


def _read_varint(buffer: bytes | memoryview, at: int, stop: int) -> tuple[int, int]:
    """Return the varint at byte `at`, and the position after it."""
    value = shift = 0
    while at < stop and shift < 70:
        byte = buffer[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise EOFError(f"the number that ends at byte {at} is not complete")
