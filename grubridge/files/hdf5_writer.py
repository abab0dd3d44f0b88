"""An HDF5 file laid out before its values, so that large arrays can be streamed to their places.

h5py writes the structure alone into a sparse file in memory; arrays are contiguous and never filled.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from grubridge.spec import Fused

from .crc import combine
from .strips import Segment, write_at, write_segments

if TYPE_CHECKING:
    import h5py
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["Hdf5Plan", "Hdf5Writer"]

_PAGE = 4096
_ALIGN_FROM, _ALIGNMENT = 1 << 16, 64


class _SparseFile(io.RawIOBase):
    """A file in memory that keeps only the pages that were written."""

    def __init__(self) -> None:
        self.size = 0
        self.pages: dict[int, bytearray] = {}
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = (0, self._position, self.size)[whence] + offset
        return self._position

    def truncate(self, size: int | None = None, /) -> int:
        self.size = self._position if size is None else size
        return self.size

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data).cast("B")
        for at, start, stop in _pieces(self._position, len(view)):
            page = self.pages.setdefault(at // _PAGE, bytearray(_PAGE))
            page[at % _PAGE : at % _PAGE + stop - start] = view[start:stop]
        self._position += len(view)
        self.size = max(self.size, self._position)
        return len(view)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self.size - self._position))
        for at, start, stop in _pieces(self._position, length):
            page = self.pages.get(at // _PAGE, bytes(_PAGE))
            view[start:stop] = page[at % _PAGE : at % _PAGE + stop - start]
        self._position += length
        return length

    def part(self, offset: int, size: int) -> bytes:
        """Return `size` bytes at `offset`."""
        self.seek(offset)
        return self.read(size) or b""


def _pieces(position: int, length: int) -> list[tuple[int, int, int]]:
    """Cut a range of the file at page borders: (position in the file, start and stop in the data)."""
    borders = [0, *range(_PAGE - position % _PAGE, length, _PAGE), length]
    return [(position + start, start, stop) for start, stop in pairwise(borders)]


@dataclass(frozen=True)
class Hdf5Plan:
    """A finished layout.

    Args:
        size: bytes of the file.
    """

    size: int
    _structure: _SparseFile
    _arrays: Mapping[int, Fused]

    def write(self, file: int, base: int = 0) -> None:
        """Write the HDF5 file at byte `base` of the file of descriptor `file`."""
        self._write_structure(file, base)
        write_segments(file, self._segments(base))

    def write_summed(self, file: int, base: int) -> int:
        """Write the HDF5 file as `write` does, and return its CRC-32."""
        self._write_structure(file, base)
        segments = self._segments(base)
        sums = write_segments(file, segments, checksums=True)
        crc, end = 0, 0
        for segment, summed in zip(segments, sums, strict=True):
            start = segment.offset - base
            crc = zlib.crc32(self._structure.part(end, start - end), crc)
            crc = combine(crc, summed, segment.data.nbytes)
            end = start + segment.data.nbytes
        return zlib.crc32(self._structure.part(end, self.size - end), crc)

    def _segments(self, base: int) -> list[Segment]:
        return [Segment(base + offset, data) for offset, data in sorted(self._arrays.items())]

    def _write_structure(self, file: int, base: int) -> None:
        for index, page in sorted(self._structure.pages.items()):
            start = index * _PAGE
            write_at(file, memoryview(page)[: self.size - start], base + start)
        if os.fstat(file).st_size < base + self.size:
            os.ftruncate(file, base + self.size)


class Hdf5Writer:
    """Lays out one HDF5 file. Paths are names joined by "/"; groups on the way are made."""

    def __init__(self) -> None:
        import h5py

        self._memory = _SparseFile()
        self._arrays: dict[int, Fused] = {}
        # "earliest" is what Keras 2's oldest h5py reads; alignment lets large arrays be mapped as they are
        self._file = h5py.File(
            self._memory,
            "w",
            libver=("earliest", "v110"),
            alignment_threshold=_ALIGN_FROM,
            alignment_interval=_ALIGNMENT,
        )

    def text(self, group: str, attribute: str, value: str) -> None:
        """Give `group` an attribute that is a string of any length."""
        self._group(group).attrs[attribute] = value

    def texts(self, group: str, attribute: str, values: Sequence[str]) -> None:
        """Give `group` an attribute that is a list of strings."""
        self._group(group).attrs[attribute] = [value.encode() for value in values]

    def array(self, path: str, shape: tuple[int, ...], data: Fused) -> None:
        """Add an array of `shape`; `data` has its values in C order.

        bfloat16, which HDF5 does not know, is stored as Keras does: opaque, and named in an attribute.
        """
        import h5py

        group, _, name = path.rpartition("/")
        opaque = data.dtype.name == "bfloat16"
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_layout(h5py.h5d.CONTIGUOUS)
        how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        how.set_obj_track_times(False)  # equal content gives equal files
        kind = h5py.h5t.create(h5py.h5t.OPAQUE, 2) if opaque else h5py.h5t.py_create(np.dtype(data.dtype))
        space = h5py.h5s.create_simple(shape)
        made = h5py.h5d.create(self._group(group).id, name.encode(), kind, space, how)
        if opaque:
            h5py.Dataset(made).attrs["dtype"] = "bfloat16"
        self._arrays[made.get_offset()] = data

    def finish(self) -> Hdf5Plan:
        """Return the finished layout."""
        self._file.close()
        return Hdf5Plan(self._memory.size, self._memory, self._arrays)

    def _group(self, path: str) -> h5py.Group:
        return self._file.require_group(path) if path else self._file
