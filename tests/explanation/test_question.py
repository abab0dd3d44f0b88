"""A question that people asked: Keras says 0.968, a pencil -0.707, and the weights mean neither."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np

import grubridge

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "explain"
KERNEL = [[-0.90954137, 1.0425225, -0.04404902]]
RECURRENT = [[0.24168766, 0.8981342, 0.36734456]]


def _explained(*expected: str) -> grubridge.Explanation:
    return grubridge.explain(SAMPLE / "keras_question.json", SAMPLE / "inputs.csv", expect=expected)


def test_keras_itself_gives_the_right_answer(keras: ModuleType) -> None:
    gru = keras.layers.GRU(1, return_sequences=True)
    gru.build((None, 4, 1))
    gru.set_weights([np.array(KERNEL), np.array(RECURRENT), np.zeros((2, 3))])

    states = np.asarray(gru(np.array([1, 2, 9, 8], np.float32).reshape(1, 4, 1)))[0]

    np.testing.assert_allclose(_explained().hidden, states, atol=2e-7)
    assert abs(states[-1, 0] - -0.46279538) < 1e-7
    assert "h after step 3, the last: -0.46279538\n" in grubridge.render(_explained())


def test_the_right_answer_is_called_right() -> None:
    (found,) = _explained("-0.46279538").expectations

    assert found.right
    assert [(match.mistakes, match.quantity) for match in found.matches] == [((), "h[0]")]


def test_the_pencil_summed_the_inputs() -> None:
    (found,) = _explained("-0.70691").expectations

    assert not found.right
    (match,) = found.matches
    assert match.mistakes == ("the inputs are summed and fed as one step",)
    assert match.quantity == "h[0]"
    assert abs(match.value - np.tanh(-0.04404902 * 20)) < 1e-7  # z is 1.3e-8, the state before it 0


def test_nothing_gives_what_keras_printed() -> None:
    (found,) = _explained("0.9680257").expectations

    assert found.matches == ()
    assert found.pairs
    assert found.tried > 1000
    assert found.by_chance < 0.01
    assert found.nearest is not None
    assert abs(found.nearest.value - 0.9680257) > 1e-4


def test_all_three_are_said() -> None:
    text = " ".join(grubridge.render(_explained("-0.46279538", "-0.70691", "0.9680257")).split())

    assert "-0.46279538 is right: it is h[0] after step 3 (-0.46279538)." in text
    assert (
        "-0.70691 is not the right answer. It comes out as h[0] when the inputs are summed and fed as one "
        "step (-0.70691012)." in text
    )
    assert "0.9680257: no convention or mistake that is known here gives it from these weights" in text
    assert "were printed from another initialisation" in text
