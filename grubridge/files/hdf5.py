"""HDF5 files as data: one path component at a time, hard links only, float arrays only.

A contiguous array becomes a view of the mapped file; a chunked or compressed one is read under a budget. What
HDF5 itself must be asked, a process with limits is asked: see `hdf5_guard`. The file may also be an entry of
a zip archive, whose stored content is mapped in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from grubridge.errors import CorruptFileError
from grubridge.spec import Array, numpy_dtype

from .hdf5_content import LARGEST_READ, Hdf5Content
from .hdf5_guard import Hdf5Guard
from .opening import check_budget
from .text import printable
from .zips import ZipEntry

__all__ = ["SIGNATURE", "Hdf5Array", "Hdf5File"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"

_MOST_DIMENSIONS = 32
_TYPES = ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "bfloat16")


@dataclass(frozen=True)
class Hdf5Array:
    """An array of an HDF5 file, checked but not yet read; the file need not be open any more.

    Args:
        path: its path in the file, e.g. "layers/gru/cell/vars/0".
        shape: its shape.
        dtype: its dtype in native byte order.
        load: returns its values, a view of the mapped file where that is possible. Raises CorruptFileError
            when they are not all there, UnsafeFileError when they take more memory than any model needs.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], Array]


class Hdf5File:
    """An HDF5 file, open for reading until its `with` block ends.

    Paths are names joined by "/". Every method raises CorruptFileError where the file is damaged, and
    UnsafeFileError where reading would leave the file or exhaust memory.
    """

    def __init__(self, path: Path, entry: ZipEntry | None = None) -> None:
        """Open the file at `path`, or the one that is the entry `entry` of the zip archive there."""
        self.path = path
        self._content = Hdf5Content(path, entry)
        self._guard = Hdf5Guard(self._content)

    def __enter__(self) -> Hdf5File:
        return self

    def __exit__(self, *exception: object) -> None:
        self._guard.close()

    def members(self, group: str) -> tuple[list[str], list[str]]:
        """Return the names of the groups and of the arrays in `group`, each in HDF5's order."""
        found = self._guard.ask("members", group)
        if not (isinstance(found, list) and len(found) == 2 and all(map(_are_texts, found))):
            raise self._nonsense(group)
        return found[0], found[1]

    def walk(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (path of a group, names of the arrays in it) for all groups, each once."""
        found = self._guard.ask("walk")
        for one in found if isinstance(found, list) else [found]:
            group, arrays = one if isinstance(one, list) and len(one) == 2 else (None, None)
            if not (isinstance(group, str) and _are_texts(arrays)):
                raise self._nonsense("")
            yield group, arrays

    def check_whole(self) -> None:
        """Refuse a file in which any link or array leads elsewhere or is damaged, whoever reads it."""
        self._guard.ask("check_whole")

    def has(self, path: str) -> bool:
        """Whether there is a group or an array at `path`."""
        return self._guard.ask("has", path) is True

    def texts(self, path: str, attribute: str) -> list[str] | None:
        """Return the strings in an attribute of what is at `path`; None without such an attribute."""
        found: list[str] | None = self._guard.ask("texts", path, attribute)
        if found is not None and not _are_texts(found):
            raise self._nonsense(path)
        return found

    def text(self, path: str, attribute: str) -> str | None:
        """Return the first string in an attribute; None without any."""
        values = self.texts(path, attribute)
        return values[0] if values else None

    def float_array(self, path: str) -> Hdf5Array | None:
        """Return the array at `path` if it holds floats, None otherwise."""
        found = self._guard.ask("array", path)
        if found is None:
            return None
        try:
            shape, kind, offset = found["shape"], found["type"], found["offset"]
            sound = (
                len(shape) <= _MOST_DIMENSIONS
                and all(map(_is_size, shape))
                and kind in _TYPES
                and (offset is None or _is_size(offset))
            )
        except (KeyError, TypeError):
            sound = False
        if not sound:
            raise self._nonsense(path)
        shape, stored = tuple(shape), numpy_dtype(kind)
        native = stored.newbyteorder("=")
        if offset is None:  # it is not in one piece
            return Hdf5Array(path, shape, native, partial(self._read, path, shape, native))
        return Hdf5Array(path, shape, native, partial(self._content.view, path, shape, stored, offset))

    def array(self, path: str) -> Hdf5Array:
        """Return the float array at `path`."""
        found = self.float_array(path)
        if found is None:
            raise CorruptFileError(
                f"{self._content.where}: {printable(path)} should hold floats of 16, 32 or 64 bits; its type "
                "is another"
            )
        return found

    def _read(self, path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return the values of an array that is compact, chunked or compressed; the file need not be open."""
        size = math.prod(shape) * dtype.itemsize
        check_budget(self.path, size, path, LARGEST_READ)
        if not size:
            return np.empty(shape, dtype)
        with Hdf5Guard(self._content, size) as guard:
            return np.ndarray(shape, dtype, guard.read(path))

    def _nonsense(self, path: str) -> CorruptFileError:
        return CorruptFileError(
            f"{self._content.where}: HDF5 gave no sensible answer on {printable(path or 'the root group')}; "
            "the file is damaged or hostile: copy or download it again"
        )


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
