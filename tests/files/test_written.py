"""What counts as compared: the right file, place, order and dtype, and nothing written over it since."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from grubridge.files.opening import FileMap, open_for_writing
from grubridge.files.strips import Segment, write_at, write_segments
from grubridge.files.written import WrittenArrays, noted
from grubridge.spec import Array, Fused

RNG = np.random.default_rng(11)
UPDATE, RESET = (RNG.standard_normal((40, 30)).astype(np.float32) for _ in range(2))
F4 = np.dtype(np.float32)
OFFSET = 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def file(path: Path) -> Iterator[int]:
    descriptor = open_for_writing(path)
    yield descriptor
    os.close(descriptor)


def _written(file: int, *segments: Segment) -> WrittenArrays:
    with noted() as written:
        write_at(file, bytes(OFFSET), 0)
        write_segments(file, segments)
    return written


def _view(path: Path, offset: int, *shape: int) -> Array:
    return FileMap(path).view(offset, shape, F4, "it")


def test_gates_below_each_other_are_known_where_they_lie(path: Path, file: int) -> None:
    written = _written(file, Segment(OFFSET, Fused((RESET, UPDATE), 0)))

    reset, update = np.split(_view(path, OFFSET, 80, 30), 2)

    assert written.has(RESET, reset)
    assert written.has(UPDATE, update)
    assert not written.has(RESET, update)
    assert not written.has(UPDATE, reset)


def test_transposed_gates_beside_each_other_are_known_where_they_lie(path: Path, file: int) -> None:
    written = _written(file, Segment(OFFSET, Fused((UPDATE.T, RESET.T), 1)))

    update, reset = np.split(_view(path, OFFSET, 30, 80), 2, axis=1)

    assert written.has(UPDATE, update.T)
    assert written.has(RESET, reset.T)
    assert written.has(RESET.T, reset)
    assert not written.has(RESET, update.T)
    np.testing.assert_array_equal(RESET, reset.T)


@pytest.mark.parametrize("shift", [-4, 4, 120])
def test_a_wrong_offset_is_not_known(path: Path, file: int, shift: int) -> None:
    written = _written(file, Segment(OFFSET, Fused((UPDATE,), 0)), Segment(OFFSET + 4800, Fused((RESET,), 0)))

    assert written.has(UPDATE, _view(path, OFFSET, 40, 30))
    assert not written.has(UPDATE, _view(path, OFFSET + shift, 40, 30))


def test_a_wrong_order_of_the_axes_is_not_known(path: Path, file: int) -> None:
    square = UPDATE[:30]
    written = _written(file, Segment(OFFSET, Fused((square,), 0)))

    assert written.has(square, _view(path, OFFSET, 30, 30))
    assert not written.has(square, _view(path, OFFSET, 30, 30).T)
    assert not written.has(square.T, _view(path, OFFSET, 30, 30))


def test_another_dtype_shape_file_or_array_is_not_known(path: Path, file: int) -> None:
    written = _written(file, Segment(OFFSET, Fused((UPDATE,), 0)))
    view = _view(path, OFFSET, 40, 30)
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())

    assert written.has(UPDATE, view)
    assert not written.has(UPDATE, view.view(np.int32))
    assert not written.has(UPDATE, view[:20])
    assert not written.has(UPDATE.copy(), view)
    assert not written.has(UPDATE, view.copy())
    assert not written.has(UPDATE, _view(copy, OFFSET, 40, 30))


def test_what_was_written_over_later_is_not_known(path: Path, file: int) -> None:
    with noted() as written:
        write_segments(file, [Segment(OFFSET, Fused((UPDATE,), 0)), Segment(9000, Fused((RESET,), 0))])
        write_at(file, b"header", OFFSET + UPDATE.nbytes - 1)

    assert not written.has(UPDATE, _view(path, OFFSET, 40, 30))
    assert written.has(RESET, _view(path, 9000, 40, 30))


def test_segments_that_overlap_are_not_known(path: Path, file: int) -> None:
    written = _written(file, Segment(OFFSET, Fused((UPDATE,), 0)), Segment(OFFSET + 4, Fused((RESET,), 0)))

    assert not written.has(UPDATE, _view(path, OFFSET, 40, 30))
    assert not written.has(RESET, _view(path, OFFSET + 4, 40, 30))


def test_only_what_holds_no_nan_is_known_to_be_finite(file: int) -> None:
    bad = RESET.copy()
    bad[3, 4] = np.nan
    written = _written(file, Segment(OFFSET, Fused((UPDATE.T,), 0)), Segment(9000, Fused((bad,), 0)))

    assert written.is_finite(UPDATE)
    assert not written.is_finite(bad)
    assert not written.is_finite(RESET)


def test_a_disk_that_gives_back_something_else_is_an_error(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    intact = os.preadv

    def damaged(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        read = intact(descriptor, buffers, offset)
        buffers[0][-1] ^= 1
        return read

    monkeypatch.setattr(os, "preadv", damaged)

    with pytest.raises(OSError, match="gives back something else"):
        write_segments(file, [Segment(OFFSET, Fused((UPDATE,), 0))])
