"""Arrays of numbers in NumPy's own files, read as data: .npy, and .npz, a zip of them.

numpy.load takes the memory that a header asks for before it looks at the file, and lets any exception through
at damaged ones. Text is read too, for messages about it. Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from grubridge.errors import CorruptFileError
from grubridge.spec import Array

from .opening import FileMap, check_budget, shown
from .tensors import is_shape
from .text import listed, printable
from .zips import read_entry, read_zip

__all__ = ["LARGEST", "read_numpy"]

LARGEST = 1 << 30
"""Bytes of what one file holds, by default."""

_MAGIC, _ZIP, _SUFFIX = b"\x93NUMPY", b"PK", ".npy"
_LONGEST_HEADER = 10_000
_KEYS = {
    "descr": re.compile(r"'descr'\s*:\s*'([<>|=]?(?:f[248]|[iu][1248]|b1|[SU][0-9]{1,6}))'"),
    "fortran_order": re.compile(r"'fortran_order'\s*:\s*(True|False)"),
    "shape": re.compile(r"'shape'\s*:\s*\(((?:\s*[0-9]{1,18}\s*,)*\s*(?:[0-9]{1,18})?\s*)\)"),
}


def read_numpy(path: Path) -> Mapping[str, Array] | Array:
    """Return the arrays of an .npz file by name, or the one array of an .npy file; read-only.

    Raises:
        FileFormatError: when the file cannot be opened, or is too large.
        CorruptFileError: when it is neither, is damaged, or holds objects.
    """
    file = FileMap(path)
    if file.bytes(0, 2) != _ZIP:
        check_budget(path, file.size, "its content", LARGEST)
        return _array(file.bytes(0, file.size), shown(path))
    entries = read_zip(path)
    check_budget(path, sum(entry.size for entry in entries.values()), "its content", LARGEST)
    names = {name: name.removesuffix(_SUFFIX) for name in entries}
    if len(set(names.values())) < len(names):
        raise CorruptFileError(f"{shown(path)}: two of its arrays have one name: {listed(sorted(names))}")
    return {
        names[name]: _array(
            read_entry(path, entry, LARGEST, may_be_zeros=True), f"{shown(path)}, {printable(name)}"
        )
        for name, entry in entries.items()
    }


def _array(content: bytes, where: str) -> Array:
    """Return the array that the content of an .npy file holds."""
    version = content[6:7]
    size_bytes = 2 if version == b"\1" else 4
    start = 8 + size_bytes
    size = int.from_bytes(content[8:start], "little")
    if not content.startswith(_MAGIC) or version not in {b"\1", b"\2", b"\3"} or size > _LONGEST_HEADER:
        raise CorruptFileError(f"{where}: this is no .npy file")
    header = content[start : start + size].decode("latin-1")
    said = {key: found[1] for key, pattern in _KEYS.items() if (found := pattern.search(header))}
    if said.keys() != _KEYS.keys():
        raise CorruptFileError(f"{where}: it is damaged, or holds no numbers: {printable(header.strip())}")
    shape = tuple(int(part) for part in said["shape"].split(",") if part.strip())
    dtype = np.dtype(said["descr"])
    if not is_shape(shape) or not dtype.itemsize:
        said_shape = printable(list(shape))
        raise CorruptFileError(f"{where}: no array of numbers has shape {said_shape} and type {dtype}")
    expected, held = math.prod(shape) * dtype.itemsize, len(content) - start - size
    if expected != held:
        raise CorruptFileError(
            f"{where}: an array of shape {list(shape)} and type {dtype} should be {expected} bytes; "
            f"received {held}"
        )
    flat = np.frombuffer(content, dtype, offset=start + size)
    return flat.reshape(shape, order="F" if said["fortran_order"] == "True" else "C")
