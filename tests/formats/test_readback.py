"""A large array is not fetched from memory twice; one in the wrong place is found all the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge.files.strips import Segment, write_segments
from grubridge.formats import readback, safetensors
from grubridge.spec import Array, Fused, Gates, GRUDirection, GRULayer, GRUSpec

SIZE = 560  # a gate is above 1 MiB


@pytest.fixture(scope="module")
def large() -> GRUSpec:
    random = np.random.default_rng(3)

    def gates() -> Gates[Array]:
        return Gates(*(random.standard_normal((SIZE, SIZE), np.float32) for _ in range(3)))

    return GRUSpec((GRULayer(GRUDirection(gates(), gates()), None, reset_after=True),))


@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".onnx", ".keras", ".h5"])
def test_large_arrays_are_known_in_every_format(
    large: GRUSpec, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[Array, Array]] = []

    def noting(left: Array, right: Array) -> bool:
        compared.append((left, right))
        return True

    monkeypatch.setattr(readback, "equal_bits", noting)

    grubridge.write(large, tmp_path / f"out{ending}")

    assert [pair for pair in compared if pair[0].nbytes > 1 << 20] == []
    monkeypatch.undo()
    assert readback.differences(large, grubridge.read(tmp_path / f"out{ending}")) == ()


def _exchanged(segments: list[Segment]) -> list[Segment]:
    first, second = segments
    return [Segment(first.offset, second.data), Segment(second.offset, first.data)]


def _gates_in_another_order(segments: list[Segment]) -> list[Segment]:
    first, second = segments
    return [Segment(first.offset, Fused(first.data.parts[::-1], 0)), second]


def _transposed(segments: list[Segment]) -> list[Segment]:
    first, second = segments
    return [first, Segment(second.offset, Fused(tuple(part.T for part in second.data.parts), 0))]


@pytest.mark.parametrize("wrong", [_exchanged, _gates_in_another_order, _transposed])
def test_a_large_array_in_a_wrong_place_is_found(
    large: GRUSpec, tmp_path: Path, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        safetensors, "write_segments", lambda file, segments: write_segments(file, wrong(list(segments)))
    )

    with pytest.raises(AssertionError, match="reading it back gave something else"):
        grubridge.write(large, tmp_path / "out.safetensors")

    assert list(tmp_path.iterdir()) == []
