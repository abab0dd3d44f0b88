"""HDF5 files as data: one path component at a time, hard links only, float arrays only.

A contiguous array becomes a view of the mapped file; a chunked or compressed one is read under a budget.
The file may also be an entry of a zip archive, whose stored content is mapped in place.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.spec import Array

from .hdf5_storage import as_file, check_storage, float_dtype, is_float
from .opening import FileMap, check_budget, shown
from .text import printable
from .zips import ZipEntry, check_crc, read_entry

if TYPE_CHECKING:
    import h5py

__all__ = ["SIGNATURE", "Hdf5Array", "Hdf5File"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"

_LARGEST_READ = 1 << 30  # bytes of an array that cannot be mapped, or of a deflated file
_LARGEST_SUMMED = 256 << 20  # a zip entry above this is not checked: that would take as long as a conversion
_LARGEST_TEXTS = 16 << 20
_MOST_MEMBERS = 100_000
_DEEPEST = 64


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
        import h5py

        self.path, self._entry = path, entry
        self._where = shown(path) if entry is None else f"{shown(path)}, {printable(entry.name)}"
        self._map = FileMap(path)
        self._base, self._size = (0, self._map.size) if entry is None else (entry.offset, entry.size)
        self._inflated: bytes | None = None
        content: io.IOBase = as_file(self._map, self._base, self._size)
        if entry is not None and entry.deflated:
            self._inflated = read_entry(path, entry, _LARGEST_READ)
            content = io.BytesIO(self._inflated)
        elif entry is not None and entry.size <= _LARGEST_SUMMED:
            check_crc(self._map, entry)
        with self._guard("the HDF5 file"):
            self._file = h5py.File(content, "r")
            self._root = self._file["/"].id

    def __enter__(self) -> Hdf5File:
        return self

    def __exit__(self, *exception: object) -> None:
        # HDF5 would otherwise close it while Python shuts down, and call back into what is no longer there
        self._file.close()

    def members(self, group: str) -> tuple[list[str], list[str]]:
        """Return the names of the groups and of the arrays in `group`, each in HDF5's order."""
        import h5py

        found: dict[int, list[str]] = {h5py.h5o.TYPE_GROUP: [], h5py.h5o.TYPE_DATASET: []}
        with self._guard(group):
            opened = self._group(group)
            if opened.get_num_objs() > _MOST_MEMBERS:
                raise UnsafeFileError(
                    f"{self._where}: the group {printable(group)!r} has more than {_MOST_MEMBERS} members; "
                    "no real model needs that"
                )
            for raw in opened:
                name = raw.decode("utf-8", "surrogateescape")
                self._check_link(opened, raw, f"{group}/{name}".lstrip("/"))
                kind = h5py.h5o.get_info(opened, raw).type
                if kind in found:
                    found[kind].append(name)
        return found[h5py.h5o.TYPE_GROUP], found[h5py.h5o.TYPE_DATASET]

    def walk(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (path of a group, names of the arrays in it) for all groups, each once."""
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
            groups, arrays = self.members(group)
            yield group, arrays
            left.extend(f"{group}/{name}".lstrip("/") for name in reversed(groups))

    def has(self, path: str) -> bool:
        """Whether there is a group or an array at `path`."""
        with self._guard(path):
            return self._open(path) is not None

    def texts(self, path: str, attribute: str) -> list[str] | None:
        """Return the strings in an attribute of what is at `path`; None without such an attribute."""
        import h5py

        place = f"the attribute {attribute} of {printable(path or '/')!r}"
        with self._guard(place):
            owner, name = self._open(path), attribute.encode()
            if owner is None or not h5py.h5a.exists(owner, name):
                return None
            opened = h5py.h5a.open(owner, name)
            count, kind = opened.get_space().get_simple_extent_npoints(), opened.get_type()
            if not count:
                return []
            if kind.get_class() != h5py.h5t.STRING:
                raise CorruptFileError(f"{self._where}: {place} should be text")
            check_budget(self.path, count * kind.get_size(), place, _LARGEST_TEXTS)
            values = np.empty(opened.shape, opened.dtype)
            opened.read(values)
            return [value if isinstance(value, str) else bytes(value).decode() for value in values.flat]

    def text(self, path: str, attribute: str) -> str | None:
        """Return the first string in an attribute; None without any."""
        values = self.texts(path, attribute)
        return values[0] if values else None

    def holds_floats(self, path: str) -> bool:
        """Whether the array at `path` is one that `array` returns."""
        with self._guard(path):
            return is_float(self._dataset(path), self.text(path, "dtype"))

    def array(self, path: str) -> Hdf5Array:
        """Return the float array at `path`."""
        place = f"{self._where}: {printable(path)}"
        with self._guard(path):
            dataset = self._dataset(path)
            dtype = float_dtype(dataset, self.text(path, "dtype"), place)
            check_storage(dataset, place)
            shape = tuple(dataset.shape)
            stored = dtype if dtype.name == "bfloat16" else dataset.dtype
            offset = dataset.get_offset()  # None where it is not in one piece
            if offset is None:
                return Hdf5Array(path, shape, dtype, partial(self._read_again, path, dtype))
            return Hdf5Array(path, shape, dtype, partial(self._view, path, shape, stored, offset))

    def _view(self, path: str, shape: tuple[int, ...], stored: np.dtype[Any], offset: int) -> Array:
        """Return what lies in one piece at `offset`, copied only where its byte order is foreign."""
        size = math.prod(shape) * stored.itemsize
        if offset + size > self._size:
            raise CorruptFileError(
                f"{self._where}: {printable(path)} should be {size} bytes at offset {offset}, but there are "
                f"{self._size}; the file is truncated or damaged: copy or download it again"
            )
        if self._inflated is not None:
            view: Array = np.ndarray(shape, stored, self._inflated, offset)
        else:
            view = self._map.view(self._base + offset, shape, stored, path)
        if not stored.isnative:
            check_budget(self.path, size, path, _LARGEST_READ)
        return view.astype(stored.newbyteorder("="), copy=False)

    def _read_again(self, path: str, dtype: np.dtype[Any]) -> Array:
        """Return the values of an array that is compact, chunked or compressed."""
        import h5py

        with Hdf5File(self.path, self._entry) as file, file._guard(path):
            dataset = file._dataset(path)
            opaque = dtype.name == "bfloat16"
            raw = np.empty(dataset.shape, "V2" if opaque else dataset.dtype)
            check_budget(self.path, raw.nbytes, path, _LARGEST_READ)
            dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, raw)
            return raw.view(dtype) if opaque else raw.astype(dtype, copy=False)

    def _group(self, path: str) -> h5py.h5g.GroupID:
        import h5py

        opened = self._open(path)
        if not isinstance(opened, h5py.h5g.GroupID):
            raise CorruptFileError(f"{self._where}: there is no group {printable(path)!r}")
        return opened

    def _dataset(self, path: str) -> h5py.h5d.DatasetID:
        import h5py

        opened = self._open(path)
        if not isinstance(opened, h5py.h5d.DatasetID):
            raise CorruptFileError(f"{self._where}: there is no array {printable(path)!r}")
        return opened

    def _open(self, path: str) -> h5py.h5g.GroupID | h5py.h5d.DatasetID | None:
        """Return the identifier of what is at `path`, or None; a link that is not hard is refused."""
        import h5py

        current = self._root
        for name in path.split("/") if path else ():
            raw = name.encode("utf-8", "surrogateescape")
            if not isinstance(current, h5py.h5g.GroupID) or name in ("", ".", "..") or raw not in current:
                return None
            self._check_link(current, raw, path)
            current = h5py.h5o.open(current, raw)
        return current

    def _check_link(self, group: h5py.h5g.GroupID, raw: bytes, path: str) -> None:
        import h5py

        if group.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
            raise UnsafeFileError(
                f"{self._where}: {printable(path)!r} leads through a soft or external link, which may leave "
                "the file; copy the model into a file without links (h5repack, or save it again with Keras)"
            )

    @contextmanager
    def _guard(self, place: str) -> Iterator[None]:
        """Turn what h5py raises on a damaged file into a CorruptFileError that names the place."""
        try:
            yield
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
            raise CorruptFileError(
                f"{self._where}: {printable(place or 'the root group')} cannot be read ({printable(error)}); "
                "the file is truncated or damaged: copy or download it again"
            ) from None
