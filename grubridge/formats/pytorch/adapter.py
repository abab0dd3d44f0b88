"""PyTorch checkpoints (.pt .pth .bin .ckpt .tar): state dicts of nn.GRU and nn.GRUCell at any depth."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from grubridge.errors import FileFormatError
from grubridge.files.opening import open_for_writing, shown
from grubridge.files.strips import Segment, write_segments
from grubridge.files.tensors import StoredTensor, TensorFile
from grubridge.files.text import quoted
from grubridge.files.zip_writer import ZipWriter
from grubridge.files.zips import read_zip
from grubridge.formats.base import Contents, Provenance, ReadHints, WriteOptions, Written
from grubridge.formats.state_dict.contents import grus
from grubridge.formats.state_dict.layout import CAPABILITIES
from grubridge.formats.state_dict.plan import lay_out
from grubridge.spec import GRUSpec, Layout

from .checkpoint import PICKLE, Checkpoint
from .pickle_reader import Tensor
from .pickle_writer import dump

__all__ = ["CAPABILITIES", "HINTS", "NAME", "OPTIONS", "SUFFIXES", "contents", "sniff", "tensors", "write"]

NAME = "pytorch"
SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".tar")
HINTS = frozenset(("layout",))
OPTIONS = frozenset(("layout",))

_ZIP = b"PK\3\4"
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_PICKLED_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # what torch.save began with before 1.6
_TAR, _TAR_AT = b"ustar", 257
_DEEPEST = 32  # levels of dicts in dicts that are searched
_ALIGNMENT = 64  # of records, as torch.save has it


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file is a checkpoint: a zip with a data.pkl, or what `contents` refuses by name."""
    named = path.suffix.lower() in SUFFIXES
    if head.startswith(_ZIP):
        try:
            return any(PICKLE.fullmatch(name) for name in read_zip(path))
        except FileFormatError:
            return named  # `contents` says what is wrong with the zip
    return head.startswith(_PICKLED_MAGIC) or (named and _is_old(head))


def _is_old(head: bytes) -> bool:
    return bool(_PICKLE.match(head)) or head.startswith(_TAR, _TAR_AT)


def contents(path: Path, hints: ReadHints) -> Contents:
    """List the GRUs of every state dict in the checkpoint; errors are those of `tensors`."""
    return grus(tensors(path), hints.layout)


def tensors(path: Path) -> TensorFile:
    """List the tensors of every state dict in the checkpoint.

    Raises:
        FileFormatError: when it is no zip checkpoint, or a TorchScript archive.
        CorruptFileError: when it is damaged.
        UnsafeFileError: when it would run code.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if _is_old(head):
        raise FileFormatError(
            f"{shown(path)}: this is a bare pickle or the format of torch.save before version 1.6; save it "
            "in today's format: torch.save(torch.load('model.pt', weights_only=True), 'weights.pt')"
        )
    return TensorFile(path, NAME, _state_dicts(Checkpoint(path)), "torch")


def _state_dicts(checkpoint: Checkpoint) -> Mapping[tuple[str, ...], Mapping[str, StoredTensor]]:
    """Return the tensors of every dict in the checkpoint, by the keys that lead to it, each dict once."""
    found: dict[tuple[str, ...], Mapping[str, StoredTensor]] = {}
    seen: set[int] = set()
    left: list[tuple[tuple[str, ...], object]] = [((), checkpoint.root)]
    while left:
        keys, value = left.pop()
        if not isinstance(value, dict) or id(value) in seen or len(keys) > _DEEPEST:
            continue
        seen.add(id(value))
        items = [(key, item) for key, item in value.items() if isinstance(key, str)]
        found[keys] = {key: checkpoint.stored(item) for key, item in items if isinstance(item, Tensor)}
        left.extend(((*keys, key), item) for key, item in reversed(items))
    return found


def write(
    spec: GRUSpec, path: Path, options: WriteOptions, provenance: Provenance, source: Layout
) -> Written:
    """Write the state dict of an nn.GRU or of a layout, as torch.save would, its keys without a prefix.

    torch.load takes it with weights_only and mmap. The provenance is a record that torch does not look at.
    """
    load = f"torch.load({quoted(path.name)}, weights_only=True)"
    planned, notes = lay_out(spec, source, options.layout, load)
    file = open_for_writing(path)
    try:
        archive = ZipWriter(file)
        archive.put("archive/data.pkl", dump(planned.tensors))
        archive.put("archive/.format_version", b"1")
        archive.put("archive/.storage_alignment", str(_ALIGNMENT).encode())
        archive.put("archive/byteorder", b"little")
        records = [f"archive/data/{index}" for index in range(len(planned.tensors))]
        segments = [
            Segment(archive.reserve(record, tensor.nbytes, _ALIGNMENT), tensor)
            for record, tensor in zip(records, planned.tensors.values(), strict=True)
        ]
        archive.put("archive/version", b"3\n")
        archive.put("archive/extra/provenance.json", json.dumps(dict(provenance.entries)).encode())
        for record, crc in zip(records, write_segments(file, segments, checksums=True), strict=True):
            archive.set_crc(record, crc)
        archive.finish()
    finally:
        os.close(file)
    return Written(planned.stored, planned.records, notes)
