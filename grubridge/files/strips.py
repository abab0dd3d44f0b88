"""Large arrays to a file, and two arrays against each other, strip by strip on two threads.

Memory stays at one strip per thread, whatever the size of the arrays. Each strip is copied into a
page-aligned buffer (transposing and casting on the way), summed where a zip needs it, and written.
"""

from __future__ import annotations

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

__all__ = ["Segment", "all_finite", "equal_bits", "write_at", "write_segments"]

_STRIP = 4 << 20
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
    """Write all of `data` at `offset` of the file of descriptor `file`."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def write_segments(file: int, segments: Iterable[Segment], *, checksums: bool = False) -> list[int]:
    """Write every segment at its offset.

    Args:
        file: descriptor of the output file.
        segments: what to write; they do not overlap.
        checksums: whether to compute CRC-32.

    Returns:
        The CRC-32 of each segment when `checksums`, else an empty list.
    """
    segments = list(segments)
    total = sum(segment.data.nbytes for segment in segments)
    if total > _STRIP and hasattr(os, "posix_fallocate"):
        # a full disk shows before the work, and two threads need not wait for each other's new blocks
        start = min(segment.offset for segment in segments)
        end = max(segment.offset + segment.data.nbytes for segment in segments)
        os.posix_fallocate(file, start, end - start)
    jobs = [(index, rows) for index, segment in enumerate(segments) for rows in _strips(segment.data)]
    buffers = local()

    def write(job: tuple[int, tuple[int, int]]) -> tuple[int, int, int]:
        index, (start, stop) = job
        data = segments[index].data
        row = data.nbytes // data.shape[0]
        size = row * (stop - start)
        block = _buffer(buffers, size)
        strip = block[:size].view(data.dtype).reshape(stop - start, *data.shape[1:])
        data.copy_rows(start, stop, strip)
        offset, view = segments[index].offset + start * row, block[:size].data
        checksum = zlib.crc32(view) if checksums else 0
        write_at(file, view, offset)
        return index, checksum, size

    sums = [0] * len(segments)
    for index, checksum, size in _in_threads(write, jobs, total):
        if checksums:
            sums[index] = combine(sums[index], checksum, size)
    return sums if checksums else []


def equal_bits(left: Array, right: Array) -> bool:
    """Whether two arrays hold the same bits: NaN equals itself, and -0.0 differs from 0.0."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    unsigned = np.dtype(f"u{left.itemsize}")
    buffers = local(), local()

    def same(rows: tuple[int, int]) -> bool:
        strips = (_contiguous(one, rows, own) for one, own in zip((left, right), buffers, strict=True))
        one, other = (strip.view(unsigned) for strip in strips)
        return np.array_equal(one, other)

    return all(_in_threads(same, list(_strips(Fused((left,), 0))), left.nbytes))


def _contiguous(array: Array, rows: tuple[int, int], buffers: local) -> Array:
    """Return rows of an array in C order: a view where they lie so, else a copy in this thread's buffer."""
    strip: Array = array[slice(*rows)]
    if strip.flags.c_contiguous:
        return strip
    copy = _buffer(buffers, strip.nbytes)[: strip.nbytes].view(strip.dtype).reshape(strip.shape)
    Fused((array,), 0).copy_rows(*rows, copy)
    return copy


def all_finite(array: Array) -> bool:
    """Whether an array holds neither NaN nor infinity."""
    in_order = array.T if array.strides[0] < array.strides[-1] else array  # as it lies in memory

    def finite(rows: tuple[int, int]) -> bool:
        strip = in_order[slice(*rows)]
        # a sum is not finite as soon as one term is not; only then is every value worth a look
        with np.errstate(over="ignore", invalid="ignore"):
            total = strip.sum(dtype=np.float64 if array.itemsize == 8 else np.float32)
        return bool(np.isfinite(total) or np.isfinite(strip.astype(np.float64)).all())

    return all(_in_threads(finite, list(_strips(Fused((in_order,), 0))), array.nbytes))


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
