"""Keras files: `.keras`, `.weights.h5`, and HDF5 of every Keras since 1. No Keras is needed for any of it."""

from __future__ import annotations

from pathlib import Path

from grubridge.files.tensors import TensorFile
from grubridge.formats.base import Contents, Provenance, ReadHints, WriteOptions, Written
from grubridge.formats.described import fitting
from grubridge.spec import Capabilities, GRUSpec, Layout

from .activations import HELD
from .contents import stack_entries
from .files import is_keras, open_keras, refuse_stored_code
from .named import described_cells, named_tensors
from .write import write_keras

__all__ = ["CAPABILITIES", "HINTS", "NAME", "OPTIONS", "SUFFIXES", "contents", "sniff", "tensors", "write"]

NAME = "keras"
SUFFIXES = (".keras", ".weights.h5", ".h5", ".hdf5")
CAPABILITIES = Capabilities(
    gate_activations=HELD, candidate_activations=HELD, clip=False, initial_state=False
)
HINTS = frozenset(("activation", "recurrent_activation", "reset_after", "layout"))
OPTIONS: frozenset[str] = frozenset()


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file at `path`, which starts with the bytes `head`, is a Keras file."""
    return is_keras(path, head)


def contents(path: Path, hints: ReadHints) -> Contents:
    """List the GRUs in a Keras file; with a layout, the cells that have its arrays.

    Raises:
        FileFormatError: when it is damaged, holds code, or a hint says what the file itself says.
        LayoutError: when there is no such layout.
    """
    if hints.layout is not None:
        if not hints.skip_unsafe:
            refuse_stored_code(path)
        return described_cells(path, hints.layout)
    file = open_keras(path, skip_unsafe=hints.skip_unsafe)
    others = [other.said for other in file.model.others]
    others += (str(layer) for layer in file.bare if not layer.is_gru)
    stacks = stack_entries(file, hints)
    advice = "" if stacks else fitting(tensors(path))
    return Contents(stacks, tuple(others), f"keras {file.version}".rstrip(), advice)


def tensors(path: Path) -> TensorFile:
    """List the arrays of the file by name. Raises FileFormatError."""
    return named_tensors(path)


def write(
    spec: GRUSpec, path: Path, _options: WriteOptions, provenance: Provenance, source: Layout
) -> Written:
    """Write `spec` to a new Keras file of the kind that the name of `path` asks for; `.keras` by default."""
    return write_keras(spec, path, provenance, source)
