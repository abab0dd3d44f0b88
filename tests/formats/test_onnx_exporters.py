"""Models as torch's two exporters and tf2onnx write them: the weights' own bits, and chains as one stack."""

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.formats.base import ReadHints, StackEntry
from grubridge.formats.onnx import adapter as onnx
from grubridge.formats.readback import differences
from grubridge.live.pytorch import from_module
from grubridge.spec import Array
from tests.torch_grus import random_gru, randomize

VARIANTS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "batch first": {"batch_first": True},
    "no bias": {"bias": False, "num_layers": 2},
    "bidirectional": {"bidirectional": True},
    "two layers, bidirectional, batch first": {"num_layers": 2, "bidirectional": True, "batch_first": True},
    "three layers": {"num_layers": 3},
    "float16": {"dtype": "float16", "num_layers": 2},
    "float64": {"dtype": "float64", "bidirectional": True},
}


def _export(torch: ModuleType, module: Any, arguments: tuple[Any, ...], path: Path, **how: Any) -> None:
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), arguments, str(path), **how)


def _only(path: Path) -> StackEntry:
    (entry,) = onnx.contents(path, ReadHints()).stacks
    return entry


EXPORTS = [
    *((name, with_state, False) for name in VARIANTS for with_state in (False, True)),
    *(("two layers, bidirectional, batch first", with_state, True) for with_state in (False, True)),
    ("no bias", False, True),
]


@pytest.mark.parametrize(("name", "with_state", "dynamo"), EXPORTS)
def test_torch(torch: ModuleType, tmp_path: Path, name: str, *, with_state: bool, dynamo: bool) -> None:
    module = random_gru(**VARIANTS[name])
    dtype = module.weight_ih_l0.dtype
    batch_axis = 0 if module.batch_first else 1
    x = torch.zeros([2, 4, 5] if module.batch_first else [4, 2, 5], dtype=dtype)
    directions = 2 if module.bidirectional else 1
    state = torch.zeros([directions * module.num_layers, 2, 7], dtype=dtype)
    how: dict[str, Any] = {"dynamo": dynamo}
    if not dynamo:
        how |= {"input_names": ["x"], "dynamic_axes": {"x": {batch_axis: "batch", 1 - batch_axis: "time"}}}
    _export(torch, module, (x, state) if with_state else (x,), tmp_path / "m.onnx", **how)

    entry = _only(tmp_path / "m.onnx")

    assert differences(entry.read(), from_module(module)) == ()
    assert len(entry.members) == (module.num_layers if module.num_layers > 1 else 0)
    assert entry.read().io.time_major != module.batch_first
    notes = entry.read().source.notes  # type: ignore[union-attr]
    assert len(notes) == (module.num_layers if with_state else 0)
    assert all("initial_h comes from the model's input" in note for note in notes)


@pytest.mark.parametrize("folding", [True, False])
def test_torch_without_constant_folding(torch: ModuleType, tmp_path: Path, *, folding: bool) -> None:
    module = random_gru(num_layers=2, bidirectional=True)
    how = {"dynamo": False, "do_constant_folding": folding}
    _export(torch, module, (torch.zeros(4, 2, 5),), tmp_path / "m.onnx", **how)

    assert differences(_only(tmp_path / "m.onnx").read(), from_module(module)) == ()


