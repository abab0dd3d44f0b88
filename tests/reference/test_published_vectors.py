"""The equations against numbers that other projects published: Keras.js and RTNeural."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grubridge.reference import run
from grubridge.spec import (
    CANDIDATE,
    RESET,
    TANH,
    UPDATE,
    Activation,
    Array,
    Gate,
    Gates,
    GRUDirection,
    GRULayer,
    GRUSpec,
    hard_sigmoid,
    split,
)
from grubridge.traces import Place, Probe

KERAS_ORDER: tuple[Gate, ...] = (UPDATE, RESET, CANDIDATE)
TORCH_ORDER: tuple[Gate, ...] = (RESET, UPDATE, CANDIDATE)
KERAS_JS = "keras_js/test/data/layers/recurrent/GRU.json"


def _json(path: Path) -> Any:
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    return json.loads(path.read_text(encoding="utf-8"))


def _array(values: Any) -> Array:
    return np.array(values, np.float64)


@pytest.mark.parametrize("case", [f"recurrent.GRU.{i}" for i in range(9)])
def test_keras_js(real: Path, case: str) -> None:
    """Keras 2: reset before the product, hard_sigmoid of slope 0.2; a stateful case is the second call."""
    vectors = _json(real / KERAS_JS)[case]
    settings = _json(real / "keras_js/gru_case_attrs.json")[case]

    def stored(item: dict[str, Any]) -> Array:
        return _array(item["data"]).reshape(item["shape"])

    kernel, recurrent_kernel, *bias = map(stored, vectors["weights"])
    named = {"hard_sigmoid": hard_sigmoid(0.2), "sigmoid": Activation("sigmoid"), "tanh": TANH}
    direction = GRUDirection(
        split(kernel.T, KERAS_ORDER, 0),
        split(recurrent_kernel.T, KERAS_ORDER, 0),
        split(bias[0], KERAS_ORDER, 0) if bias else None,
        None,
        None,
        named[settings["recurrent_activation"]],
        named[settings["activation"]],
    )
    backwards = settings["go_backwards"]
    place: Place = (0, "backward" if backwards else "forward")
    forward, backward = (None, direction) if backwards else (direction, None)
    layer = GRULayer(forward, backward, reset_after=False)
    x = stored(vectors["input"])[None]
    states: dict[Place, Array] = {}
    for _ in range(2 if settings["stateful"] else 1):
        hidden = run(GRUSpec((layer,)), Probe(x, states)).places[place].hidden
        read = hidden[:, ::-1] if backwards else hidden  # in the order of reading, as Keras returns it
        states = {place: read[:, -1]}
    received = read[0] if settings["return_sequences"] else read[0, -1]

    np.testing.assert_allclose(received, stored(vectors["expected"]), rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["gru_1d", "gru"])
def test_rtneural_models_of_keras(real: Path, name: str) -> None:
    """Reset after the product; dense layers around the GRU are one matrix product each."""
    layers = _json(real / f"rtneural/models/{name}.json")["layers"]
    x = np.loadtxt(real / f"rtneural/test_data/{name}_x_python.csv").reshape(1, -1, 1)
    expected = np.loadtxt(real / f"rtneural/test_data/{name}_y_python.csv")
    squashed: dict[str, Callable[[Array], Array]] = {
        "tanh": np.tanh,
        "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
        "": lambda a: a,
    }
    for layer in layers:
        if layer["type"] == "gru":
            x = run(_rtneural_layer(layer["weights"]), Probe(x)).places[0, "forward"].hidden
        else:
            kernel, bias = map(_array, layer["weights"])
            x = squashed[layer["activation"]](x @ kernel + bias)

    np.testing.assert_allclose(x.reshape(-1), expected, rtol=0, atol=2e-6)


def test_rtneural_model_of_pytorch(real: Path) -> None:
    """A GRU, a three-layer GRU on top of it and a dense layer."""
    state = {name: _array(v) for name, v in _json(real / "rtneural/models/gru_torch.json").items()}
    x = np.loadtxt(real / "rtneural/test_data/gru_torch_x_python.csv").reshape(1, -1, 1)
    expected = np.loadtxt(real / "rtneural/test_data/gru_torch_y_python.csv")
    for prefix, count in (("gru.", 1), ("gru2.", 3)):
        layers = tuple(_torch_layer(state, prefix, k) for k in range(count))
        x = run(GRUSpec(layers), Probe(x)).places[count - 1, "forward"].hidden
    received = x @ state["dense.weight"].T + state["dense.bias"]

    np.testing.assert_allclose(received.reshape(-1), expected, rtol=0, atol=2e-6)


def _rtneural_layer(weights: Any) -> GRUSpec:
    kernel, recurrent_kernel, (bias, recurrent_bias) = map(_array, weights)
    direction = _direction(kernel.T, recurrent_kernel.T, bias, recurrent_bias, KERAS_ORDER)
    return GRUSpec((GRULayer(direction, None, reset_after=True),))


def _torch_layer(state: dict[str, Array], prefix: str, k: int) -> GRULayer:
    w, u, b, c = (state[f"{prefix}{part}_l{k}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    return GRULayer(_direction(w, u, b, c, TORCH_ORDER), None, reset_after=True)


def _direction(w: Array, u: Array, b: Array, c: Array, order: tuple[Gate, ...]) -> GRUDirection:
    recurrent: Gates[Array] = split(c, order, 0)
    return GRUDirection(
        split(w, order, 0),
        split(u, order, 0),
        split(b, order, 0),
        Gates(recurrent.update, recurrent.reset, recurrent.candidate),
    )
