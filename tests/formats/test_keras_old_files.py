"""Files of Keras 1 and early Keras 2, which no Keras writes today: made by hand from the published rules."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.errors import CorruptFileError
from grubridge.formats.base import ReadHints
from grubridge.formats.keras import adapter
from grubridge.formats.readback import differences
from grubridge.spec import Activation, Array, GRUSpec, hard_sigmoid
from tests.keras_files import legacy_file
from tests.keras_grus import largest_difference, randomise

INPUT, H = 3, 4


def _random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).uniform(-0.7, 0.7, shape).astype(np.float32)


def _gru_arrays(name: str, bias_shape: tuple[int, ...] | None = (3 * H,), seed: int = 0) -> dict[str, Array]:
    made = {
        f"{name}/kernel:0": _random(INPUT, 3 * H, seed=seed),
        f"{name}/recurrent_kernel:0": _random(H, 3 * H, seed=seed),
    }
    return made if bias_shape is None else {**made, f"{name}/bias:0": _random(*bias_shape, seed=seed)}


def _keras_1_arrays(name: str, seed: int = 0) -> dict[str, Array]:
    shapes = {"W": (INPUT, H), "U": (H, H), "b": (H,)}
    return {
        f"{name}_{part}_{gate}": _random(*shapes[part], seed=10 * seed + index)
        for index, gate in enumerate("zrh")
        for part in "WUb"
    }


def _config(name: str = "gru_1", **settings: Any) -> dict[str, Any]:
    given = {"activation": "tanh", "recurrent_activation": "hard_sigmoid", "use_bias": True, **settings}
    return {"class_name": "GRU", "config": {"name": name, "units": H, "return_sequences": True, **given}}


def _sequential(*layers: Any) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": list(layers)}  # a bare list until Keras 2.2.2


def _read(path: Path, hints: ReadHints | None = None) -> GRUSpec:
    (entry,) = adapter.contents(path, hints or ReadHints()).stacks
    return entry.read()


def _keras_2_layer(tf_keras: ModuleType, weights: list[Array], **settings: Any) -> Any:
    layer = tf_keras.layers.GRU(H, return_sequences=True, **settings)
    layer.build((None, None, INPUT))
    layer.set_weights(weights)
    return layer


KERAS_1_LAYER = {
    "class_name": "GRU",
    "config": {
        "name": "gru_1",
        "output_dim": H,
        "activation": "tanh",
        "inner_activation": "hard_sigmoid",
        "return_sequences": True,
        "consume_less": "cpu",
    },
}


def _converted(tf_keras: ModuleType, arrays: list[Array], version: str, **settings: Any) -> Any:
    """Return a Keras 2 layer with old weights, converted by Keras's own rule."""
    from tf_keras.src.saving.legacy.hdf5_format import preprocess_weights_for_loading

    layer = tf_keras.layers.GRU(H, return_sequences=True, **settings)
    layer.build((None, None, INPUT))
    layer.set_weights(preprocess_weights_for_loading(layer, arrays, version, "tensorflow"))
    return layer


@pytest.mark.parametrize("with_model", [True, False])
def test_nine_arrays_of_keras_1(tf_keras: ModuleType, tmp_path: Path, *, with_model: bool) -> None:
    arrays = _keras_1_arrays("gru_1")
    model = _sequential(KERAS_1_LAYER) if with_model else None
    path = legacy_file(tmp_path / "old.h5", {"gru_1": arrays}, model=model)

    spec = _read(path)

    settings = {"reset_after": False, "recurrent_activation": "hard_sigmoid"}
    assert largest_difference(_converted(tf_keras, list(arrays.values()), "1", **settings), spec) < 1e-6
    assert spec.source is not None
    assert spec.source.framework == "keras 1"


