"""What people quote of gates, on traces made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from grubridge.diagnosis.statistics import statistics
from grubridge.spec import Array, Gates
from grubridge.traces import DirectionTrace


def _traced(hidden: Array, update: Array | None = None) -> DirectionTrace:
    """Return a trace whose reset gate is half the update gate, and whose candidate is minus the state."""
    gates = None if update is None else Gates(update, update / 2, -hidden)
    return DirectionTrace(
        np.zeros((*hidden.shape[:2], 3)), np.zeros(hidden[:, 0].shape), hidden, gates, "observed"
    )


def test_shares_ranges_and_curves() -> None:
    update = np.array([[[0.95, 0.05], [0.5, 0.92]], [[0.02, 0.03], [0.6, 1.0]]])
    hidden = np.array([[[-0.5, 0.1], [0.3, 0.1]], [[0.2, 0.4], [0.6, -0.8]]])

    seen = statistics(_traced(hidden, update))

    assert seen.update is not None
    assert seen.reset is not None
    assert seen.candidate is not None
    assert (seen.update.above, seen.update.below) == (3 / 8, 3 / 8)
    assert (seen.reset.above, seen.reset.below) == (0, 3 / 8)
    assert seen.update.curve == pytest.approx(((0.95 + 0.05 + 0.02 + 0.03) / 4, (0.5 + 0.92 + 0.6 + 1) / 4))
    assert seen.update.mean == pytest.approx(update.mean())
    assert (seen.hidden.low, seen.hidden.high) == (-0.8, 0.6)
    assert (seen.candidate.low, seen.candidate.high) == (-0.6, 0.8)
    assert seen.hidden.curve == pytest.approx(((0.5 + 0.1 + 0.2 + 0.4) / 4, (0.3 + 0.1 + 0.6 + 0.8) / 4))


def test_steps_past_an_end_are_left_out() -> None:
    hidden = np.array([[[0.5], [9.0], [np.nan]], [[0.1], [0.2], [9.0]]])
    update = np.array([[[0.5], [9.0], [np.nan]], [[0.7], [0.9], [9.0]]])

    seen = statistics(_traced(hidden, update), lengths=np.array([1, 2]))

    assert seen.update is not None
    assert seen.memory is not None
    assert seen.hidden.curve == pytest.approx((0.3, 0.2))
    assert seen.update.mean == pytest.approx(0.7)
    assert (seen.hidden.low, seen.hidden.high) == (0.1, 0.5)
    assert seen.memory.median == pytest.approx(1 / 0.3)


def test_one_unit_keeps_its_sign() -> None:
    hidden = np.array([[[-0.5, 0.1], [0.3, 0.2]]])

    seen = statistics(_traced(hidden, np.full((1, 2, 2), 0.25)), unit=0)

    assert seen.candidate is not None
    assert seen.hidden.curve == (-0.5, 0.3)
    assert seen.candidate.curve == (0.5, -0.3)


def test_memory_is_that_of_the_mean_gate() -> None:
    # mean z per unit: 0.5, 0.9, 1.0; a single z of 1 makes no memory endless
    update = np.array([[[0.0, 1.0, 1.0], [1.0, 0.8, 1.0]]])

    memory = statistics(_traced(np.zeros((1, 2, 3)), update)).memory

    assert memory is not None
    assert (memory.shortest, memory.median) == pytest.approx((2, 10))
    assert math.isinf(memory.longest)


def test_a_gate_above_one_never_forgets() -> None:
    memory = statistics(_traced(np.zeros((1, 2, 1)), np.full((1, 2, 1), 1.5))).memory

    assert memory is not None
    assert math.isinf(memory.median)


@pytest.mark.parametrize(
    "unit",
    [
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        [[0.7, 0.7, 0.7], [-0.2, -0.2, -0.2]],  # it never moves from where each sequence starts
        [[0.0009, -0.0009, 0.0], [0.0, 0.0, 0.0]],  # it moves by more than it may, and is tiny
    ],
)
def test_dead_units(unit: list[list[float]]) -> None:
    made = _traced(_beside_a_live_one(unit))

    assert statistics(made).dead_units == (1,)
    assert statistics(made, unit=1).dead_units == (1,)


@pytest.mark.parametrize(
    "unit", [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0011]], [[0.7, 0.7005, 0.7], [0.7, 0.7, 0.702]]]
)
def test_units_that_hardly_live(unit: list[list[float]]) -> None:
    made = _traced(_beside_a_live_one(unit))

    assert statistics(made).dead_units == ()
    assert statistics(made, unit=1).dead_units == ()


def _beside_a_live_one(unit: list[list[float]]) -> Array:
    alive = [[0.1, -0.4, 0.3], [0.2, 0.5, -0.1]]
    return np.stack([np.array(alive), np.array(unit)], axis=-1)


def test_one_step_shows_no_unit_to_be_constant() -> None:
    assert statistics(_traced(np.array([[[0.5, 0.0]]]))).dead_units == (1,)


def test_without_gates_the_states_are_left() -> None:
    seen = statistics(_traced(np.array([[[0.5], [0.25]]])))

    assert (seen.update, seen.reset, seen.candidate, seen.memory) == (None, None, None, None)
    assert seen.hidden.curve == (0.5, 0.25)
