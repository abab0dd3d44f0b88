"""All that h5py is asked about a file, answered in a process that HDF5 may take down: see `hdf5_guard`.

A path is followed one component at a time, through hard links only. Every answer is JSON values.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any, Protocol

import h5py
import numpy as np

from grubridge.errors import CorruptFileError, FileFormatError, UnsafeFileError

from .child_process import Message
from .confinement import confine, limit_seconds
from .hdf5_content import Hdf5Content
from .hdf5_storage import check_storage, float_type
from .opening import check_budget
from .text import printable, quoted

__all__ = ["Asking", "serve"]

_LARGEST_TEXTS = 16 << 20
_MOST_MEMBERS = 100_000
_DEEPEST = 64


class Asking(Protocol):
    """The other end: it asks, and is told."""

    def __iter__(self) -> Iterator[Message]: ...

    def tell(self, message: Message) -> None:
        """Send an answer."""


def serve(
    content: Hdf5Content, asking: Asking, memory: int, seconds: float, output: mmap.mmap | None = None
) -> None:
    """Answer {"ask": a method of the reader, "arguments"} with {"value"} or {"error", "words"}.

    Args:
        content: the file.
        asking: who asks.
        memory: the bytes that all of it may take.
        seconds: of the processor's time that one answer may take.
        output: the memory into which `read` writes.
    """
    confine(memory)
    reader = _Reader(content, output)
    for request in asking:
        limit_seconds(seconds)
        asking.tell(_answer(reader, request["ask"], request["arguments"]))


def _answer(reader: _Reader, method: str, arguments: list[str]) -> Message:
    place = f"{reader.where}: {printable((arguments or [''])[0] or 'the root group')}"
    try:
        return {"value": getattr(reader, method)(*arguments)}
    except FileFormatError as error:
        return {"error": type(error).__name__, "words": str(error)}
    except MemoryError:
        words = f"{place} takes more memory to read than HDF5 is allowed; the file is damaged or hostile"
        return {"error": UnsafeFileError.__name__, "words": f"{words}. --max-memory SIZE allows more"}
    except Exception as error:  # noqa: BLE001 - on a damaged file, h5py raises anything
        words = f"{place} cannot be read ({printable(error)}); the file is truncated or damaged"
        return {"error": CorruptFileError.__name__, "words": f"{words}: copy or download it again"}


class _Reader:
    """An HDF5 file, open for reading."""

    def __init__(self, content: Hdf5Content, output: mmap.mmap | None) -> None:
        self.where = content.where
        self._content = content
        self._output = output

    def open(self) -> None:
        """Open the file; the first that is asked."""
        self._file = h5py.File(self._content.file(), "r")
        self._root = self._file["/"].id

    def members(self, group: str) -> tuple[list[str], list[str]]:
        """Return the names of the groups and of the arrays in `group`, each in HDF5's order."""
        found: dict[int, list[str]] = {h5py.h5o.TYPE_GROUP: [], h5py.h5o.TYPE_DATASET: []}
        opened = self._group(group)
        if opened.get_num_objs() > _MOST_MEMBERS:
            raise UnsafeFileError(
                f"{self.where}: the group {quoted(group)} has more than {_MOST_MEMBERS} members; "
                "no real model needs that"
            )
        for raw in opened:
            name = raw.decode("utf-8", "surrogateescape")
            self._check_link(opened, raw, f"{group}/{name}".lstrip("/"))
            kind = h5py.h5o.get_info(opened, raw).type
            if kind in found:
                found[kind].append(name)
        return found[h5py.h5o.TYPE_GROUP], found[h5py.h5o.TYPE_DATASET]

    def walk(self) -> list[tuple[str, list[str]]]:
        """Return (path of a group, names of the arrays in it) for all groups, each once."""
        seen: set[Any] = set()
        found: list[tuple[str, list[str]]] = []
        left: list[str] = [""]
        while left:
            group = left.pop()
            address = h5py.h5o.get_info(self._group(group)).addr
            if address in seen or group.count("/") >= _DEEPEST:
                continue
            seen.add(address)
            groups, arrays = self.members(group)
            found.append((group, arrays))
            left.extend(f"{group}/{name}".lstrip("/") for name in reversed(groups))
        return found

    def check_whole(self) -> None:
        """Refuse links that are not hard, and arrays whose values are not in the file, wherever they are."""
        for group, arrays in self.walk():
            for name in arrays:
                path = f"{group}/{name}".lstrip("/")
                check_storage(self._dataset(path), f"{self.where}: {printable(path)}")

    def has(self, path: str) -> bool:
        """Whether there is a group or an array at `path`."""
        return self._open(path) is not None

    def texts(self, path: str, attribute: str) -> list[str] | None:
        """Return the strings in an attribute of what is at `path`; None without such an attribute."""
        place = f"the attribute {attribute} of {quoted(path or '/')}"
        owner, name = self._open(path), attribute.encode()
        if owner is None or not h5py.h5a.exists(owner, name):
            return None
        opened = h5py.h5a.open(owner, name)
        count, kind = opened.get_space().get_simple_extent_npoints(), opened.get_type()
        if not count:
            return []
        if kind.get_class() != h5py.h5t.STRING:
            raise CorruptFileError(f"{self.where}: {place} should be text")
        check_budget(self._content.path, count * kind.get_size(), place, _LARGEST_TEXTS)
        values = np.empty(opened.shape, opened.dtype)
        opened.read(values)
        return [value if isinstance(value, str) else bytes(value).decode() for value in values.flat]

    def array(self, path: str) -> dict[str, Any] | None:
        """Return {"shape", "type", "offset"} of the array at `path`; None where it holds no floats.

        The type is as `float_type` says it, and the offset null where the array is not in one piece.
        """
        dataset = self._dataset(path)
        said = self.texts(path, "dtype")
        kind = float_type(dataset, said[0] if said else None)
        if kind is None:
            return None
        check_storage(dataset, f"{self.where}: {printable(path)}")
        return {"shape": list(dataset.shape), "type": kind, "offset": dataset.get_offset()}

    def read(self, path: str) -> None:
        """Write the values of the array at `path`, in native byte order, to the output."""
        dataset = self._dataset(path)
        check_storage(dataset, f"{self.where}: {printable(path)}")
        opaque = dataset.get_type().get_class() == h5py.h5t.OPAQUE
        native = np.dtype("V2") if opaque else dataset.dtype.newbyteorder("=")
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, np.ndarray(dataset.shape, native, self._output))

    def _group(self, path: str) -> h5py.h5g.GroupID:
        opened = self._open(path)
        if not isinstance(opened, h5py.h5g.GroupID):
            raise CorruptFileError(f"{self.where}: there is no group {quoted(path)}")
        return opened

    def _dataset(self, path: str) -> h5py.h5d.DatasetID:
        opened = self._open(path)
        if not isinstance(opened, h5py.h5d.DatasetID):
            raise CorruptFileError(f"{self.where}: there is no array {quoted(path)}")
        return opened

    def _open(self, path: str) -> h5py.h5g.GroupID | h5py.h5d.DatasetID | None:
        """Return the identifier of what is at `path`, or None; a link that is not hard is refused."""
        current = self._root
        for name in path.split("/") if path else ():
            raw = name.encode("utf-8", "surrogateescape")
            if not isinstance(current, h5py.h5g.GroupID) or name in ("", ".", "..") or raw not in current:
                return None
            self._check_link(current, raw, path)
            current = h5py.h5o.open(current, raw)
        return current

    def _check_link(self, group: h5py.h5g.GroupID, raw: bytes, path: str) -> None:
        if group.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
            raise UnsafeFileError(
                f"{self.where}: {quoted(path)} leads through a soft or external link, which may leave "
                "the file; copy the model into a file without links (h5repack, or save it again with Keras)"
            )
