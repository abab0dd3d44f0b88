"""Layers that Keras cannot or may not open itself are rebuilt from the arrays in the file, and say so."""

from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from grubridge.errors import CannotRunError
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Trace
from tests.backends.agreement import assert_agrees, make_probe
from tests.backends.keras_models import (
    Case,
    Models,
    Runs,
    address,
    arguments,
    arrays_of,
    cell_arrays,
    gru,
    layer_at,
    run_cases,
)
from tests.zoo import make_spec, member

PLAIN = member("reset_after")
NO_BIAS = member("no_bias")
BOTH = member("hard_sigmoid_keras_3")
STACK = member("three_layers_reset_before")
OLD = member("hard_sigmoid_keras_2")
NARROW = make_spec("narrow", dtype="bfloat16", sizes=(4, 7), seed=51)
LAMBDA = "which grubridge lets no Keras load because it might run code"


def _vars(group: str, count: int) -> list[str]:
    return [f"{group}/vars/{index}" for index in range(count)]


def _weights_only(keras: ModuleType, folder: Path) -> dict[str, Case]:
    """Weights of Keras 3: a GRU, a Bidirectional, stacked cells, and bfloat16, which HDF5 has no name for."""
    models = Models(keras, folder)
    layers, cases = keras.layers, {}

    def save(name: str, spec: GRUSpec, layer: Any, arrays: list[Array], *entries: dict[str, Any]) -> None:
        model = models.sequential(spec.input_size, layer)
        layer.set_weights(arrays)
        path = folder / f"{name}.weights.h5"
        model.save_weights(path)
        cases[name] = spec, make_probe(spec), path, address("keras3-weights", "keras 3", *entries)

    for name, spec in (("plain", PLAIN), ("no_bias", NO_BIAS), ("narrow", NARROW)):
        layer = spec.layers[0]
        own = {"forward": _vars("layers/gru/cell", len(arrays_of(layer)))}
        entry = layer_at(["layers", "gru"], "GRU", arguments(layer), own)
        save(name, spec, gru(layers, layer, name), arrays_of(layer), entry)
    (layer,) = BOTH.layers
    halves = {way: _vars(f"layers/bidirectional/{way}_layer/cell", 3) for way in ("forward", "backward")}
    config = {"layer": {"class_name": "GRU", "config": arguments(layer)}}
    wrapper = layer_at(["layers", "bidirectional"], "Bidirectional", config, halves)
    save("both", BOTH, gru(layers, layer, "both"), arrays_of(layer), wrapper)
    rnn = layers.RNN([layers.GRUCell(**arguments(layer)) for layer in STACK.layers], return_sequences=True)
    cells = [{"class_name": "GRUCell", "config": arguments(layer)} for layer in STACK.layers]
    config = {"cell": {"class_name": "StackedRNNCells", "config": {"cells": cells}}}
    groups = [f"layers/rnn/cell/cells/gru_cell{end}" for end in ("", "_1", "_2")]
    entries = [
        layer_at(["layers", "rnn"], "RNN", config, {"forward": _vars(group, 3)}, k)
        for k, group in enumerate(groups)
    ]
    save("stacked", STACK, rnn, [array for layer in STACK.layers for array in arrays_of(layer)], *entries)
    return cases


def _with_lambda(models: Models, name: str, marker: Path) -> None:
    """Add a model with a Lambda layer that would make a file."""
    keras = models.keras
    layer = gru(keras.layers, PLAIN.layers[0], "gru")
    code = f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]"
    harmful = keras.layers.Lambda(eval(code), name="harmful")  # noqa: S307 - Keras stores no closure
    model = models.sequential(PLAIN.input_size, layer, harmful)
    layer.set_weights(arrays_of(PLAIN.layers[0]))
    models.save(name, model, PLAIN, models.stored(layer, ["gru"]))
    spec, probe, path, where = models.cases[name]
    where["layers"][0]["datasets"] = {"forward": _vars("layers/gru/cell", 3)}
    if path.suffix == ".h5":
        with h5py.File(path, "r") as file:
            names = file["model_weights/gru"].attrs["weight_names"]
            stored = [f"model_weights/gru/{one.decode() if isinstance(one, bytes) else one}" for one in names]
        where["layers"][0]["datasets"] = {"forward": stored}
    models.cases[name] = spec, probe, path, where
    marker.unlink(missing_ok=True)


