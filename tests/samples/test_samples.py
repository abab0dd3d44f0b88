"""The committed samples are what their table says, and reach the recorded score in their own framework."""

import hashlib
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

from samples.data import accuracy, digits, rmse, sunspots

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
ROW = re.compile(
    r"^\| `(\S+)` \|.*\| (?:(?:accuracy|perplexity|rmse) ([\d.]+)|-) \| `([0-9a-f]{64})` \|$", re.MULTILINE
)
ROWS = ROW.findall((SAMPLES / "README.md").read_text(encoding="utf-8"))
RECORDED_SHA256 = {file: sha256 for file, _, sha256 in ROWS}
RECORDED_SCORE = {file: float(value) for file, value, _ in ROWS if value}

SAME_PREDICTIONS = 5e-5  # the table has four digits


def test_every_sample_stands_in_the_table() -> None:
    suffixes = {".keras", ".h5", ".pt", ".onnx", ".data-00000-of-00001"}
    models = {path for path in SAMPLES.rglob("*") if path.suffix in suffixes}
    assert {path.relative_to(SAMPLES).as_posix() for path in models} == set(RECORDED_SHA256)


@pytest.mark.parametrize("file", RECORDED_SHA256)
def test_the_file_is_the_recorded_one(file: str) -> None:
    assert hashlib.sha256((SAMPLES / file).read_bytes()).hexdigest() == RECORDED_SHA256[file]


def test_splits_keep_train_and_test_apart() -> None:
    for task in (digits(), sunspots()):
        seen = {window.tobytes() for window in task.train_x}
        assert len(seen) == len(task.train_x)
        assert not any(window.tobytes() in seen for window in task.test_x)
    shares = np.bincount(digits().test_y)
    assert len(shares) == 10
    assert shares.min() >= 25


def test_sunspot_windows_end_where_their_target_begins() -> None:
    task = sunspots()
    series = np.concatenate([task.train_y, task.test_y])[:, 0]
    np.testing.assert_array_equal(task.test_x[-1, :, 0], series[-25:-1])
    np.testing.assert_allclose(series[-1], 0.029)  # 2.9 sunspots in 2008
    assert f"{rmse(task.test_x[:, -1], task.test_y):.4f}" in (SAMPLES / "README.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("file", ["digits_bidirectional.keras", "wrong/unreordered_gates.keras"])
def test_keras_reaches_the_recorded_accuracy(keras: ModuleType, file: str) -> None:
    task = digits()
    scores = keras.saving.load_model(SAMPLES / file).predict(task.test_x, verbose=0)
    assert accuracy(scores, task.test_y) == pytest.approx(RECORDED_SCORE[file], abs=SAME_PREDICTIONS)


def test_keras_reaches_the_recorded_error(keras: ModuleType) -> None:
    task = sunspots()
    model = keras.saving.load_model(SAMPLES / "sunspots_reset_before.h5")
    assert not model.get_layer("gru").reset_after
    error = rmse(model.predict(task.test_x, verbose=0), task.test_y)
    assert error == pytest.approx(RECORDED_SCORE["sunspots_reset_before.h5"], abs=1e-3)


@pytest.mark.parametrize(("file", "num_layers"), [("digits_two_layer.pt", 2), ("wrong/source.pt", 1)])
def test_pytorch_reaches_the_recorded_accuracy(torch: ModuleType, file: str, num_layers: int) -> None:
    from samples.train_digits_pytorch import DigitsClassifier, score

    model = DigitsClassifier(num_layers)
    model.load_state_dict(torch.load(SAMPLES / file, weights_only=True), strict=True)
    assert score(model.eval()) == pytest.approx(RECORDED_SCORE[file], abs=SAME_PREDICTIONS)


def test_onnxruntime_reaches_the_recorded_accuracy(onnxruntime: ModuleType) -> None:
    task = digits()
    session = onnxruntime.InferenceSession(SAMPLES / "digits_two_layer.onnx")
    (logits,) = session.run(None, {"rows": task.test_x})
    assert accuracy(logits, task.test_y) == pytest.approx(
        RECORDED_SCORE["digits_two_layer.onnx"], abs=SAME_PREDICTIONS
    )


def test_torch_exported_gru_nodes_that_reset_after_the_product() -> None:
    model = onnx.load(SAMPLES / "digits_two_layer.onnx")
    onnx.checker.check_model(model)
    nodes = [node for node in model.graph.node if node.op_type == "GRU"]
    assert len(nodes) == 2
    for node in nodes:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        assert (attributes["linear_before_reset"], attributes["hidden_size"]) == (1, 16)
    assert not any(prop.value.count("File ") for node in model.graph.node for prop in node.metadata_props)
