"""Keras layers in memory: what they compute is what their spec says, and back."""

import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.errors import InvalidSpecError, MissingDependencyError, UnsupportedFeatureError
from grubridge.formats.keras.adapter import CAPABILITIES
from grubridge.formats.keras.plan import stored_spec
from grubridge.formats.readback import differences
from grubridge.live.keras import from_layer, to_cell, to_layer
from grubridge.reference import cell, one_step
from grubridge.spec import GRUSpec, StackIO, hard_sigmoid, unsupported
from tests.keras_grus import VARIANTS, largest_difference, sequential
from tests.zoo import ZOO, make_spec, member

HELD = [spec for spec in ZOO if not unsupported(spec, CAPABILITIES, "Keras")]
CELLS = [spec for spec in HELD if len(spec.layers) == 1 and not spec.layers[0].backward]
TOLERANCES = {"float64": 1e-12, "float32": 1e-6, "float16": 2e-3, "bfloat16": 2e-2}


@pytest.fixture(params=["keras", "tf_keras"])
def framework(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.getfixturevalue(request.param)
    return module


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_layer_is_the_function_that_its_spec_says(framework: ModuleType, variant: str) -> None:
    model = sequential(framework, "float64", VARIANTS[variant])

    spec = from_layer(model.layers[0])

    assert spec.name == model.layers[0].name
    assert largest_difference(model, spec) < 1e-12


def test_a_sequential_of_grus_is_a_stack(framework: ModuleType) -> None:
    model = sequential(
        framework,
        "float64",
        lambda layers: layers.Bidirectional(layers.GRU(4, return_sequences=True)),
        lambda layers: layers.GRU(5),
    )

    spec = from_layer(model)

    assert [layer.hidden_size for layer in spec.layers] == [4, 5]
    assert largest_difference(model, spec) < 1e-12


def test_a_cell_is_one_step(framework: ModuleType) -> None:
    made = framework.layers.GRUCell(5, recurrent_activation="hard_sigmoid")
    made.build((None, 3))
    rng = np.random.default_rng(0)
    made.set_weights([rng.normal(size=weight.shape) for weight in made.get_weights()])
    x, h = (rng.normal(size=(2, size)).astype(np.float32) for size in (3, 5))
    as_tensor = getattr(framework.backend, "constant", np.asarray)

    spec = from_layer(made)

    (layer,) = spec.layers
    assert layer.forward is not None
    _, expected = one_step(cell(layer, layer.forward), x.astype(np.float64), h.astype(np.float64))
    assert np.abs(np.asarray(made(as_tensor(x), as_tensor(h))[0]) - expected).max() < 1e-6
    slope = 1 / 6 if framework.__name__ == "keras" else 0.2
    assert layer.forward.gate_activation == hard_sigmoid(slope)


@pytest.mark.parametrize("spec", HELD, ids=lambda spec: spec.name)
def test_a_spec_is_the_function_of_its_layer(keras: ModuleType, spec: GRUSpec) -> None:
    stored, _ = stored_spec(spec)

    layer = to_layer(spec)

    both = len(list(spec.layers[0].directions())) == 2
    alone = keras.layers.Bidirectional if both else keras.layers.GRU
    assert isinstance(layer, alone if len(spec.layers) == 1 else keras.Sequential)
    assert differences(stored, from_layer(layer)) == ()
    if spec.dtype.name in ("float32", "float64"):
        assert largest_difference(layer, stored) < TOLERANCES[spec.dtype.name]


@pytest.mark.parametrize("spec", CELLS, ids=lambda spec: spec.name)
def test_a_spec_makes_a_cell(keras: ModuleType, spec: GRUSpec) -> None:
    made = to_cell(spec)

    assert isinstance(made, keras.layers.GRUCell)
    assert differences(stored_spec(spec)[0], from_layer(made)) == ()


def test_wiring_comes_along(keras: ModuleType) -> None:
    io = StackIO(return_sequences=False, merge_mode="ave")

    layer = to_layer(replace(member("bidirectional"), io=io))

    assert from_layer(layer).io == io
    assert isinstance(layer, keras.layers.Bidirectional)


def _own(keras: ModuleType) -> Any:
    class GRU(keras.layers.GRU):  # type: ignore[misc, name-defined]
        pass

    return GRU(3)


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda keras: keras.layers.LSTM(3), "received a LSTM"),
        (
            lambda keras: keras.Sequential([keras.layers.GRU(3), keras.layers.Dense(2)]),
            "received a Sequential",
        ),
        (lambda _: "gru", "received a str of builtins"),
        (_own, "received a GRU of tests"),
    ],
)
def test_what_is_no_gru_layer_is_refused(keras: ModuleType, make: Any, received: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        from_layer(make(keras))

    assert str(caught.value).startswith(
        "expected a built GRU, GRUCell, RNN of GRUCells, Bidirectional of them"
    )
    assert received in str(caught.value)


def test_a_layer_without_weights_is_refused(keras: ModuleType) -> None:
    with pytest.raises(InvalidSpecError, match="g has no weights yet; build it first, or call it once"):
        from_layer(keras.layers.GRU(3, name="g"))


def test_layers_that_do_not_hand_on_sequences_are_no_stack(keras: ModuleType) -> None:
    model = keras.Sequential(
        [keras.layers.GRU(3, go_backwards=True, return_sequences=True), keras.layers.GRU(3)]
    )
    model.build((None, 7, 3))

    with pytest.raises(InvalidSpecError, match="every layer but the last must return sequences, forwards"):
        from_layer(model)


def test_what_keras_cannot_compute_is_refused_with_every_reason(keras: ModuleType) -> None:
    assert keras.__version__.startswith("3.")
    with pytest.raises(
        UnsupportedFeatureError, match=r"Keras cannot compute clip: .*has no clip; write ONNX"
    ):
        to_layer(member("clip"))
    with pytest.raises(UnsupportedFeatureError) as caught:
        to_layer(make_spec("below", sizes=(3, 4, 4), directions="backward", initial_state=True))
    state, backwards = caught.value.features
    assert state.startswith("every layer: it carries a learned initial state, and Keras has no place for one")
    assert backwards.startswith("a layer below another runs backwards only")
    with pytest.raises(UnsupportedFeatureError, match="a cell has one layer and runs forward; use to_layer"):
        to_cell(member("bidirectional"))


def test_keras_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)

    with pytest.raises(MissingDependencyError, match=r"pip install 'grubridge\[tensorflow\]'") as caught:
        to_layer(member("reset_after"))

    assert caught.value.extra == "tensorflow"
