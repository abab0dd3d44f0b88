"""Subclasses of GRUCell in memory: read as the GRUCell they derive from, run as they are."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge.formats.readback import differences
from grubridge.spec import Array
from tests.keras_cells import HIDDEN, INPUT, gated_cell, shown

X = np.random.default_rng(5).normal(size=(2, 6, INPUT)).astype(np.float32)


@pytest.fixture(params=["keras", "tf_keras"])
def framework(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.getfixturevalue(request.param)
    return module


def _held(framework: ModuleType, cell: Any, place: str) -> Any:
    layers = framework.layers
    if place == "cell":
        return cell
    rnn = layers.RNN(cell, return_sequences=True, name="gates")
    return rnn if place == "layer" else framework.Sequential([framework.Input((None, INPUT)), rnn])


@pytest.mark.parametrize("place", ["cell", "layer", "model"])
@pytest.mark.parametrize("reset_after", [True, False])
def test_gates_are_those_that_the_class_itself_returns(
    framework: ModuleType, place: str, *, reset_after: bool
) -> None:
    cell = gated_cell(framework, together=place != "cell", reset_after=reset_after)
    hidden, reset, update = shown(cell, X)

    traced = grubridge.trace(_held(framework, cell, place), X)

    found = traced[0, "forward"]
    assert found.gates is not None
    for received, expected in (
        (found.hidden, hidden),
        (found.gates.reset, reset),
        (found.gates.update, update),
    ):
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-6)
    assert traced.spec.layers[0].reset_after == reset_after
    assert traced.trace.kernel == "GatedCell on tensorflow, called eagerly"
    assert found.gate_source == "replayed"
    assert (
        "the class GatedCell is not Keras's own, so no wider cell of it can be made" in traced.trace.notes[0]
    )


def test_the_spec_is_that_of_a_gru_cell_with_these_weights(framework: ModuleType) -> None:
    cell = gated_cell(framework, together=False)
    plain = framework.layers.GRUCell(HIDDEN)
    plain.build((None, INPUT))
    plain.set_weights(cell.get_weights())

    spec = grubridge.from_layer(cell)

    assert not differences(spec, grubridge.from_layer(plain))
    assert spec.source is not None
    assert spec.source.notes == ("GatedCell is read as the GRUCell that it derives from",)


def test_both_halves_of_a_bidirectional(framework: ModuleType) -> None:
    layers = framework.layers
    inner = layers.RNN(gated_cell(framework, together=True), return_sequences=True)
    model = framework.Sequential([framework.Input((None, INPUT)), layers.Bidirectional(inner)])
    rng = np.random.default_rng(6)
    model.set_weights([rng.uniform(-1, 1, weight.shape) for weight in model.get_weights()])
    forward, backward = np.split(np.asarray(model(X)), 2, -1)

    traced = grubridge.trace(model, X)

    for way, output in (("forward", forward), ("backward", backward)):
        found = traced[0, way]  # type: ignore[index]
        expected: list[Array] = np.split(output, 3, -1)
        assert found.gates is not None
        for received, native in zip(
            (found.hidden, found.gates.reset, found.gates.update), expected, strict=True
        ):
            np.testing.assert_allclose(received, native, rtol=0, atol=1e-6)


def test_a_class_that_computes_something_else_is_run_as_it_is(framework: ModuleType) -> None:
    class Halved(framework.layers.GRUCell):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
            output, _ = super().call(inputs, states, training=training)
            return output / 2, [output / 2]

    cell = Halved(HIDDEN)
    cell.build((None, INPUT))
    import tensorflow as tf

    state = tf.zeros((2, HIDDEN))
    states = []
    for t in range(X.shape[1]):
        state, _ = cell(X[:, t], [state])
        states.append(np.asarray(state))

    traced = grubridge.trace(cell, X)

    np.testing.assert_allclose(traced[0, "forward"].hidden, np.stack(states, 1), rtol=0, atol=1e-6)
    recomposed = traced.recomposition((0, "forward"))
    assert recomposed is not None
    assert recomposed.headroom > 1000
