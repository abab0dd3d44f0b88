"""A cell without a gate in formats that know full GRUs only: refused, or held by a bias when asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

import grubridge
from grubridge.errors import UnsupportedFeatureError
from grubridge.spec import RESET, UPDATE, Gate

CELLS = Path(__file__).resolve().parent.parent / "samples" / "cells"


@pytest.mark.parametrize(
    ("cell", "gate", "ending"),
    [
        ("d2l-reset-only", UPDATE, ".onnx"),
        ("d2l-reset-only", UPDATE, ".keras"),
        ("d2l-update-only", RESET, ".onnx"),
        ("d2l-update-only", RESET, ".pt"),
    ],
)
def test_a_cell_without_a_gate_needs_leave_to_be_saturated(
    cell: str, gate: Gate, ending: str, tmp_path: Path
) -> None:
    source, target = CELLS / f"{cell}.pt", tmp_path / f"full{ending}"
    hints = grubridge.ReadHints(layout=cell)

    with pytest.raises(UnsupportedFeatureError, match=rf"it has no {gate} gate, .* with --saturate"):
        grubridge.convert(source, target, hints=hints)
    assert not target.exists()
    made = grubridge.convert(source, target, hints=hints, saturate=True)

    direction = grubridge.read(target).layers[0].forward
    assert direction is not None
    assert direction.absent_gates == frozenset()
    assert direction.input_bias is not None
    assert set(direction.input_bias[gate].tolist()) == {-100.0 if gate == UPDATE else 100.0}
    assert not direction.input_weight[gate].any()
    assert not direction.recurrent_weight[gate].any()
    assert all("saturated" in record.actions for record in made.records)
    assert any(f"the source has no {gate} gate" in note for note in made.notes)


@pytest.mark.usefixtures("torch", "onnxruntime")
@pytest.mark.parametrize("cell", ["d2l-reset-only", "d2l-update-only"])
def test_the_saturated_twin_is_the_cell_in_the_targets_runtime(cell: str, tmp_path: Path) -> None:
    hints = grubridge.ReadHints(layout=cell)
    made = grubridge.convert(CELLS / f"{cell}.pt", tmp_path / "full.onnx", hints=hints, saturate=True)

    report = grubridge.verify_conversion(made, hints=hints)

    assert report.verdict is grubridge.Verdict.EQUIVALENT
    held = UPDATE if cell == "d2l-reset-only" else RESET
    of_gate = [one for one in report.comparisons if one.edge == "write" and one.quantity == held]
    assert [one.max_abs for one in of_gate] == pytest.approx([0.0], abs=5e-7)


def test_a_full_gru_is_not_saturated(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFeatureError, match="leave --saturate out"):
        grubridge.convert(
            CELLS / "d2l.pt", tmp_path / "full.onnx", hints=grubridge.ReadHints(layout="d2l"), saturate=True
        )
