"""Strip by strip must give what numpy gives at once. Strips are small here, so that there are many."""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from grubridge.files import strips
from grubridge.files.opening import open_for_writing
from grubridge.files.strips import Segment, all_finite, equal_bits, write_at, write_segments
from grubridge.spec import Array, Fused, numpy_dtype

RNG = np.random.default_rng(5)
WEIGHTS = RNG.standard_normal((300, 70)).astype(np.float32)
PARTS = {
    "as it is": Fused((WEIGHTS,), 0),
    "gates below each other": Fused((WEIGHTS[200:], WEIGHTS[:100], WEIGHTS[100:200]), 0),
    "gates beside each other": Fused((WEIGHTS[:100], WEIGHTS[200:]), 1),
    "transposed": Fused((WEIGHTS.T[:, 150:], WEIGHTS.T[:, :150]), 1),
    "a bias": Fused((WEIGHTS[0], WEIGHTS[7], WEIGHTS[3]), 0),
}


@pytest.fixture(autouse=True)
def small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "_STRIP", 5000)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = open_for_writing(tmp_path / "out")
    yield descriptor
    os.close(descriptor)


def _expected(fused: Fused) -> bytes:
    return np.concatenate(fused.parts, axis=fused.axis).tobytes()


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_segment_holds_the_bytes_of_the_whole(file: int, parts: str, dtype: str) -> None:
    fused = Fused(tuple(part.astype(numpy_dtype(dtype)) for part in PARTS[parts].parts), PARTS[parts].axis)
    expected = _expected(fused)

    sums = write_segments(file, [Segment(13, fused)], checksums=True)

    assert os.pread(file, len(expected) + 100, 13) == expected
    assert sums == [zlib.crc32(expected)]


def test_segments_land_at_their_offsets_in_any_order(file: int) -> None:
    first, second, third = (PARTS[name] for name in ("transposed", "a bias", "gates below each other"))

    sums = write_segments(file, [Segment(200_000, first), Segment(5, second), Segment(1000, third)])

    assert sums == []
    for offset, fused in ((200_000, first), (5, second), (1000, third)):
        assert os.pread(file, fused.nbytes, offset) == _expected(fused)


def test_a_row_wider_than_a_strip_is_written(file: int) -> None:
    wide = Fused((np.arange(6000, dtype=np.float64).reshape(2, 3000),), 0)

    write_segments(file, [Segment(0, wide)])

    assert os.pread(file, wide.nbytes, 0) == _expected(wide)


def test_write_at_leaves_what_is_around_alone(file: int) -> None:
    write_at(file, b"0123456789", 0)
    write_at(file, b"abc", 4)

    assert os.pread(file, 100, 0) == b"0123abc789"


def _changed(array: Array, place: tuple[int, ...], value: float) -> Array:
    changed = array.copy()
    changed[place] = value
    return changed


def test_equal_bits_sees_one_value_anywhere() -> None:
    assert equal_bits(WEIGHTS, WEIGHTS.copy())
    for place in ((0, 0), (299, 69), (150, 3)):
        assert not equal_bits(WEIGHTS, _changed(WEIGHTS, place, 0.1))


def test_equal_bits_looks_at_bits_and_not_at_values() -> None:
    zeros, nans = np.zeros((2, 2), np.float32), np.full((2, 2), np.nan, np.float32)

    assert not equal_bits(zeros, -zeros)
    assert not equal_bits(zeros[0], -zeros[0])
    assert equal_bits(nans, nans.copy())


def test_equal_bits_takes_any_layout_but_no_other_shape_or_dtype() -> None:
    assert equal_bits(WEIGHTS, np.asfortranarray(WEIGHTS))
    assert not equal_bits(WEIGHTS, WEIGHTS[:-1])
    assert not equal_bits(WEIGHTS, WEIGHTS.astype(np.float64))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_all_finite_sees_one_value(dtype: str, value: float) -> None:
    weights = WEIGHTS.astype(numpy_dtype(dtype))

    assert all_finite(weights)
    assert all_finite(weights.T)
    assert not all_finite(_changed(weights, (299, 69), value))
    assert not all_finite(_changed(weights, (4, 0), value).T)


def test_numbers_whose_sum_overflows_are_finite() -> None:
    assert all_finite(np.full((300, 70), 3e38, np.float32))
