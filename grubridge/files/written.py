"""What was written where, so that a view of the new file is known to look at bytes that were compared.

`write_segments` reads every strip again and compares it while it is in cache. A large array of the file,
opened by its own reader, then need not be fetched from memory again: it is right if it lies exactly where
the array was written, with the same strides, and no other write touched the place.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from grubridge.spec import Array, Fused

from .opening import MappedFile, identity

__all__ = ["WrittenArrays", "note_arrays", "note_bytes", "noted"]


class WrittenArrays:
    """The arrays that were written to files and found there again, bit for bit."""

    def __init__(self) -> None:
        self._spans: list[_Span] = []
        self._places: dict[tuple[Hashable, Hashable | None], tuple[int, _Span]] = {}
        self._finite: set[Hashable] = set()
        self._kept: list[Fused] = []  # while an array lives, its address is its own

    def add_bytes(self, file: int, offset: int, size: int) -> None:
        """Note that `size` bytes were written at `offset` of the file of descriptor `file`."""
        self._spans.append(_Span(identity(file), offset, offset + size))

    def add_arrays(self, file: int, arrays: Iterable[tuple[int, Fused, bool]]) -> None:
        """Note arrays that were written together and found there again, rows in C order.

        Args:
            file: descriptor of the file.
            arrays: of each the offset, the values, and whether all of them are finite.
        """
        first = len(self._spans)  # what was written before cannot have changed them
        for offset, data, finite in arrays:
            self.add_bytes(file, offset, data.nbytes)
            self._kept.append(data)
            strides = (data.nbytes // data.shape[0], data.dtype.itemsize)[-len(data.shape) :]
            at = offset
            for part in data.parts:
                span = _Span(identity(file), at, offset + data.nbytes)
                self._places[_memory(part), (span.file, at, strides)] = first, span
                self._places[_memory(part.T), (span.file, at, strides[::-1])] = first, span
                self._finite |= {_memory(part), _memory(part.T)} if finite else set()
                at += part.shape[data.axis] * strides[data.axis]

    def has(self, array: Array, view: Array) -> bool:
        """Whether `view`, of a mapped file, looks at exactly the bytes that `array` was compared with."""
        if array.shape != view.shape or array.dtype != view.dtype:
            return False
        if (_memory(array), _place(view)) not in self._places:
            return False
        first, span = self._places[_memory(array), _place(view)]
        return sum(span.meets(other) for other in self._spans[first:]) == 1  # its own

    def is_finite(self, array: Array) -> bool:
        """Whether `array` was written and seen to hold neither NaN nor infinity."""
        return _memory(array) in self._finite


@dataclass(frozen=True)
class _Span:
    """Bytes `start` to `stop` of a file."""

    file: Hashable
    start: int
    stop: int

    def meets(self, other: _Span) -> bool:
        return self.file == other.file and self.start < other.stop and other.start < self.stop


def _memory(array: Array) -> Hashable:
    return _address(array), array.shape, array.strides, array.dtype


def _place(view: Array) -> Hashable | None:
    """Return where in a file a view lies: (file, offset, strides); None when it is no view of one."""
    base: object = view
    while not isinstance(base, MappedFile):
        base = getattr(base, "base", None)
        if base is None:
            return None
    return base.identity, _address(view) - _address(np.frombuffer(base, np.uint8)), view.strides


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


_current: ContextVar[WrittenArrays | None] = ContextVar("_current", default=None)


@contextmanager
def noted() -> Iterator[WrittenArrays]:
    """Collect what is written within the block, whichever format writes it."""
    written = WrittenArrays()
    token = _current.set(written)
    try:
        yield written
    finally:
        _current.reset(token)


def note_bytes(file: int, offset: int, size: int) -> None:
    """Add bytes to what the surrounding `noted` collects, if there is one."""
    written = _current.get()
    if written is not None:
        written.add_bytes(file, offset, size)


def note_arrays(file: int, arrays: Iterable[tuple[int, Fused, bool]]) -> None:
    """Add arrays to what the surrounding `noted` collects, if there is one."""
    written = _current.get()
    if written is not None:
        written.add_arrays(file, arrays)
