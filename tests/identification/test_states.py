"""Which steps of a recorded run stand by themselves."""

from __future__ import annotations

import numpy as np

from grubridge.checker.recording import Recording
from grubridge.identification.states import known_steps, recovered
from grubridge.spec import SIGMOID, TANH

X = np.arange(24.0).reshape(2, 4, 3)
HIDDEN = np.linspace(-0.9, 0.9, 16).reshape(2, 4, 2)


def test_the_first_step_from_an_unknown_state_is_left_out() -> None:
    steps = known_steps(Recording("r", X, HIDDEN, lengths=np.array([4, 2])), 2)

    assert steps is not None
    np.testing.assert_array_equal(steps.x, np.concatenate([X[0, 1:], X[1, 1:2]]))
    np.testing.assert_array_equal(steps.previous, np.concatenate([HIDDEN[0, :3], HIDDEN[1, :1]]))
    np.testing.assert_array_equal(steps.following, np.concatenate([HIDDEN[0, 1:], HIDDEN[1, 1:2]]))


def test_the_first_step_from_a_recorded_state_is_one_of_them() -> None:
    start = np.array([[[0.1, 0.2], [0.3, 0.4]]])

    steps = known_steps(Recording("r", X, HIDDEN, initial_state=start), 2)

    assert steps is not None
    np.testing.assert_array_equal(steps.previous[0], start[0, 0])
    assert len(steps.x) == 8


def test_a_run_of_one_step_starts_from_zero() -> None:
    steps = known_steps(Recording("r", X[:, :1], HIDDEN[:, :1]), 2)

    assert steps is not None
    assert not steps.previous.any()


def test_steps_that_are_not_numbers_are_left_out() -> None:
    hidden = HIDDEN.copy()
    hidden[0, 2, 1] = np.nan

    steps = known_steps(Recording("r", X, hidden), 2)

    assert steps is not None
    assert len(steps.x) == 4


def test_states_come_back_from_what_was_made_of_them() -> None:
    squashed = recovered(Recording("r", X, np.tanh(HIDDEN)), TANH)

    assert squashed is not None
    assert squashed.hidden is not None
    np.testing.assert_allclose(squashed.hidden, HIDDEN, atol=1e-15)
    assert recovered(Recording("r", X, HIDDEN), SIGMOID) is None  # no sigmoid is negative
