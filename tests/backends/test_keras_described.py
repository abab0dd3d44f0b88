"""Cells of TensorFlow checkpoints and Keras files, run by TensorFlow as a layout describes them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import grubridge
from grubridge.artifacts import open_artifact
from grubridge.backends.base import Artifact
from grubridge.backends.keras import described
from grubridge.backends.keras.backend import run
from grubridge.errors import CannotRunError
from grubridge.formats.base import ReadHints
from grubridge.reference import run as equations
from grubridge.spec import Array, Gates
from grubridge.traces import Probe
from tests.keras_cells import gated_cell, shown
from tests.tf_checkpoints import HIDDEN, INPUT, block_cell, cudnn_compatible_cell, gru_cell, save

RNG = np.random.default_rng(21)
X = RNG.normal(size=(3, 7, INPUT)).astype(np.float32)
START = RNG.uniform(-1, 1, (3, HIDDEN)).astype(np.float32)
PROBE = Probe(X, {(0, "forward"): START})


def _artifact(path: Path, layout: str | None = None) -> Artifact:
    opened = open_artifact(path, hints=ReadHints(layout=layout))
    return Artifact(str(opened.path), opened.format.NAME, opened.select().address)


def _kernel_of_tensorflow(tensorflow: ModuleType) -> tuple[Array, Gates[Array]]:
    """Return what TensorFlow's own GRUBlockCell makes of the inputs: states, and u, r and c."""
    state, steps = START, []
    for t in range(X.shape[1]):
        done = tensorflow.raw_ops.GRUBlockCell(x=X[:, t], h_prev=state, **block_cell())
        state = done.h
        steps.append((done.h, done.u, done.r, done.c))
    hidden, *gates = (np.stack([one.numpy() for one in column], 1) for column in zip(*steps, strict=True))
    return hidden, Gates(*gates)


@pytest.mark.parametrize("cell", ["gru_cell", "gru_block_cell"])
def test_cells_of_tensorflow_1_are_its_own_kernel(tensorflow: ModuleType, tmp_path: Path, cell: str) -> None:
    prefix = save(
        tensorflow, tmp_path / "a", gru_cell() if cell == "gru_cell" else block_cell(), f"rnn/{cell}"
    )
    hidden, gates = _kernel_of_tensorflow(tensorflow)

    trace = run(_artifact(prefix), PROBE, "cpu")

    found = trace[0, "forward"]
    assert found.gates is not None
    np.testing.assert_allclose(found.hidden, hidden, rtol=0, atol=5e-7)
    for (name, received), (_, expected) in zip(found.gates.items(), gates.items(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=0, atol=5e-7, err_msg=name)
    assert trace.kernel == f"cell tf1-{cell.replace('_', '-')} as described, TensorFlow operators"
    assert (trace.backend, trace.dtype, trace.device, trace.native) == ("keras", "float32", "cpu", True)
    assert found.gate_source == "observed"


def test_a_checkpoint_runs_in_a_process_of_its_own(tensorflow: ModuleType, tmp_path: Path) -> None:
    prefix = save(tensorflow, tmp_path / "a", gru_cell())
    hidden, _ = _kernel_of_tensorflow(tensorflow)

    traced = grubridge.trace(prefix, {"x": X, "initial_state": START[None]})

    np.testing.assert_allclose(traced[0, "forward"].hidden, hidden, rtol=0, atol=5e-7)


def test_the_cudnn_compatible_cell_is_its_equations(tensorflow: ModuleType, tmp_path: Path) -> None:
    prefix = save(tensorflow, tmp_path / "a", cudnn_compatible_cell())

    trace = run(_artifact(prefix), PROBE, "cpu")

    expected = equations(grubridge.read(prefix), PROBE)[0, "forward"]
    np.testing.assert_allclose(trace[0, "forward"].hidden, expected.hidden, rtol=0, atol=5e-7)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
@pytest.mark.parametrize("reset_after", [True, False])
def test_the_cell_of_a_keras_file_is_the_class_that_was_saved(
    keras: ModuleType, tensorflow: ModuleType, tmp_path: Path, ending: str, *, reset_after: bool
) -> None:
    del tensorflow
    path = tmp_path / f"model{ending}"
    cell = gated_cell(keras, together=True, reset_after=reset_after)
    model = keras.Sequential([keras.Input((None, INPUT)), keras.layers.RNN(cell), keras.layers.Dense(2)])
    (model.save_weights if ending == ".weights.h5" else model.save)(path)
    hidden, reset, update = shown(cell, X)

    trace = run(_artifact(path, "keras" if reset_after else "keras-reset-before"), Probe(X), "cpu")

    found = trace[0, "forward"]
    assert found.gates is not None
    for received, expected in (
        (found.hidden, hidden),
        (found.gates.reset, reset),
        (found.gates.update, update),
    ):
        np.testing.assert_allclose(received, expected, rtol=0, atol=5e-7)


def test_a_checkpoint_verifies_against_what_it_was_converted_to(
    tensorflow: ModuleType, onnxruntime: ModuleType, tmp_path: Path
) -> None:
    del onnxruntime
    prefix = save(tensorflow, tmp_path / "a", gru_cell())
    grubridge.convert(prefix, tmp_path / "a.onnx")

    report = grubridge.verify(prefix, tmp_path / "a.onnx")

    assert report.verdict is grubridge.Verdict.EQUIVALENT


def test_without_tensorflow_no_description_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(described, "find_spec", lambda _: None)

    with pytest.raises(CannotRunError) as caught:
        run(Artifact("a.index", "tensorflow", {"layout": {}}), PROBE, "cpu")

    assert (
        caught.value.reason == "a cell that a layout describes is run by TensorFlow, which is not installed"
    )
    assert str(caught.value).endswith("not installed: pip install 'grubridge[tensorflow]'")