def _by_hand(folder: Path) -> dict[str, Case]:
    """Files whose Keras is not to be had: the nine arrays of Keras 1, and CuDNNGRU."""
    (layer,) = OLD.layers
    forward = layer.forward
    assert forward is not None
    assert forward.input_bias is not None
    nine = [
        array
        for gate in ("update", "reset", "candidate")
        for array in (
            forward.input_weight[gate].T,
            forward.recurrent_weight[gate].T,
            forward.input_bias[gate],
        )
    ]
    kernel, recurrent, bias = cell_arrays(_forward(PLAIN), reset_after=True)
    size = recurrent.shape[0]
    cudnn = [
        np.concatenate([block.T.reshape(block.shape) for block in np.split(kernel, 3, 1)], 1),
        np.concatenate([block.T for block in np.split(recurrent, 3, 1)], 1),
        bias.reshape(6 * size),
    ]
    with h5py.File(folder / "by_hand.h5", "w") as file:
        for group, arrays in (("nine", nine), ("cudnn", cudnn)):
            for index, array in enumerate(arrays):
                file[f"model_weights/{group}/{index}"] = array
    config = {
        "output_dim": 7,
        "activation": "tanh",
        "inner_activation": "hard_sigmoid",
        "go_backwards": False,
    }
    names = {group: [f"model_weights/{group}/{index}" for index in range(9)] for group in ("nine", "cudnn")}
    entries = {
        "nine": (OLD, "1.2.2", layer_at(["gru_1"], "GRU", config, {"forward": names["nine"]})),
        "cudnn": (
            PLAIN,
            "2.2.4",
            layer_at(["cu"], "CuDNNGRU", {"units": 7}, {"forward": names["cudnn"][:3]}),
        ),
    }
    return {
        name: (spec, make_probe(spec), folder / "by_hand.h5", address("legacy", f"keras {version}", entry))
        for name, (spec, version, entry) in entries.items()
    }


def _forward(spec: GRUSpec) -> Any:
    return spec.layers[0].forward


def _unknown_activation(folder: Path) -> Case:
    config = {"activation": "tanh", "recurrent_activation": "my_own\x1b"}
    entry = layer_at(
        ["gru"], "GRU", config, {"forward": [f"model_weights/cudnn/{index}" for index in range(3)]}
    )
    return PLAIN, make_probe(PLAIN), folder / "by_hand.h5", address("legacy-weights", "keras 2.1.0", entry)


@pytest.fixture(scope="module")
def runs(keras: ModuleType, tf_keras: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("rebuilt")
    cases = _weights_only(keras, folder) | _by_hand(folder) | {"unknown": _unknown_activation(folder)}
    new, old = Models(keras, folder), Models(tf_keras, folder)
    _with_lambda(new, "lambda.keras", folder / "ran")
    _with_lambda(old, "lambda.h5", folder / "ran")
    made = run_cases({**cases, **new.cases, **old.cases})
    assert not (folder / "ran").exists(), "a Lambda layer was run"
    return made


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("plain", "the file holds weights without a model"),
        ("no_bias", "the file holds weights without a model"),
        ("narrow", "the file holds weights without a model"),
        ("both", "the file holds weights without a model"),
        ("stacked", "the file holds weights without a model"),
        ("nine", "the file is older than reset_after, whose default has changed since"),
        ("cudnn", "a CuDNNGRU needs a GPU"),
        ("lambda.keras", f"the model holds a keras.layers.Lambda, {LAMBDA}"),
        ("lambda.h5", f"the model holds a Lambda, {LAMBDA}"),
    ],
)
def test_agrees_with_the_equations_and_says_why(case: str, reason: str, runs: Runs) -> None:
    trace, spec, probe = runs[case]

    assert isinstance(trace, Trace), trace
    assert_agrees(trace, spec, probe)
    assert not trace.native
    assert trace.notes == (f"the layer was rebuilt in Keras 3 from the arrays in the file: {reason}",)
    assert trace.version.startswith("keras 3.")


def test_an_activation_that_keras_has_not(runs: Runs) -> None:
    error = runs["unknown"][0]

    assert isinstance(error, CannotRunError)
    assert error.reason == "unknown activation"
    assert str(error).endswith("keras cannot run it: Keras 3 has no activation 'my_own\\x1b'")


def test_keras_on_pytorch(
    keras: ModuleType,
    tf_keras: ModuleType,
    torch: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hard_sigmoid of Keras 2, which is not to be had there, is not given to Keras 3."""
    del torch
    old, models = Models(tf_keras, tmp_path), Models(keras, tmp_path)
    old.add("old.h5", OLD)
    spec, probe, path, where = old.cases["old.h5"]
    names = ["kernel", "recurrent_kernel", "bias"]
    where["layers"][0]["datasets"]["forward"] = [
        f"model_weights/layer_0/layer_0/gru_cell/{name}:0" for name in names
    ]
    models.cases["old.h5"] = spec, probe, path, where
    models.add("plain.keras", PLAIN)
    models.add("both.keras", BOTH)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    made = models.run()

    for trace, its_spec, its_probe in made.values():
        assert isinstance(trace, Trace), trace
        assert_agrees(trace, its_spec, its_probe)
        assert "(torch 2." in trace.version
    trace = made["old.h5"][0]
    assert isinstance(trace, Trace)
    assert trace.notes[0].endswith(
        "its hard_sigmoid is that of Keras 2, which needs tensorflow and tf_keras to run"
    )
    assert {name: run[0].native for name, run in made.items() if isinstance(run[0], Trace)} == {
        "old.h5": False,
        "plain.keras": True,
        "both.keras": True,
    }
