"""The arrays of a Keras file by their paths, for cells of one's own that a layout describes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from grubridge.files.hdf5 import Hdf5Array, Hdf5File
from grubridge.files.tensors import StoredTensor, TensorFile
from grubridge.formats.base import Contents, StackEntry
from grubridge.formats.described import described, own_tensors

from .files import weights_entry

__all__ = ["described_cells", "named_tensors"]

_CELL = ("kernel", "recurrent_kernel", "bias")
"""What Keras calls a cell's arrays; Keras 3 stores them as "vars/0", "vars/1" and "vars/2"."""

_FIRST_OUTPUT = ":0"
"""Keras 2 writes what TensorFlow 1 called a variable's value: "kernel:0"."""


def named_tensors(path: Path) -> TensorFile:
    """List the float arrays of the file by their paths, those of a GRU's cell by the names that Keras has.

    Raises:
        FileFormatError: when the file is damaged.
    """
    return _file(path, dict(_arrays(path)))


def described_cells(path: Path, layout: str) -> Contents:
    """List the cells that have the arrays of a layout, by the names of `named_tensors` or by their paths.

    Raises:
        FileFormatError: when the file is damaged.
        LayoutError: when there is no such layout.
    """
    named = dict(_arrays(path))
    found = described(_file(path, named), layout)
    if not found.stacks:
        by_path = {array.path: array for array in named.values()}
        other = described(_file(path, by_path), layout)
        named, found = (by_path, other) if other.stacks else (named, found)
    return replace(found, stacks=tuple(_placed(path, entry, named) for entry in found.stacks))


def _placed(path: Path, entry: StackEntry, named: dict[str, Hdf5Array]) -> StackEntry:
    """Return the stack with the paths of its arrays in its address."""
    paths = {own: named[name].path for own, name in own_tensors(entry, named).items()}
    stored = weights_entry(path)
    container = "" if stored is None else stored.name
    return replace(entry, address={**entry.address, "container": container, "tensors": paths})


def _file(path: Path, arrays: dict[str, Hdf5Array]) -> TensorFile:
    tensors = {
        name: StoredTensor(array.shape, array.dtype.name, array.load) for name, array in arrays.items()
    }
    return TensorFile(path, "keras", {(): tensors}, "keras")


def _arrays(path: Path) -> Iterator[tuple[str, Hdf5Array]]:
    """Yield every float array of the file and its name."""
    with Hdf5File(path, weights_entry(path)) as file:
        for group, members in file.walk():
            places = [f"{group}/{member}".lstrip("/") for member in members]
            arrays = [array for place in places if (array := file.float_array(place)) is not None]
            scope, _, last = group.rpartition("/")
            if last == "vars" and _of_gru([array.shape for array in arrays]):
                arrays.sort(key=lambda array: array.path)
                yield from ((f"{scope}/{name}", array) for name, array in zip(_CELL, arrays, strict=False))
            else:
                yield from ((array.path.removesuffix(_FIRST_OUTPUT), array) for array in arrays)


def _of_gru(shapes: list[tuple[int, ...]]) -> bool:
    """Whether arrays of these shapes may be a GRU cell's: [I, 3H], [H, 3H] and, if any, a bias."""
    if len(shapes) not in (2, 3) or not len(shapes[0]) == len(shapes[1]) == 2:
        return False
    return shapes[0][1] == shapes[1][1] == 3 * shapes[1][0]
