"""Large arrays to a file, and two arrays against each other, strip by strip on two threads.

Memory stays at one strip per thread, whatever the size of the arrays. Each strip is copied into a
page-aligned buffer (transposing and casting on the way), summed where a zip needs it, and written.
"""

from __future__ import annotations

import errno
import mmap
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import local
from typing import TypeVar

import numpy as np

from grubridge.spec import Array, Fused

from .crc import combine
from .written import note_arrays, note_bytes

__all__ = ["Segment", "all_finite", "equal_bits", "write_at", "write_segments"]

_STRIP = 16 << 20
_HOT = 1 << 20  # a strip is checked and compared in pieces that stay in cache
_WRITE = 1 << 18  # larger writes take larger blocks of the page cache, and often memory never used before
_THREADS = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Segment:
    """One tensor of an output file.

    Args:
        offset: where its bytes start in the file.
        data: its values; rows are written in C order.
    """

    offset: int
    data: Fused


def write_at(file: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset` of the file of descriptor `file`; nothing else writes a file."""
    note_bytes(file, offset, len(data))
    _write_at(file, data, offset)


def _write_at(file: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view[:_WRITE], offset)
        view, offset = view[written:], offset + written


def write_segments(file: int, segments: Iterable[Segment], *, checksums: bool = False) -> list[int]:
    """Write every segment at its offset, read it again and compare.

    Args:
        file: descriptor of the output file, open for reading too.
        segments: what to write; they do not overlap.
        checksums: whether to compute CRC-32.

    Returns:
        The CRC-32 of each segment when `checksums`, else an empty list.

    Raises:
        OSError: when the disk is full, or gives back something else.
    """
    segments = list(segments)
    total = sum(segment.data.nbytes for segment in segments)
    if total > _STRIP and hasattr(os, "posix_fallocate"):
        # a full disk shows before the work, and two threads need not wait for each other's new blocks
        start = min(segment.offset for segment in segments)
        end = max(segment.offset + segment.data.nbytes for segment in segments)
        os.posix_fallocate(file, start, end - start)
    pieces = [piece for index, segment in enumerate(segments) for piece in _pieces(index, segment)]
    jobs = [(piece, rows) for piece in pieces for rows in _strips(piece.data)]
    buffers, read_back, hot = local(), local(), local()

    def write(job: tuple[_Piece, tuple[int, int]]) -> tuple[int, int, int, bool]:
        piece, rows = job
        strip = _contiguous(piece.data, rows, buffers).reshape(-1)
        offset = piece.offset + rows[0] * (piece.data.nbytes // piece.data.shape[0])
        unsigned = f"u{strip.itemsize}"
        crc, finite = 0, True
        step = _HOT // strip.itemsize
        for at in range(0, strip.size, step):
            values = _aligned(strip[at : at + step], hot)
            octets = values.view(np.uint8).data
            crc = zlib.crc32(octets, crc) if checksums else 0
            finite = finite and _finite(values)
            _write_at(file, octets, offset)
            again = _buffer(read_back, values.nbytes)[: values.nbytes]
            os.preadv(file, [again.data], offset)
            if not np.array_equal(values.view(unsigned), again.view(unsigned)):
                raise OSError(errno.EIO, "the disk gives back something else than was written")
            offset += len(octets)
        return piece.segment, crc, strip.nbytes, finite

    sums, finite = [0] * len(segments), [True] * len(segments)
    for index, crc, size, no_nan in _in_threads(write, jobs, total):
        sums[index] = combine(sums[index], crc, size) if checksums else 0
        finite[index] = finite[index] and no_nan
    note_arrays(file, ((one.offset, one.data, known) for one, known in zip(segments, finite, strict=True)))
    return sums if checksums else []


@dataclass(frozen=True)
class _Piece:
    """Part of a segment that is cut into strips by itself: arrays below each other are written in turn."""

    segment: int
    offset: int
    data: Fused


def _pieces(index: int, segment: Segment) -> Iterator[_Piece]:
    if segment.data.axis:
        yield _Piece(index, segment.offset, segment.data)
        return
    offset = segment.offset
    for part in segment.data.parts:
        yield _Piece(index, offset, Fused((part,), 0))
        offset += part.nbytes


def equal_bits(left: Array, right: Array) -> bool:
    """Whether two arrays hold the same bits: NaN equals itself, and -0.0 differs from 0.0."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    buffers = local(), local()

    def same(rows: tuple[int, int]) -> bool:
        strips = (
            _contiguous(Fused((one,), 0), rows, own) for one, own in zip((left, right), buffers, strict=True)
        )
        one, other = (strip.view(f"u{strip.itemsize}") for strip in strips)
        return np.array_equal(one, other)

    return all(_in_threads(same, list(_strips(Fused((left,), 0))), left.nbytes))


def _contiguous(data: Fused, rows: tuple[int, int], buffers: local) -> Array:
    """Return rows in C order: a view where they lie so, else a copy in this thread's buffer."""
    strip: Array = data.parts[0][slice(*rows)]
    if len(data.parts) == 1 and strip.flags.c_contiguous:
        return strip
    shape = (rows[1] - rows[0], *data.shape[1:])
    size = data.nbytes // data.shape[0] * shape[0]
    copy = _buffer(buffers, size)[:size].view(data.dtype).reshape(shape)
    data.copy_rows(*rows, copy)
    return copy


def _aligned(values: Array, buffers: local) -> Array:
    """Return a piece at an address that fits its dtype: in an ONNX file tensors begin at any byte."""
    if values.flags.aligned:
        return values
    copy = _buffer(buffers, values.nbytes)[: values.nbytes]
    np.copyto(copy, values.view(np.uint8))
    return copy.view(values.dtype)


def all_finite(array: Array) -> bool:
    """Whether an array holds neither NaN nor infinity."""
    in_order = array.T if array.strides[0] < array.strides[-1] else array  # as it lies in memory

    def finite(rows: tuple[int, int]) -> bool:
        return _finite(in_order[slice(*rows)])

    return all(_in_threads(finite, list(_strips(Fused((in_order,), 0))), array.nbytes))


def _finite(values: Array) -> bool:
    # a sum is not finite as soon as one term is not; only then is every value worth a look
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum(dtype=np.float64 if values.itemsize == 8 else np.float32)
        return bool(np.isfinite(total) or np.isfinite(values.astype(np.float64)).all())


def _strips(data: Fused) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of row ranges of about `_STRIP` bytes each."""
    rows = data.shape[0]
    step = max(1, _STRIP * rows // max(data.nbytes, 1))
    # a transposed source is walked best in multiples of a cache line
    step = max(step // 16 * 16, 16) if step >= 16 else step
    return ((start, min(start + step, rows)) for start in range(0, rows, step))


def _in_threads(function: Callable[[Item], Result], items: list[Item], size: int) -> Iterator[Result]:
    """Apply `function` to every item, results in order; few bytes are not worth a thread."""
    if size <= _STRIP:
        yield from map(function, items)
        return
    from concurrent.futures import ThreadPoolExecutor  # 4 ms, which a small model need not pay

    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(function, items)


def _buffer(buffers: local, size: int) -> Array:
    """Return this thread's buffer of at least `size` bytes, at a page's start.

    What malloc returns starts 16 bytes into a page, and some processors copy from a file to such an
    address several times slower.
    """
    block: Array | None = getattr(buffers, "block", None)
    if block is None or block.nbytes < size:
        memory = mmap.mmap(-1, size + (size == 0), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        block = buffers.block = np.frombuffer(memory, np.uint8)
    return block