@pytest.mark.parametrize("dynamo", [False, True], ids=["TorchScript", "dynamo"])
def test_a_learned_initial_state_of_torch(torch: ModuleType, tmp_path: Path, *, dynamo: bool) -> None:
    class Learned(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.gru = random_gru(num_layers=2, bidirectional=True)
            self.state = torch.nn.Parameter(torch.zeros(4, 1, 7))
            randomize(self, seed=3)

        def forward(self, x: Any) -> Any:
            return self.gru(x, self.state.expand(-1, x.shape[1], -1).contiguous())

    module = Learned()
    axes: dict[str, Any] = {"input_names": ["x"], "dynamic_axes": {"x": {0: "time", 1: "batch"}}}
    how = {"dynamo": True} if dynamo else {"dynamo": False, **axes}
    _export(torch, module, (torch.zeros(4, 3, 5),), tmp_path / "m.onnx", **how)

    spec = _only(tmp_path / "m.onnx").read()

    states = [direction.initial_state for _, _, direction in spec.directions()]
    for state, learned in zip(states, module.state.detach().numpy()[:, 0], strict=True):
        assert state is not None
        assert np.array_equal(state, learned)


def test_lengths_of_torch(torch: ModuleType, tmp_path: Path) -> None:
    class Packed(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.gru = random_gru(bidirectional=True)

        def forward(self, x: Any, lengths: Any) -> Any:
            packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=True)
            return torch.nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0])[0]

    module = Packed()
    arguments = (torch.zeros(4, 2, 5), torch.tensor([4, 2]))
    _export(torch, module, arguments, tmp_path / "m.onnx", dynamo=False)

    spec = _only(tmp_path / "m.onnx").read()

    assert differences(spec, from_module(module.gru)) == ()
    assert spec.io.masking


def _keras_2_models(tf_keras: ModuleType) -> dict[str, list[Any]]:
    layers = tf_keras.layers

    def gru(units: int, **how: Any) -> Any:
        return layers.GRU(units, return_sequences=True, bias_initializer="uniform", **how)

    return {
        "two layers": [gru(4), layers.GRU(5)],
        "bidirectional": [layers.Bidirectional(gru(4)), layers.Bidirectional(gru(5))],
    }


@pytest.mark.parametrize("name", ["two layers", "bidirectional"])
def test_keras_2_through_tf2onnx(tf_keras: ModuleType, tmp_path: Path, name: str) -> None:
    tf2onnx = pytest.importorskip("tf2onnx")
    tensorflow = pytest.importorskip("tensorflow")
    model = tf_keras.Sequential(_keras_2_models(tf_keras)[name])
    model.build((None, None, 3))
    signature = [tensorflow.TensorSpec([None, None, 3], tensorflow.float32, name="x")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf2onnx.convert.from_keras(model, input_signature=signature, output_path=str(tmp_path / "m.onnx"))

    entry = _only(tmp_path / "m.onnx")
    spec = entry.read()

    assert len(entry.members) == 2
    directions = [direction for _, _, direction in spec.directions()]
    assert all(layer.reset_after for layer in spec.layers)
    arrays = [array.numpy() for array in model.weights]
    for index, direction in enumerate(directions):
        kernel_zrn, recurrent_zrn, bias_zrn = arrays[3 * index : 3 * index + 3]
        _assert_is_keras(direction, kernel_zrn, recurrent_zrn, bias_zrn)


def _assert_is_keras(direction: Any, kernel_zrn: Array, recurrent_zrn: Array, bias_zrn: Array) -> None:
    units = direction.hidden_size
    for block, gate in enumerate(("update", "reset", "candidate")):
        columns = slice(block * units, block * units + units)
        assert np.array_equal(getattr(direction.input_weight, gate), kernel_zrn[:, columns].T)
        assert np.array_equal(getattr(direction.recurrent_weight, gate), recurrent_zrn[:, columns].T)
        assert np.array_equal(getattr(direction.input_bias, gate), bias_zrn[0, columns])
        assert np.array_equal(getattr(direction.recurrent_bias, gate), bias_zrn[1, columns])


def test_keras_3_exports_a_loop(keras: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx")
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(4, name="recurrent")])
    model(np.zeros((1, 2, 3), np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.export(str(tmp_path / "m.onnx"), format="onnx", verbose=False)

    found = onnx.contents(tmp_path / "m.onnx", ReadHints())

    assert found.stacks == ()
    (other,) = found.others
    assert other.startswith("Loop '")
    assert other.endswith("(Keras 3 and tf2onnx export GRUs as loops)")
