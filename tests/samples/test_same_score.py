"""A trained model scores the same when its GRU is converted and its head is kept.

The converted GRU runs in its own framework on the test part of the task; the head that the model was trained
with is applied to its last hidden state, and the predictions are those of the whole model in the framework
that saved it.
"""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from grubridge import UnsupportedFeatureError, convert
from samples.data import Task, accuracy, digits, rmse, sunspots
from tests.samples.test_samples import RECORDED_SCORE, SAMPLES

Array = npt.NDArray[Any]

PAIRS = [
    ("digits_bidirectional.keras", "gru.pt"),
    ("digits_bidirectional.keras", "gru.safetensors"),
    ("digits_bidirectional.keras", "gru.onnx"),
    ("digits_bidirectional.keras", "gru.h5"),
    ("sunspots_reset_before.h5", "gru.onnx"),
    ("sunspots_reset_before.h5", "gru.keras"),
    ("digits_two_layer.pt", "gru.onnx"),
    ("digits_two_layer.pt", "gru.keras"),
    ("digits_two_layer.pt", "gru.h5"),
    ("digits_two_layer.onnx", "gru.pt"),
    ("digits_two_layer.onnx", "gru.keras"),
    ("wrong/source.pt", "gru.keras"),
]


@dataclass(frozen=True)
class Trained:
    """A sample in its own framework: what its linear head returns for the test inputs, and that head.

    Args:
        outputs: [N, C], before any softmax.
        head_kernel: [D*H, C].
        head_bias: [C].
    """

    outputs: Array
    head_kernel: Array
    head_bias: Array


def task_of(file: str) -> Task:
    return sunspots() if file.startswith("sunspots") else digits()


def score(file: str, predictions: Array, task: Task) -> float:
    measure = rmse if file.startswith("sunspots") else accuracy
    return measure(predictions, task.test_y)


def trained(file: str, x: Array, request: pytest.FixtureRequest) -> Trained:
    path = SAMPLES / file
    if path.suffix == ".pt":
        torch = request.getfixturevalue("torch")
        from samples.train_digits_pytorch import DigitsClassifier

        weights = torch.load(path, weights_only=True)
        model = DigitsClassifier(num_layers=2 if "gru.weight_hh_l1" in weights else 1)
        model.load_state_dict(weights)
        with torch.no_grad():
            logits = model.eval()(torch.from_numpy(x)).numpy()
        return Trained(logits, weights["head.weight"].numpy().T, weights["head.bias"].numpy())
    if path.suffix == ".onnx":
        (logits,) = request.getfixturevalue("onnxruntime").InferenceSession(path).run(None, {"rows": x})
        tensors = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
        return Trained(logits, tensors["head.weight"].T, tensors["head.bias"])
    keras = request.getfixturevalue("keras")
    model = keras.saving.load_model(path, compile=False)
    head = model.get_layer("head")
    head.activation = keras.activations.linear
    return Trained(model.predict(x, verbose=0), *head.get_weights())


def last_hidden(path: Path, x: Array, request: pytest.FixtureRequest) -> Array:
    """Run a converted file in its own framework on x [N, T, I] and return what the head reads, [N, D*H].

    Of a backward half that is the state after its last step, which is the first one in time.
    """
    if path.suffix in {".keras", ".h5"}:
        model = request.getfixturevalue("keras").saving.load_model(path, compile=False)
        y = np.asarray(model.predict(x, verbose=0))
        return y if y.ndim == 2 else y[:, -1]  # only forward samples become a layer that returns sequences
    if path.suffix == ".onnx":
        session = request.getfixturevalue("onnxruntime").InferenceSession(path)
        y, final_state = session.run(["y", "final_state"], {"x": x})
    else:
        y, final_state = run_pytorch(path, x, request.getfixturevalue("torch"))
    directions = y.shape[2] // final_state.shape[2]
    return np.concatenate(list(final_state[-directions:]), axis=1)


def run_pytorch(path: Path, x: Array, torch: ModuleType) -> tuple[Array, Array]:
    """Load the state dict into `nn.GRU` and return y [N, T, D*H] and the final state [L*D, N, H]."""
    from safetensors.torch import load_file

    weights = torch.load(path, weights_only=True) if path.suffix == ".pt" else load_file(path)
    gru = torch.nn.GRU(
        input_size=weights["weight_ih_l0"].shape[1],
        hidden_size=weights["weight_hh_l0"].shape[1],
        num_layers=2 if "weight_hh_l1" in weights else 1,
        bidirectional="weight_hh_l0_reverse" in weights,
        batch_first=True,
    )
    gru.load_state_dict(weights, strict=True)
    with torch.no_grad():
        y, final_state = gru(torch.from_numpy(x))
    return y.numpy(), final_state.numpy()


@pytest.mark.parametrize(("file", "target"), PAIRS)
def test_score_and_predictions_are_the_same_after_conversion(
    request: pytest.FixtureRequest, tmp_path: Path, file: str, target: str
) -> None:
    task = task_of(file)
    source = trained(file, task.test_x, request)
    convert(SAMPLES / file, tmp_path / target)

    outputs = last_hidden(tmp_path / target, task.test_x, request) @ source.head_kernel + source.head_bias

    np.testing.assert_allclose(outputs, source.outputs, rtol=0, atol=1e-5 * np.abs(source.outputs).max())
    assert score(file, outputs, task) == pytest.approx(RECORDED_SCORE[file], abs=1e-3)


def test_pytorch_cannot_hold_the_forecaster(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFeatureError, match="reset_after"):
        convert(SAMPLES / "sunspots_reset_before.h5", tmp_path / "gru.pt")
    assert list(tmp_path.iterdir()) == []