def test_both_halves_of_keras_1(tf_keras: ModuleType, tmp_path: Path) -> None:
    halves = [_keras_1_arrays(f"{way}_gru_1", seed=seed) for seed, way in enumerate(("forward", "backward"))]
    wrapper = {"class_name": "Bidirectional", "config": {"name": "both", "layer": KERAS_1_LAYER}}
    files = [
        legacy_file(tmp_path / f"{name}.h5", {"both": {**halves[0], **halves[1]}}, model=model)
        for name, model in (("whole", _sequential(wrapper)), ("weights", None))
    ]

    whole, weights = (_read(path) for path in files)

    settings = {"reset_after": False, "recurrent_activation": "hard_sigmoid"}
    forward, backward = (_converted(tf_keras, list(half.values()), "1", **settings) for half in halves)
    gru = tf_keras.layers.GRU(H, return_sequences=True, **settings)
    both = tf_keras.layers.Bidirectional(gru)
    both.build((None, None, INPUT))
    both.set_weights(forward.get_weights() + backward.get_weights())
    assert largest_difference(both, whole) < 1e-6
    assert differences(whole, weights) == ()


@pytest.mark.parametrize("with_model", [True, False])
def test_cudnn_gru_is_converted_as_keras_does(
    tf_keras: ModuleType, tmp_path: Path, *, with_model: bool
) -> None:
    arrays = _gru_arrays("cu_dnngru_1", (6 * H,))
    entry = {
        "class_name": "CuDNNGRU",
        "config": {"name": "cu_dnngru_1", "units": H, "return_sequences": True},
    }
    model = _sequential(entry) if with_model else None
    path = legacy_file(tmp_path / "gpu.h5", {"cu_dnngru_1": arrays}, model=model, version="2.2.4")

    spec = _read(path)

    assert largest_difference(_converted(tf_keras, list(arrays.values()), "2.2.4"), spec) < 1e-6
    (stack,) = adapter.contents(path, ReadHints()).stacks
    assert stack.layout.rows == "output"
    notes = () if spec.source is None else spec.source.notes
    assert not any("activations" in note for note in notes)  # a CuDNNGRU has no others than tanh and sigmoid


def test_reset_after_is_false_where_it_is_missing(tf_keras: ModuleType, tmp_path: Path) -> None:
    arrays = _gru_arrays("gru_1")
    path = legacy_file(tmp_path / "old.h5", {"gru_1": arrays}, model=_sequential(_config()), version="2.1.2")

    spec = _read(path)

    layer = _keras_2_layer(
        tf_keras, list(arrays.values()), reset_after=False, recurrent_activation="hard_sigmoid"
    )
    assert largest_difference(layer, spec) < 1e-6


@pytest.mark.parametrize("version", ["1.2.2", "2.2.4", "2.11.0", "2.2.4-tf", "3.0.0"])
def test_hard_sigmoid_is_that_of_the_keras_that_wrote_the_file(tmp_path: Path, version: str) -> None:
    model = _sequential(_config(reset_after=False))
    path = legacy_file(tmp_path / "m.h5", {"gru_1": _gru_arrays("gru_1")}, model=model, version=version)

    (_, _, direction), *_ = _read(path).directions()

    assert direction.gate_activation == hard_sigmoid(1 / 6 if version == "3.0.0" else 0.2)


@pytest.mark.parametrize(
    ("version", "bias_shape", "gate", "reset_after"),
    [
        ("2.2.4", (3 * H,), "hard_sigmoid", False),
        ("2.2.4", None, "hard_sigmoid", False),
        ("2.2.4-tf", (3 * H,), "hard_sigmoid", False),
        ("2.2.4-tf", (2, 3 * H), "sigmoid", True),
        ("2.3.1", (3 * H,), "sigmoid", False),
        ("2.3.1", None, "sigmoid", True),
        ("2.15.0", (2, 3 * H), "sigmoid", True),
    ],
)
def test_what_weights_do_not_say_is_the_default_of_their_keras(
    tmp_path: Path, version: str, bias_shape: tuple[int, ...] | None, gate: str, *, reset_after: bool
) -> None:
    path = legacy_file(tmp_path / "w.h5", {"g": _gru_arrays("g", bias_shape)}, version=version)

    spec = _read(path)

    (_, _, direction), *_ = spec.directions()
    assert direction.gate_activation.name == gate
    assert spec.layers[0].reset_after == reset_after
    assert spec.source is not None
    said = f"assumed activation=tanh and recurrent_activation={gate}, as in Keras {version}"
    assert said in spec.source.notes[0]
    reset = f"no bias shows reset_after: assumed {reset_after}, as in Keras {version}; or say"
    assert (f"{reset} --reset-after" in spec.source.notes) == (bias_shape is None)


