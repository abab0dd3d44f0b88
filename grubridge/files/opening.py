"""Opening a model file as data: regular files only, mapped read-only, every view checked first."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grubridge.errors import CorruptFileError, FileFormatError, UnsafeFileError
from grubridge.spec import Array

from .changes import note_open
from .limits import excess
from .text import printable

__all__ = ["FileMap", "MappedFile", "check_budget", "check_openable", "identity", "open_for_writing", "shown"]

_LFS = b"version https://git-lfs.github.com/spec/"


def shown(path: Path | str) -> str:
    """Return the path as messages print it."""
    return printable(path)


def check_openable(path: Path) -> int:
    """Return the file's size in bytes, and have it watched; whatever is read is looked at here first.

    Raises:
        FileFormatError: when it is missing, empty, unreadable, no regular file or a Git LFS pointer.
    """
    note_open(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
            raise FileFormatError(f"{shown(path)}: expected a file; received {kind}")
        with path.open("rb") as file:
            head = file.read(len(_LFS))
    except FileNotFoundError:
        raise FileFormatError(f"{shown(path)}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileFormatError(f"{shown(path)}: it cannot be opened: {printable(reason)}") from None
    if not status.st_size:
        raise CorruptFileError(f"{shown(path)}: the file is empty; the download or the copy may have failed")
    if head == _LFS:
        raise FileFormatError(
            f"{shown(path)}: this is a Git LFS pointer ({status.st_size} bytes), not the model; "
            "run git lfs pull"
        )
    return status.st_size


class MappedFile(mmap.mmap):
    """The memory of a mapped file, which knows the file: arrays lead to it by their `base`.

    Args:
        identity: see `identity`.
    """

    identity: tuple[int, int]


class FileMap:
    """A file mapped read-only into memory. Its pages are read when they are touched, and never copied."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        """Map `path`.

        Args:
            path: the file.
            descriptor: the same file, if it has been opened and found regular and not empty.

        Raises:
            FileFormatError: as `check_openable`.
        """
        self.path = path
        if descriptor is None:
            check_openable(path)
            with path.open("rb") as file:
                self._map = _mapped(file.fileno())
        else:
            note_open(path, descriptor)
            self._map = _mapped(descriptor)
        self.size = len(self._map)

    def bytes(self, offset: int, size: int) -> bytes:
        """Return a copy of `size` bytes at `offset`, fewer at the end of the file."""
        return self._map[offset : offset + size]

    def view(self, offset: int, shape: Sequence[int], dtype: np.dtype[Any], what: str) -> Array:
        """Return an array of `shape` and `dtype` that lies at byte `offset`, as a view.

        Args:
            offset: where it starts in the file.
            shape: its shape; every dimension a non-negative int.
            dtype: its dtype.
            what: the array's name, for the message.

        Raises:
            CorruptFileError: when it does not fit into the file.
        """
        size = dtype.itemsize
        for dimension in shape:
            if dimension < 0:
                raise CorruptFileError(f"{shown(self.path)}: {printable(what)} has shape {list(shape)}")
            size *= dimension
        if offset < 0 or offset + size > self.size:
            raise CorruptFileError(
                f"{shown(self.path)}: {printable(what)} should be {size} bytes at offset {offset}, but the "
                f"file has {self.size} bytes; it is truncated or damaged: copy or download it again"
            )
        return np.ndarray(tuple(shape), dtype, self._map, offset)


def _mapped(descriptor: int) -> MappedFile:
    mapped = MappedFile(descriptor, 0, access=mmap.ACCESS_READ)
    mapped.identity = identity(descriptor)
    return mapped


def identity(descriptor: int) -> tuple[int, int]:
    """Return what tells an open file from every other: device and inode."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def check_budget(path: Path, size: int, what: str, limit: int) -> None:
    """Refuse to take too much memory for one part of a file.

    Args:
        path: the file.
        size: the bytes that the part would take.
        what: the part, for the message.
        limit: the bytes that it may take by default; the user's `limits` scale it.

    Raises:
        UnsafeFileError: when `size` is above the limit.
    """
    problem = excess(size, limit)
    if problem:
        raise UnsafeFileError(f"{shown(path)}: {printable(what)} {problem}")


def open_for_writing(path: Path) -> int:
    """Return a file descriptor of the new, empty file `path`, for reading and writing."""
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o666)
