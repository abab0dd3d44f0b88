"""TensorFlow checkpoints as files of named tensors: the cells in them that a layout describes. Only read."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from grubridge.errors import UnsupportedFeatureError
from grubridge.files.checkpoint_names import INDEX, index_of
from grubridge.files.tensors import TensorFile
from grubridge.formats.base import Contents, Provenance, ReadHints, StackEntry, WriteOptions, Written
from grubridge.formats.described import described, fits, own_tensors
from grubridge.spec import Capabilities, GRUSpec, Layout, unsupported

from .checkpoint import Checkpoint

__all__ = ["CAPABILITIES", "HINTS", "NAME", "OPTIONS", "SUFFIXES", "contents", "sniff", "tensors", "write"]

NAME = "tensorflow"
SUFFIXES = (INDEX,)
CAPABILITIES = Capabilities(writes=False)
HINTS = frozenset(("layout",))
OPTIONS: frozenset[str] = frozenset()

_TABLE_END = bytes.fromhex("57fb808b247547db")
"""The last bytes of a table of LevelDB, which an index is (tensorflow/core/lib/io/format.h)."""


def sniff(path: Path, _head: bytes) -> bool:
    """Whether the file at `path` is the index of a checkpoint."""
    if path.suffix.lower() != INDEX:
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(_TABLE_END)), os.SEEK_SET)
        return file.read() == _TABLE_END


def contents(path: Path, hints: ReadHints) -> Contents:
    """List the cells in a checkpoint, by the layout that was asked for or the only shipped one that fits.

    Raises:
        FileFormatError: when it is damaged, or a part of it is missing.
        LayoutError: when there is no such layout.
        MissingDependencyError: when TensorFlow is not installed.
    """
    checkpoint = Checkpoint(index_of(path))
    file, note = _file(checkpoint), ""
    layout = hints.layout
    if layout is None:
        fitting = list(fits(file))
        if len(fitting) != 1:
            return Contents((), (), NAME, _choice(fitting))
        layout = fitting[0]
        note = (
            f"read by the layout {layout}, the only shipped one that its tensors fit; a checkpoint does not "
            "say which activations the cell has: those of the layout are assumed"
        )
    found = described(file, layout)
    return replace(found, stacks=tuple(_entry(checkpoint, entry, note) for entry in found.stacks))


def tensors(path: Path) -> TensorFile:
    """List the tensors of the model in a checkpoint; errors are those of `contents`."""
    return _file(Checkpoint(index_of(path)))


def _file(checkpoint: Checkpoint) -> TensorFile:
    return TensorFile(checkpoint.path, NAME, {(): checkpoint.tensors}, NAME)


def _choice(fitting: list[str]) -> str:
    """Return what to do about a checkpoint that fits several shipped layouts, or none."""
    if not fitting:
        return "its tensors fit no shipped layout: describe the cell in a .toml file and pass it as --layout"
    return f"its tensors fit the layouts {', '.join(fitting)}: pass your cell's, as --layout {fitting[0]}"


def _entry(checkpoint: Checkpoint, entry: StackEntry, note: str) -> StackEntry:
    """Return the stack with the keys of its tensors in its address; they are read in one go."""
    own = own_tensors(entry, checkpoint.tensors)
    address = {**entry.address, "tensors": {one: checkpoint.keys[name] for one, name in own.items()}}
    return replace(entry, address=address, read=partial(_read, checkpoint, tuple(own.values()), entry, note))


def _read(checkpoint: Checkpoint, names: tuple[str, ...], entry: StackEntry, note: str) -> GRUSpec:
    checkpoint.fetch(names)
    spec = entry.read()
    if spec.source is None or not note:
        return spec
    return replace(spec, source=replace(spec.source, notes=(note, *spec.source.notes)))


def write(
    spec: GRUSpec, _path: Path, _options: WriteOptions, _provenance: Provenance, _source: Layout
) -> Written:
    """Refuse: `CAPABILITIES` hold no spec."""
    reasons = unsupported(spec, CAPABILITIES, NAME)
    raise UnsupportedFeatureError("; ".join(reasons), reasons)