def test_one_hint_leaves_the_other_assumed(tmp_path: Path) -> None:
    path = legacy_file(tmp_path / "w.h5", {"g": _gru_arrays("g")}, version="2.2.4")

    spec = _read(path, ReadHints(recurrent_activation="sigmoid"))

    (_, _, direction), *_ = spec.directions()
    assert direction.gate_activation == Activation("sigmoid")
    assert spec.source is not None
    assert spec.source.notes[0] == (
        "weights alone do not say activations: assumed activation=tanh, as in Keras 2.2.4; "
        "or say --activation"
    )


def test_long_lists_of_names_come_in_pieces(tmp_path: Path) -> None:
    layers = {f"gru_{index}": _gru_arrays(f"gru_{index}", seed=index) for index in (9, 10, 11)}
    path = legacy_file(tmp_path / "w.h5", layers, version="2.4.0", names_in_pieces=True)

    names = [entry.name for entry in adapter.contents(path, ReadHints()).stacks]

    assert names == ["gru_9", "gru_10", "gru_11"]


def test_layers_of_a_nested_model_are_told_by_the_scopes_of_weights(tmp_path: Path) -> None:
    arrays = {**_gru_arrays("one/gru_cell_1", seed=1), **_gru_arrays("two/gru_cell_2", seed=2)}
    path = legacy_file(tmp_path / "w.h5", {"inner": arrays}, version="2.9.0")

    stacks = adapter.contents(path, ReadHints()).stacks

    assert [entry.name for entry in stacks] == ["inner/one", "inner/two"]
    assert [layer["path"] for entry in stacks for layer in entry.address["layers"]] == [
        ["inner", "one"],
        ["inner", "two"],
    ]


@pytest.mark.parametrize(("reset_after", "shape"), [(True, "[3H]"), (False, "[2, 3H]")])
def test_a_bias_that_contradicts_reset_after_is_an_error(
    tmp_path: Path, *, reset_after: bool, shape: str
) -> None:
    arrays = _gru_arrays("gru_1", (3 * H,) if shape == "[3H]" else (2, 3 * H))
    model = _sequential(_config(reset_after=reset_after))
    path = legacy_file(tmp_path / "m.h5", {"gru_1": arrays}, model=model, version="2.4.0")

    with pytest.raises(CorruptFileError) as caught:
        _read(path)

    assert str(caught.value) == (
        f"{path}, gru_1: the configuration says reset_after={reset_after}, but the bias has the shape of "
        f"reset_after={not reset_after}; configuration and weights are of two different models"
    )


def test_a_model_of_tensorflow_1_may_be_time_major(tmp_path: Path) -> None:
    model = _sequential(_config(time_major=True, stateful=True, return_state=True, reset_after=False))
    path = legacy_file(tmp_path / "m.h5", {"gru_1": _gru_arrays("gru_1")}, model=model, version="2.2.4-tf")

    io = _read(path).io

    assert (io.time_major, io.stateful, io.return_state, io.return_sequences) == (True,) * 4


def test_v1_gru_of_tensorflow_1_is_the_function_that_was_saved(tf_keras: ModuleType, tmp_path: Path) -> None:
    from tf_keras.src.layers.rnn.gru_v1 import GRU

    model = randomise(tf_keras.Sequential([tf_keras.Input((7, INPUT)), GRU(H, return_sequences=True)]))
    with pytest.warns(UserWarning, match="legacy"):
        model.save(tmp_path / "v1.h5")

    assert largest_difference(model, _read(tmp_path / "v1.h5")) < 1e-6
