"""What a gate that a bias holds shut is in each runtime: the size that the notes of a conversion state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import grubridge
from grubridge.errors import CannotRunError
from grubridge.spec import UPDATE, Gate, GRUSpec, saturated
from tests.zoo import make_spec

ENDINGS = {"pytorch": ".pt", "keras": ".keras", "onnxruntime": ".onnx"}
FRAMEWORKS = {"pytorch": "torch", "keras": "keras", "onnxruntime": "onnxruntime"}


def _held(gate: Gate, dtype: str) -> GRUSpec:
    """A GRU whose candidate is 0 as long as x is, so that h' = z * h shows the smallest z."""
    spec = make_spec("cell", sizes=(3, 4), biases="input", dtype=dtype)
    d = spec.layers[0].forward
    assert d is not None
    assert d.input_bias is not None
    d = replace(
        d,
        input_bias=d.input_bias.map(np.zeros_like),
        recurrent_weight=replace(d.recurrent_weight, candidate=np.zeros_like(d.recurrent_weight.candidate)),
    )
    return saturated(replace(spec, layers=(replace(spec.layers[0], forward=d.without(gate)),)))[0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("backend", ENDINGS)
def test_an_update_gate_is_held_at_exactly_0_up_to_float32(
    backend: str, dtype: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    request.getfixturevalue(FRAMEWORKS[backend])
    path, large = tmp_path / f"held{ENDINGS[backend]}", 6e4 if dtype == "float16" else 1e30
    grubridge.write(_held(UPDATE, dtype), path)
    start = np.full((1, 1, 4), large, np.float32)

    try:
        traced = grubridge.trace(path, {"x": np.zeros((1, 1, 3), np.float32), "initial_state": start})
    except CannotRunError as error:
        assert backend == "onnxruntime"
        assert "no float64 GRU" in str(error) or "bfloat16" in str(error)  # noqa: PT017
        return

    z = traced[0, "forward"].hidden.astype(np.float64) / large
    if dtype == "float64":
        np.testing.assert_allclose(z, np.exp(-100), rtol=1e-3)
    else:
        assert (z == 0).all()
