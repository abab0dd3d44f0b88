"""safetensors files: the state dicts of nn.GRU and nn.GRUCell, and the tensors of any layout.

Eight bytes give the length of a JSON header, which gives dtype, shape and place of every tensor; the tensors
follow without gaps. Source: https://github.com/huggingface/safetensors, "Format". The header is read here
because the library copies tensors, while views of the mapped file are enough.
"""

from __future__ import annotations

import json
import math
import os
from functools import partial
from pathlib import Path
from typing import Any

from grubridge.errors import CorruptFileError
from grubridge.files.json_data import parse_json
from grubridge.files.opening import FileMap, check_budget, open_for_writing, shown
from grubridge.files.strips import Segment, write_at, write_segments
from grubridge.files.tensors import StoredTensor, TensorFile, is_shape
from grubridge.files.text import printable, quoted
from grubridge.formats.state_dict.contents import grus
from grubridge.formats.state_dict.layout import CAPABILITIES
from grubridge.formats.state_dict.plan import lay_out
from grubridge.spec import GRUSpec, Layout, numpy_dtype

from .base import Contents, Provenance, ReadHints, WriteOptions, Written

__all__ = ["CAPABILITIES", "HINTS", "NAME", "OPTIONS", "SUFFIXES", "contents", "sniff", "tensors", "write"]

NAME = "safetensors"
SUFFIXES = (".safetensors",)
HINTS = frozenset(("layout",))
OPTIONS = frozenset(("layout",))

_LENGTH = 8
_LARGEST_HEADER = 16 << 20  # the format allows 100 MB; 100,000 tensors take 10
_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_METADATA = "__metadata__"
_ALIGNMENT = 64  # of the first tensor, so that all can be mapped


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file begins with a length and a JSON object."""
    length = int.from_bytes(head[:_LENGTH], "little")
    if head[_LENGTH : _LENGTH + 1] != b"{":
        return False
    # with the right name, `contents` says what is wrong with the length
    return path.suffix.lower() in SUFFIXES or _LENGTH + length <= path.stat().st_size


def contents(path: Path, hints: ReadHints) -> Contents:
    """List the GRUs in the file; errors are those of `tensors`."""
    return grus(tensors(path), hints.layout)


def tensors(path: Path) -> TensorFile:
    """List the tensors in the file.

    Raises:
        FileFormatError: when it cannot be opened.
        CorruptFileError: when its header is damaged or does not describe the file.
        UnsafeFileError: when its header is absurdly large.
    """
    file = FileMap(path)
    header, start = _header(file)
    metadata = header.pop(_METADATA, {})
    found: dict[str, StoredTensor] = {}
    ends: list[tuple[int, int]] = []
    for name, entry in header.items():
        found[name], begin, end = _tensor(file, start, name, entry)
        ends.append((begin, end))
    _check_coverage(file, start, ends)
    from_torch = isinstance(metadata, dict) and metadata.get("format") == "pt"
    return TensorFile(path, NAME, {(): found}, "torch" if from_torch else "")


def _header(file: FileMap) -> tuple[dict[str, Any], int]:
    """Return the header and where the tensors start."""
    length = int.from_bytes(file.bytes(0, _LENGTH), "little")
    start = _LENGTH + length
    if start > file.size:
        raise CorruptFileError(
            f"{shown(file.path)}: its header should have {length} bytes, but the file has {file.size}; it is "
            "truncated or damaged: copy or download it again"
        )
    check_budget(file.path, length, "the safetensors header", _LARGEST_HEADER)
    header = parse_json(file.bytes(_LENGTH, length), f"{shown(file.path)}, header")
    if not isinstance(header, dict):
        raise CorruptFileError(
            f"{shown(file.path)}: its header should be a JSON object; received {type(header).__name__}"
        )
    return header, start


def _tensor(file: FileMap, start: int, name: str, entry: object) -> tuple[StoredTensor, int, int]:
    """Return one tensor of the header and where it begins and ends, counted from the first tensor."""
    where = f"{shown(file.path)}, header: tensor {printable(name)}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise CorruptFileError(f"{where} should have dtype, shape and data_offsets; the header is damaged")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    sound = isinstance(code, str) and _are_counts(shape) and _are_counts(offsets) and len(offsets) == 2
    if not sound or not is_shape(shape):
        raise CorruptFileError(
            f"{where} should have whole, non-negative sizes that an array can have, and two offsets; the "
            "header is damaged"
        )
    begin, end = offsets
    dtype = numpy_dtype(_DTYPES.get(code, "uint8"))  # other dtypes are not a GRU's: they are never read
    size = math.prod(shape) * dtype.itemsize
    if code in _DTYPES and size != end - begin:
        raise CorruptFileError(
            f"{where} of shape {shape} and dtype {code} takes {size} bytes, but its offsets leave "
            f"{end - begin}; the header is damaged"
        )
    read = partial(file.view, start + begin, tuple(shape), dtype, name)
    return StoredTensor(tuple(shape), _DTYPES.get(code, printable(code)), read), begin, end


def _are_counts(numbers: object) -> bool:
    return isinstance(numbers, list) and all(
        type(number) is int and 0 <= number < 1 << 63 for number in numbers
    )


def _check_coverage(file: FileMap, start: int, places: list[tuple[int, int]]) -> None:
    """Refuse tensors that overlap, leave a gap, or do not end where the file ends."""
    expected = 0
    for begin, end in sorted(places):
        if begin != expected or end < begin:
            raise CorruptFileError(
                f"{shown(file.path)}, header: a tensor should begin at byte {expected} after the header, "
                f"where the one before it ends; it claims bytes {begin} to {end}: the header is damaged"
            )
        expected = end
    if start + expected != file.size:
        raise CorruptFileError(
            f"{shown(file.path)}: its tensors should end at byte {start + expected}, but the file has "
            f"{file.size} bytes; it is truncated or damaged: copy or download it again"
        )


def write(
    spec: GRUSpec, path: Path, options: WriteOptions, provenance: Provenance, source: Layout
) -> Written:
    """Write the tensors of an nn.GRU or of a layout, without a prefix, and the provenance as metadata."""
    load = f"safetensors.torch.load_file({quoted(path.name)})"
    planned, notes = lay_out(spec, source, options.layout, load)
    header: dict[str, object] = {_METADATA: {"format": "pt", **provenance.entries}}
    offset = 0
    offsets: list[int] = []
    for key, tensor in planned.tensors.items():
        end = offset + tensor.nbytes
        code = _CODES[tensor.dtype.name]
        header[key] = {"dtype": code, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offsets.append(offset)
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(_LENGTH + len(text)) % _ALIGNMENT)
    start = _LENGTH + len(text)
    file = open_for_writing(path)
    try:
        write_at(file, len(text).to_bytes(_LENGTH, "little") + text, 0)
        tensors = planned.tensors.values()
        write_segments(
            file, [Segment(start + offset, tensor) for offset, tensor in zip(offsets, tensors, strict=True)]
        )
    finally:
        os.close(file)
    return Written(planned.stored, planned.records, notes)
