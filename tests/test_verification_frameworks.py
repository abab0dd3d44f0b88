"""verify with the frameworks themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from grubridge.checker.verdict import Verdict
from grubridge.conversion import write
from grubridge.report import render
from grubridge.spec import SIGMOID, Activation, GRUSpec
from grubridge.verification import verify
from tests.zoo import make_spec, member


@pytest.mark.usefixtures("torch", "onnxruntime")
def test_chaotic_but_equal_pair_is_equivalent(tmp_path: Path) -> None:
    """Weights five times as large, 1024 steps: PyTorch and ONNX Runtime end far apart, and both are right."""
    write(_chaotic(), tmp_path / "a.pt")
    write(_chaotic(), tmp_path / "b.onnx")
    report = verify(tmp_path / "a.pt", tmp_path / "b.onnx", steps=1024, batch=2, device="cpu")

    assert report.verdict is Verdict.EQUIVALENT, report.diagnosis
    assert max(drift.max_abs for drift in report.drift) > 1


@pytest.mark.usefixtures("torch", "onnxruntime")
def test_chaotic_pair_with_one_changed_weight_is_different(tmp_path: Path) -> None:
    write(_chaotic(), tmp_path / "a.pt")
    write(_chaotic(changed=1e-3), tmp_path / "b.onnx")
    report = verify(tmp_path / "a.pt", tmp_path / "b.onnx", steps=1024, batch=2, device="cpu")

    assert report.verdict is Verdict.DIFFERENT


@pytest.mark.usefixtures("onnxruntime")
def test_a_clip_of_one_file_alone_is_the_cause(tmp_path: Path) -> None:
    spec = make_spec("clipped", sizes=(5, 7), seed=3)
    write(spec, tmp_path / "a.onnx")
    write(replace(spec, layers=(replace(spec.layers[0], clip=0.5),)), tmp_path / "b.onnx")
    report = verify(tmp_path / "a.onnx", tmp_path / "b.onnx", device="cpu")

    assert report.verdict is Verdict.DIFFERENT
    (cause,) = report.diagnosis
    assert cause.cause == "setting"
    assert cause.detail.startswith("layer 0 forward clip: no clip in ")
    assert cause.detail.endswith("b.onnx")
    assert "clip 0.5 in " in cause.detail


@pytest.mark.usefixtures("onnxruntime")
def test_a_clip_that_ordinary_inputs_do_not_reach_is_found(tmp_path: Path) -> None:
    spec = make_spec("open", sizes=(5, 7), activations=((SIGMOID, Activation("relu")),), seed=3)
    write(spec, tmp_path / "a.onnx")
    write(replace(spec, layers=(replace(spec.layers[0], clip=50.0),)), tmp_path / "b.onnx")
    report = verify(tmp_path / "a.onnx", tmp_path / "b.onnx", device="cpu")

    assert {one.verdict for one in report.comparisons} == {Verdict.EQUIVALENT}
    assert report.verdict is Verdict.DIFFERENT
    (cause,) = report.diagnosis
    assert cause.cause == "setting"
    assert "clip 50.0 in " in cause.detail
    assert "once in a billion" not in render(report)


def test_one_file_through_every_runtime(
    keras: ModuleType, torch: ModuleType, onnxruntime: ModuleType, tmp_path: Path
) -> None:
    write(member("two_layers_bidirectional"), tmp_path / "a.keras")
    report = verify(tmp_path / "a.keras", device="cpu")

    assert report.verdict is Verdict.EQUIVALENT, report.diagnosis
    assert {run.backend for run in report.runs} == {"reference", "keras", "pytorch", "onnxruntime"}
    assert {one.edge for one in report.comparisons} == {"read", "write"}
    versions = {run.backend: run.version for run in report.runs}
    for name, module in (("keras", keras), ("pytorch", torch), ("onnxruntime", onnxruntime)):
        assert module.__version__ in versions[name]


def _chaotic(changed: float = 0.0) -> GRUSpec:
    spec = make_spec("chaotic", sizes=(8, 64), seed=31)
    direction = next(spec.directions())[2]
    large = direction.recurrent_weight.map(lambda w: w * np.float32(5))
    if changed:
        candidate = large.candidate.copy()
        candidate[7, 11] *= np.float32(1 + changed)
        large = replace(large, candidate=candidate)
    direction = replace(direction, recurrent_weight=large)
    return replace(spec, layers=(replace(spec.layers[0], forward=direction),))


@pytest.mark.usefixtures("torch")
def test_a_gate_is_not_accused_where_nan_took_the_state_it_is_read_out_of(tmp_path: Path) -> None:
    spec = make_spec("broken", sizes=(4, 6))
    direction = next(spec.directions())[2]
    assert direction.recurrent_bias is not None
    assert direction.recurrent_bias.reset is not None
    reset = direction.recurrent_bias.reset.copy()
    reset[2] = np.nan
    broken = replace(direction, recurrent_bias=replace(direction.recurrent_bias, reset=reset))
    path = tmp_path / "broken.pt"
    write(replace(spec, layers=(replace(spec.layers[0], forward=broken),)), path)

    with pytest.warns(UserWarning, match="holds NaN or infinity"):
        report = verify(path, backends=["pytorch"])

    assert {one.verdict for one in report.comparisons} == {Verdict.INCONCLUSIVE}
