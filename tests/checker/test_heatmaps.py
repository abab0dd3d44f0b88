"""Heatmaps: few enough numbers to be drawn, none of them a mean, each with its step and unit."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from grubridge.checker.heatmaps import heatmaps
from grubridge.spec import Array, Gates
from grubridge.traces import DirectionTrace, Place, Probe, Trace

FORWARD: Place = (0, "forward")


def _trace(
    *places: Place, batch: int = 1, steps: int, units: int, seed: int = 0, dtype: Any = np.float32
) -> Trace:
    random = np.random.default_rng(seed)

    def numbers() -> Array:
        return random.uniform(size=(batch, steps, units)).astype(dtype)

    made = {
        place: DirectionTrace(
            np.zeros((batch, steps, 1)),
            np.zeros((batch, units)),
            numbers(),
            Gates(numbers(), numbers(), numbers()),
            "observed",
        )
        for place in places or (FORWARD,)
    }
    return Trace("pytorch", "torch 2", "cpu", "float32", native=True, places=made)


def _probe(steps: int, batch: int = 1, lengths: list[int] | None = None) -> Probe:
    return Probe(np.ones((batch, steps, 1)), lengths=None if lengths is None else np.array(lengths))


def test_a_small_run_is_shown_number_by_number() -> None:
    trace = _trace(steps=6, units=5)
    found = heatmaps([trace], _probe(6))

    assert [one.quantity for one in found] == ["hidden", "update", "reset", "candidate"]
    for one in found:
        gates = trace[FORWARD].gates
        assert gates is not None
        array = trace[FORWARD].hidden if one.quantity == "hidden" else gates[one.quantity]
        assert one.span == (1, 1)
        np.testing.assert_array_equal(one.values[0], array[0])
        assert one.element(3, 2) == (3, 2)


def test_every_cell_of_a_large_one_has_the_largest_difference_and_both_numbers() -> None:
    steps, units = 1003, 67  # neither is a multiple of a span
    one, other = _trace(steps=steps, units=units), _trace(steps=steps, units=units, seed=1)
    found = heatmaps([one, other], _probe(steps))[0]
    left, right = one[FORWARD].hidden[0], other[FORWARD].hidden[0]
    columns, rows = found.offsets.shape
    per_step, per_unit = found.span

    assert columns * rows * 4 * (2 * 4 + 2) <= 110_000
    assert (columns - 1) * per_step < steps <= columns * per_step
    assert (rows - 1) * per_unit < units <= rows * per_unit
    for column in range(columns):
        for row in range(rows):
            block = np.s_[column * per_step : (column + 1) * per_step, row * per_unit : (row + 1) * per_unit]
            step, unit = found.element(column, row)
            assert found.values[0, column, row] == left[step, unit]
            assert found.values[1, column, row] == right[step, unit]
            assert (
                abs(found.difference[column, row]) == np.abs(right[block].astype(float) - left[block]).max()
            )


def test_a_single_spike_among_ten_million_numbers_is_there() -> None:
    steps, units = 10_000, 1024
    one = _trace(steps=steps, units=units)
    hidden = one[FORWARD].hidden.copy()
    hidden[0, 8765, 432] += np.float32(3)
    gates = one[FORWARD].gates
    other = Trace(
        "onnxruntime",
        "1",
        "cpu",
        "float32",
        native=True,
        places={
            FORWARD: DirectionTrace(np.zeros((1, steps, 1)), np.zeros((1, units)), hidden, gates, "observed")
        },
    )
    found = heatmaps([one, other], _probe(steps))[0]

    assert found.element(*found.largest) == (8765, 432)
    assert np.count_nonzero(found.difference) == 1
    assert (
        sum(shown.values.nbytes + 2 * shown.offsets.size for shown in heatmaps([one, other], _probe(steps)))
        <= 110_000
    )


def test_of_one_run_a_cell_has_the_largest_in_size() -> None:
    trace = _trace(steps=3000, units=40)
    trace[FORWARD].hidden[0, 1234, 5] = -7
    found = heatmaps([trace], _probe(3000))[0]

    assert found.element(*found.largest) == (1234, 5)
    assert found.values[0][found.largest] == -7


def test_the_sequence_in_which_the_states_differ_most_is_shown_up_to_its_end() -> None:
    one, other = _trace(steps=8, units=3, batch=3), _trace(steps=8, units=3, batch=3)
    other[FORWARD].hidden[1, 3, 2] += 1
    other[FORWARD].hidden[2, 6, 0] += 5  # past the end
    found = heatmaps([one, other], _probe(8, 3, [8, 5, 6]))

    assert {(shown.sequence, shown.steps) for shown in found} == {(1, 5)}
    assert found[0].element(*found[0].largest) == (3, 2)
    assert heatmaps([one], _probe(8, 3, [4, 8, 2]))[0].sequence == 1


def test_nan_is_found_first_and_bfloat16_is_shown() -> None:
    one, other = _trace(steps=4, units=3), _trace(steps=4, units=3, dtype=ml_dtypes.bfloat16)
    other[FORWARD].hidden[0, 2, 1] = np.nan
    found = heatmaps([one, other], _probe(4))[0]

    assert found.values.dtype == np.float32
    assert found.element(*found.largest) == (2, 1)


@pytest.mark.parametrize("preferred", [None, [(6, "backward"), (1, "forward")]])
def test_at_most_four_places_are_shown_in_their_order(preferred: list[Place] | None) -> None:
    places: list[Place] = [(layer, name) for layer in range(8) for name in ("forward", "backward")]
    trace = _trace(*places, steps=40, units=60)
    found = list(
        dict.fromkeys((one.layer, one.direction) for one in heatmaps([trace], _probe(40), preferred))
    )

    assert found == (places[:4] if preferred is None else [(1, "forward"), (6, "backward")])
