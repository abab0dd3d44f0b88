"""HDF5 files as data: one path component at a time, hard links only, float arrays only.

A contiguous array becomes a view of the mapped file; a chunked or compressed one is read under a budget.
The file may also be an entry of a zip archive, whose stored content is mapped in place.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.spec import Array, numpy_dtype

from .opening import FileMap, check_budget, shown
from .text import printable
from .zips import ZipEntry, check_crc, read_entry

__all__ = ["SIGNATURE", "Hdf5Array", "Hdf5File"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"

_LARGEST_READ = 1 << 30  # bytes of an array that cannot be mapped, or of a deflated file
_LARGEST_CHECKED = 256 << 20  # a zip entry above this is not summed: it would take as long as a conversion
_LARGEST_RATIO = 1000  # deflate cannot do better
_RATIO_MATTERS_FROM = 1 << 20
_MOST_CHILDREN = 100_000
_LONGEST_TEXTS = 16 << 20
_DEEPEST = 64
_FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Hdf5Array:
    """An array of an open file, checked but not yet read.

    Args:
        path: its path in the file, e.g. "layers/gru/cell/vars/0".
        shape: its shape.
        dtype: its dtype in native byte order; bfloat16 for the opaque two bytes that Keras stores.
    """

    file: Hdf5File
    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def load(self) -> Array:
        """Return its values: a view of the mapped file where that is possible.

        Raises:
            CorruptFileError: when they are not all there.
            UnsafeFileError: when they would take more memory than any model needs.
        """
        return self.file.values(self)


class Hdf5File:
    """An HDF5 file, open for reading; it stays open as long as an array of it is in use.

    Paths are names joined by "/". Everything raises CorruptFileError where the file is damaged and
    UnsafeFileError where it would leave itself or exhaust memory.
    """

    def __init__(self, path: Path, entry: ZipEntry | None = None) -> None:
        """Open the file at `path`, or the one that is the zip entry `entry` of it."""
        import h5py

        self.path = path
        self._where = shown(path) if entry is None else f"{shown(path)}, {printable(entry.name)}"
        self._bytes: bytes | None = None
        self._map = FileMap(path)
        self._base, self._size = (0, self._map.size) if entry is None else (entry.offset, entry.size)
        if entry is not None and entry.deflated:
            self._bytes = read_entry(path, entry, _LARGEST_READ)
        elif entry is not None and entry.size <= _LARGEST_CHECKED:
            check_crc(self._map, entry)
        inflated = self._bytes is not None
        content = io.BytesIO(self._bytes) if inflated else _Window(self._map, self._base, self._size)
        with self._guard(""):
            self._root = h5py.File(content, "r")["/"].id

    def children(self, group: str) -> tuple[list[str], list[str]]:
        """Return the names of the groups and of the arrays in `group`, each in HDF5's order."""
        import h5py

        groups: list[str] = []
        arrays: list[str] = []
        with self._guard(group):
            identifier = self._group(group)
            if identifier.get_num_objs() > _MOST_CHILDREN:
                raise UnsafeFileError(
                    f"{self._where}: the group {printable(group)!r} has more than {_MOST_CHILDREN} members; a "
                    "real model does not need that: the file is damaged or hostile"
                )
            for raw in identifier:
                if identifier.links.get_info(raw).type == h5py.h5l.TYPE_HARD:
                    kind = h5py.h5o.get_info(identifier, raw).type
                    name = raw.decode("utf-8", "surrogateescape")
                    if kind == h5py.h5o.TYPE_GROUP:
                        groups.append(name)
                    elif kind == h5py.h5o.TYPE_DATASET:
                        arrays.append(name)
        return groups, arrays

    def walk(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (group path, names of the arrays in it) of every group, each group once."""
        import h5py

        seen: set[Any] = set()
        left: list[str] = [""]
        while left:
            group = left.pop()
            with self._guard(group):
                address = h5py.h5o.get_info(self._group(group)).addr
            if address in seen or group.count("/") >= _DEEPEST:
                continue
            seen.add(address)
            groups, arrays = self.children(group)
            yield group, arrays
            left.extend(f"{group}/{name}".lstrip("/") for name in reversed(groups))

    def has(self, path: str) -> bool:
        """Whether there is a group or an array at `path`, by hard links alone."""
        with self._guard(path):
            return self._open(path) is not None

    def texts(self, path: str, attribute: str) -> list[str] | None:
        """Return the strings in an attribute of the group or array at `path`; None without such an attribute."""
        import h5py

        with self._guard(f"{path}@{attribute}"):
            owner, name = self._open(path), attribute.encode()
            if owner is None or not h5py.h5a.exists(owner, name):
                return None
            opened = h5py.h5a.open(owner, name)
            count = opened.get_space().get_simple_extent_npoints()
            if not count:
                return []
            kind = opened.get_type()
            if kind.get_class() != h5py.h5t.STRING:
                raise CorruptFileError(
                    f"{self._where}: the attribute {attribute} of {printable(path or '/')!r} should be text"
                )
            check_budget(self.path, count * kind.get_size(), f"the attribute {attribute}", _LONGEST_TEXTS)
            values = np.empty(opened.shape, opened.dtype)
            opened.read(values)
            return [value if isinstance(value, str) else bytes(value).decode() for value in values.flat]

    def text(self, path: str, attribute: str) -> str | None:
        """Return the one string in an attribute; None without such an attribute."""
        values = self.texts(path, attribute)
        return None if not values else values[0]

    def array(self, path: str) -> Hdf5Array:
        """Return the float array at `path`."""
        import h5py

        with self._guard(path):
            dataset = self._open(path)
            if not isinstance(dataset, h5py.h5d.DatasetID):
                raise CorruptFileError(f"{self._where}: there is no array {printable(path)!r}")
            self._check_storage(dataset, path)
            return Hdf5Array(self, path, tuple(dataset.shape), self._dtype(dataset, path))

    def values(self, array: Hdf5Array) -> Array:
        """Return the values of an array of this file; see `Hdf5Array.load`."""
        import h5py

        with self._guard(array.path):
            dataset = self._open(array.path)
            offset = dataset.get_offset()
            opaque = array.dtype.name == "bfloat16"
            stored = array.dtype if opaque else dataset.dtype
            size = math.prod(array.shape) * stored.itemsize
            if offset is None or dataset.get_create_plist().get_layout() != h5py.h5d.CONTIGUOUS:
                check_budget(self.path, size, array.path, _LARGEST_READ)
                raw = np.empty(array.shape, np.dtype("V2") if opaque else stored)
                dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, raw)
                return raw.view(array.dtype) if opaque else raw.astype(array.dtype, copy=False)
            if offset < 0 or offset + size > self._size:
                raise CorruptFileError(
                    f"{self._where}: {printable(array.path)} should be {size} bytes at offset {offset}, but "
                    f"there are {self._size} bytes; the file is truncated or damaged: copy or download it again"
                )
            if self._bytes is not None:
                view: Array = np.ndarray(array.shape, stored, self._bytes, offset)
            else:
                view = self._map.view(self._base + offset, array.shape, stored, array.path)
            if stored != array.dtype:
                check_budget(self.path, size, array.path, _LARGEST_READ)
            return view.astype(array.dtype, copy=False)

    def _group(self, path: str) -> Any:
        import h5py

        opened = self._open(path)
        if not isinstance(opened, h5py.h5g.GroupID):
            raise CorruptFileError(f"{self._where}: there is no group {printable(path)!r}")
        return opened

    def _open(self, path: str) -> Any:
        """Return the identifier of what is at `path`, or None; a link that is not hard is refused."""
        import h5py

        current = self._root
        for name in path.split("/") if path else ():
            raw = name.encode("utf-8", "surrogateescape")
            if not isinstance(current, h5py.h5g.GroupID) or name in ("", ".", "..") or raw not in current:
                return None
            if current.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
                raise UnsafeFileError(
                    f"{self._where}: {printable(path)!r} leads through a soft or external link, which may leave "
                    "the file; copy the model into one file without links (h5repack or keras save)"
                )
            current = h5py.h5o.open(current, raw)
        return current

    def _check_storage(self, dataset: Any, path: str) -> None:
        """Refuse an array whose values lie elsewhere, are not all there, or take more than they should."""
        import h5py

        how = dataset.get_create_plist()
        layout, place = how.get_layout(), f"{self._where}: {printable(path)}"
        if layout == h5py.h5d.VIRTUAL or how.get_external_count():
            raise UnsafeFileError(f"{place} keeps its values in another file; copy them into this one first")
        known = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
        filters = [how.get_filter(index)[0] for index in range(how.get_nfilters())]
        if not known.issuperset(filters):
            raise UnsafeFileError(
                f"{place} is compressed by HDF5 filter {filters[0]}; expected gzip, shuffle or none: save it "
                "without compression"
            )
        stored = dataset.get_storage_size()
        size = math.prod(dataset.shape) * dataset.get_type().get_size()
        complete = stored == size if layout == h5py.h5d.CONTIGUOUS else stored > 0
        if not complete and size:
            raise CorruptFileError(f"{place} should take {size} bytes; {stored} were ever written")
        if size > max(_RATIO_MATTERS_FROM, _LARGEST_RATIO * stored):
            raise UnsafeFileError(f"{place} unpacks {stored} bytes into {size}; that is a bomb, not a model")

    def _dtype(self, dataset: Any, path: str) -> np.dtype[Any]:
        import h5py

        kind = dataset.get_type()
        if kind.get_class() == h5py.h5t.OPAQUE and kind.get_size() == 2:
            said = self.text(path, "dtype")
            if said in (None, "bfloat16"):
                return numpy_dtype("bfloat16")
        if kind.get_class() == h5py.h5t.FLOAT and dataset.dtype.name in _FLOATS:
            dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")
            return dtype
        raise CorruptFileError(
            f"{self._where}: {printable(path)} should hold floats of 16, 32 or 64 bits; its type is another"
        )

    @contextmanager
    def _guard(self, place: str) -> Iterator[None]:
        """Turn what h5py raises on a damaged file into a CorruptFileError that names the place."""
        try:
            yield
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
            raise CorruptFileError(
                f"{self._where}: {printable(place or 'the HDF5 file')} cannot be read "
                f"({printable(error)}); the file is truncated or damaged: copy or download it again"
            ) from None


class _Window(io.RawIOBase):
    """The part of a mapped file that is the HDF5 file, as h5py wants to see it."""

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

    def readinto(self, buffer: Any, /) -> int:
        size = max(0, min(len(buffer), self._size - self._position))
        piece = self._file.bytes(self._start + self._position, size)
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
