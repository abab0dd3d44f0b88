"""Models in memory are traced by their own framework, in this process, and stay exactly as they were."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest

import grubridge
from grubridge.errors import (
    BackendError,
    DeviceError,
    InvalidSpecError,
    StackSelectionError,
    UnknownFormatError,
)
from grubridge.formats.base import ReadHints
from grubridge.live.onnx import to_model
from grubridge.spec import Array
from tests.torch_grus import random_cell, random_gru
from tests.zoo import member

RNG = np.random.default_rng(11)
X = RNG.standard_normal((3, 6, 5)).astype(np.float32)
LENGTHS = np.array([6, 2, 4])


def _numpys_dice() -> Array:
    state = np.random.get_state(legacy=False)["state"]["key"]  # noqa: NPY002
    return np.array(state)


def _proved(traced: grubridge.TracedModel) -> None:
    for place in traced.trace.places:
        proof = traced.recomposition(place)
        assert proof is not None
        assert proof.headroom < 1


@pytest.mark.parametrize("directions", [1, 2])
def test_the_states_are_what_the_module_itself_returns(torch: ModuleType, directions: int) -> None:
    gru = random_gru(num_layers=2, bidirectional=directions == 2, batch_first=True, dropout=0.5).eval()

    traced = grubridge.trace(gru, X)

    with torch.no_grad():
        output, _ = gru(torch.from_numpy(X))
    top = [made.hidden for (layer, _), made in traced.trace.places.items() if layer == 1]
    np.testing.assert_array_equal(np.concatenate(top, axis=-1), output.numpy())
    assert (traced.model, traced.stack) == ("GRU in memory", "gru")
    _proved(traced)


def test_a_torch_module_stays_as_it_is(torch: ModuleType) -> None:
    module = torch.nn.Sequential(torch.nn.Identity(), random_gru(num_layers=2, dropout=0.5))
    module.train()
    called: list[str] = []
    module[1].register_forward_hook(lambda *_: called.append("hook"))
    module[1].weight_hh_l0.grad = torch.ones_like(module[1].weight_hh_l0)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    objects = {name: id(value) for name, value in module.named_parameters()}
    dice = (torch.get_rng_state(), _numpys_dice(), random.getstate())
    switches = (torch.backends.cudnn.allow_tf32, torch.is_grad_enabled(), torch.get_num_threads())

    traced = grubridge.trace(module, X)

    assert traced.stack == "1"
    assert module.training
    assert module[1].training
    assert called == []
    assert objects == {name: id(value) for name, value in module.named_parameters()}
    assert all(value.requires_grad for value in module.parameters())
    assert torch.equal(module[1].weight_hh_l0.grad, torch.ones_like(module[1].weight_hh_l0))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), dice[0])
    assert np.array_equal(_numpys_dice(), dice[1])
    assert random.getstate() == dice[2]
    assert switches == (torch.backends.cudnn.allow_tf32, torch.is_grad_enabled(), torch.get_num_threads())


def test_a_torch_cell(torch: ModuleType) -> None:
    cell = random_cell()

    traced = grubridge.trace(cell, X)

    with torch.no_grad():
        state = torch.zeros(3, 7)
        for t in range(6):
            state = cell(torch.from_numpy(X[:, t]), state)
    np.testing.assert_array_equal(traced[0, "forward"].hidden[:, -1], state.numpy())


def test_one_of_several_torch_grus(torch: ModuleType) -> None:
    module = torch.nn.ModuleDict({"a": random_gru(seed=1), "b": torch.nn.ModuleList([random_gru(seed=2)])})

    chosen = grubridge.trace(module, X, stack="b.0")

    np.testing.assert_array_equal(
        chosen[0, "forward"].hidden, grubridge.trace(module["b"][0], X)[0, "forward"].hidden
    )
    with pytest.raises(StackSelectionError) as caught:
        grubridge.trace(module, X)
    assert str(caught.value) == "this ModuleDict: it holds 2 GRUs: a, b.0; choose one with stack=NAME"
    with pytest.raises(
        StackSelectionError, match=r"no GRU is called 'b\.1'\. Did you mean 'b\.0'\? It holds"
    ):
        grubridge.trace(module, X, stack="b.1")
    with pytest.raises(StackSelectionError, match=r"^this Linear: it holds no GRU that grubridge knows$"):
        grubridge.trace(torch.nn.Linear(2, 2))


def test_what_a_model_in_memory_refuses(torch: ModuleType) -> None:
    del torch
    gru = random_gru()

    with pytest.raises(
        BackendError, match=r"^a model in memory runs in its own framework, pytorch, or by the"
    ):
        grubridge.trace(gru, X, backend="keras")
    with pytest.raises(DeviceError, match=r"^the model in memory is on cpu and runs there; received device"):
        grubridge.trace(gru, X, device="cuda")
    with pytest.raises(UnknownFormatError, match=r"^hints are for Keras weights files"):
        grubridge.trace(gru, X, hints=ReadHints(activation="relu"))


def test_the_equations_of_a_model_in_memory(torch: ModuleType) -> None:
    del torch
    gru = random_gru()

    expected, ran = grubridge.trace(gru, X, backend="reference"), grubridge.trace(gru, X, backend="pytorch")

    assert expected.trace.dtype == "float64"
    np.testing.assert_allclose(ran[0, "forward"].hidden, expected[0, "forward"].hidden, rtol=0, atol=1e-6)


Layers = Any
KERAS: dict[str, Callable[[Layers], Any]] = {
    "gru": lambda layers: layers.GRU(4),
    "reset before": lambda layers: layers.GRU(4, reset_after=False, return_sequences=True, dropout=0.5),
    "backwards": lambda layers: layers.GRU(4, go_backwards=True, return_sequences=True),
    "bidirectional": lambda layers: layers.Bidirectional(layers.GRU(4, return_sequences=True)),
    "stateful": lambda layers: layers.GRU(4, stateful=True),
    "stacked cells": lambda layers: layers.RNN(
        layers.StackedRNNCells([layers.GRUCell(4), layers.GRUCell(3)])
    ),
}


@pytest.fixture(params=["keras", "tf_keras"])
def framework(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.getfixturevalue(request.param)
    return module


def _built(layer: Any, *, batch: int | None = None) -> Any:
    layer.build((batch, None, 5))
    rng = np.random.default_rng(2)
    layer.set_weights([rng.normal(size=weight.shape) * 0.5 for weight in layer.get_weights()])
    return layer


@pytest.mark.parametrize("kind", KERAS)
def test_a_keras_layer_is_traced_as_its_spec_says(framework: ModuleType, kind: str) -> None:
    layer = _built(KERAS[kind](framework.layers), batch=3 if kind == "stateful" else None)

    given = {"x": X, "lengths": LENGTHS}
    traced, expected = grubridge.trace(layer, given), grubridge.trace(layer, given, backend="reference")

    assert traced.trace.backend == "keras"
    assert list(traced.trace.places) == list(expected.trace.places)
    valid = np.arange(6) < LENGTHS[:, None]
    for place, made in traced.trace.places.items():
        assert made.gates is not None
        ideal = expected[place].arrays()
        for name, array in made.arrays().items():
            which: Any = Ellipsis if name == "initial_state" else valid
            np.testing.assert_allclose(array[which], ideal[name][which], rtol=0, atol=2e-6, err_msg=name)
    _proved(traced)


def test_the_states_are_what_the_layer_itself_returns(framework: ModuleType) -> None:
    layer = _built(framework.layers.GRU(4, return_sequences=True))

    np.testing.assert_allclose(
        grubridge.trace(layer, X)[0, "forward"].hidden, np.asarray(layer(X)), rtol=0, atol=1e-6
    )


def test_a_keras_model_stays_as_it_is(framework: ModuleType) -> None:
    layers = framework.layers
    model = framework.Sequential(
        [
            framework.Input((None,)),
            layers.Embedding(9, 5),
            layers.GRU(4, name="memory", dropout=0.5),
            layers.Dense(2),
        ]
    )
    weights = [weight.copy() for weight in model.get_weights()]
    config, listed = model.get_config(), [id(layer) for layer in model.layers]
    tokens = np.arange(12).reshape(3, 4) % 9
    answer = np.asarray(model(tokens))
    random.seed(5)
    dice = (random.getstate(), _numpys_dice())

    traced = grubridge.trace(model, X)

    assert traced.stack == "memory"
    assert random.getstate() == dice[0]
    assert np.array_equal(_numpys_dice(), dice[1])
    assert model.get_config() == config
    assert [id(layer) for layer in model.layers] == listed
    assert not model.get_layer("memory").return_sequences
    assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), weights, strict=True))
    np.testing.assert_array_equal(np.asarray(model(tokens)), answer)


def test_the_grus_of_a_keras_model_are_those_of_its_file(framework: ModuleType, tmp_path: Path) -> None:
    layers = framework.layers
    model = framework.Sequential(
        [
            framework.Input((None, 5)),
            layers.GRU(4, name="low", return_sequences=True),
            layers.Bidirectional(layers.GRU(3, return_sequences=True), name="high"),
            layers.Dense(5, name="between"),
            framework.Sequential([layers.GRU(6, name="deep")], name="inner"),
        ]
    )
    path = tmp_path / ("model.keras" if framework.__name__ == "keras" else "model.h5")
    model.save(path)
    names = grubridge.list_stacks(path)

    with pytest.raises(StackSelectionError) as caught:
        grubridge.trace(model, X)
    assert str(caught.value) == (
        "this Sequential: it holds 2 GRUs: low:high, inner/deep, low, high; choose one with stack=NAME"
    )
    assert [name for name in caught.value.candidates if name in names] == list(names)
    for name in (*names, "low"):
        live = grubridge.trace(model, X if name != "high" else None, stack=name)
        filed = grubridge.trace(path, live.probe.x, stack=name, backend="reference")
        assert live.stack == filed.stack
        for place in filed.trace.places:
            np.testing.assert_allclose(live[place].hidden, filed[place].hidden, rtol=0, atol=2e-6)


def test_a_model_class_of_the_users_own(framework: ModuleType) -> None:
    class Reader(framework.Model):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = framework.layers.GRU(4, name="first")
            self.second = framework.Sequential([framework.layers.GRU(3, name="second")], name="part")

        def call(self, x: Array) -> Array:
            return self.first(x) + self.second(x).sum()  # type: ignore[no-any-return]

    model = Reader()
    model.first.build((None, None, 5))
    model.second.build((None, None, 5))

    assert grubridge.trace(model, X, stack="first").spec.layers[0].hidden_size == 4
    assert grubridge.trace(model, X, stack="part/second").spec.layers[0].hidden_size == 3


def test_a_keras_layer_must_have_weights(framework: ModuleType) -> None:
    with pytest.raises(InvalidSpecError, match="has no weights yet; build it first"):
        grubridge.trace(framework.layers.GRU(4, name="raw"), X)
    with pytest.raises(StackSelectionError, match=r"^this Dense: it holds no GRU that grubridge knows$"):
        grubridge.trace(framework.layers.Dense(4))


def test_an_onnx_model_is_traced_as_its_file_is(onnxruntime: ModuleType, tmp_path: Path) -> None:
    del onnxruntime
    spec = member("two_layers_bidirectional")
    grubridge.write(spec, tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    before = model.SerializeToString(deterministic=True)

    live, filed = grubridge.trace(model), grubridge.trace(tmp_path / "a.onnx")

    assert (live.model, live.stack) == ("ModelProto in memory", "gru_0:gru_1")
    assert model.SerializeToString(deterministic=True) == before
    for place, made in filed.trace.places.items():
        for name, array in made.arrays().items():
            np.testing.assert_array_equal(live[place].arrays()[name], array, err_msg=name)
    assert grubridge.trace(to_model(spec), stack="gru_1").spec.input_size == 10
