"""The bytes of an HDF5 file: mapped, a stored entry of a zip mapped in place, or a deflated one inflated."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grubridge.errors import CorruptFileError
from grubridge.spec import Array

from .opening import FileMap, check_budget, shown
from .text import printable
from .zips import ZipEntry, check_crc, read_entry

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["LARGEST_READ", "Hdf5Content"]

LARGEST_READ = 1 << 30
"""Bytes that an array which cannot be mapped may take by default, or a deflated file."""

_LARGEST_SUMMED = 256 << 20  # a zip entry above this is not checked: that would take as long as a conversion


class Hdf5Content:
    """Where an HDF5 file's bytes are.

    Attributes:
        path: the file, or the zip archive that holds it.
        entry: the archive's entry that it is; None where it is a file of its own.
        where: what messages call it.
    """

    def __init__(self, path: Path, entry: ZipEntry | None) -> None:
        """Map the file.

        Raises:
            FileFormatError: when it cannot be opened.
            CorruptFileError: when its content does not match the archive's checksum.
            UnsafeFileError: when it would inflate into more than the limits allow.
        """
        self.path, self.entry = path, entry
        self.where = shown(path) if entry is None else f"{shown(path)}, {printable(entry.name)}"
        self._map = FileMap(path)
        self._base, self._size = (0, self._map.size) if entry is None else (entry.offset, entry.size)
        self._inflated: bytes | None = None
        if entry is not None and entry.deflated:
            self._inflated = read_entry(path, entry, LARGEST_READ)
        elif entry is not None and entry.size <= _LARGEST_SUMMED:
            check_crc(self._map, entry)

    def file(self) -> io.IOBase:
        """Return the bytes as a file that is open for reading."""
        if self._inflated is not None:
            return io.BytesIO(self._inflated)
        return _Window(self._map, self._base, self._size)

    def view(self, name: str, shape: tuple[int, ...], stored: np.dtype[Any], offset: int) -> Array:
        """Return what lies in one piece at `offset`, copied only where its byte order is foreign.

        Raises:
            CorruptFileError: when the file ends before it does.
            UnsafeFileError: when the copy would take more than the limits allow.
        """
        size = math.prod(shape) * stored.itemsize
        if offset + size > self._size:
            raise CorruptFileError(
                f"{self.where}: {printable(name)} should be {size} bytes at offset {offset}, but there are "
                f"{self._size}; the file is truncated or damaged: copy or download it again"
            )
        if self._inflated is not None:
            view: Array = np.ndarray(shape, stored, self._inflated, offset)
        else:
            view = self._map.view(self._base + offset, shape, stored, name)
        if not stored.isnative:
            check_budget(self.path, size, name, LARGEST_READ)
        return view.astype(stored.newbyteorder("="), copy=False)


class _Window(io.RawIOBase):
    """A part of a mapped file as a file."""

    def __init__(self, file: FileMap, start: int, size: int) -> None:
        self._file, self._start, self._size = file, start, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = (0, self._position, self._size)[whence] + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        size = max(0, min(len(view), self._size - self._position))
        piece = self._file.bytes(self._start + self._position, size)
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
