"""One direction of a trace, held step by step against the equations.

Every step is recomputed in float64 from the runtime's own previous state, so that errors do not add up
over time: two right runtimes of a chaotic network drift apart and still pass, and a wrong step shows at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grubridge.reference.arithmetic import Arithmetic
from grubridge.reference.equations import Cell
from grubridge.reference.rounding import Interval, Quantity, deviations, one_step_bounds
from grubridge.reference.tapped import Recomposition, recomposed, with_tap_errors
from grubridge.spec import GATE_NAMES, Array, Direction
from grubridge.traces import previous_state, valid_steps

from .profile import Profile, ProfileTally

__all__ = ["Element", "Finding", "Judgement", "Observation", "judge"]

_CHUNK = 2**16  # elements of one array that are worked on at a time: they stay in cache


@dataclass(frozen=True)
class Element:
    """One number of a [B, T, H] array."""

    batch: int
    time: int
    unit: int


@dataclass(frozen=True)
class Observation:
    """What a runtime received and returned in one direction; steps in time order.

    Args:
        x: [B, T, I].
        start: the state before the first step read, [B, H].
        received: [B, T, H] by quantity; "hidden" is always there.
        lengths: [B], or None.
        direction: of reading.
        largest: the largest finite number of the runtime's format.
        observed: whether the gates were read out of the fused kernel, which adds to their bounds.
    """

    x: Array
    start: Array
    received: Mapping[Quantity, Array]
    lengths: Array | None
    direction: Direction
    largest: float
    observed: bool


@dataclass(frozen=True)
class Finding:
    """How one quantity of one direction compares with the equations.

    Args:
        judged: how many elements were judged.
        lost: how many could not be, because they follow from NaN or infinity, or overflow by themselves. A
            jump of the activation, and a saturated gate that cannot be read, is no loss.
        max_abs: largest |error|; infinite where NaN or infinity was received for a finite value.
        headroom: largest error over bound; above 1 it is no rounding, but for one check in a billion.
        certainty: largest error over the bound that assumes nothing of the signs of rounding errors; above 1
            it is no rounding at all.
        worst: where that is; None when nothing was judged.
        first_bad_time: the first step, in the order of reading, with an error above its bound.
        profile: errors and bounds over time.
        largest: where the largest |error| is; None when nothing was judged.
        allowed: the bound there.
    """

    judged: int
    lost: int
    max_abs: float
    headroom: float
    certainty: float
    worst: Element | None
    first_bad_time: int | None
    profile: Profile
    largest: Element | None
    allowed: float


@dataclass(frozen=True)
class Judgement:
    """What `judge` found.

    Args:
        findings: by quantity.
        recomposition: of the gates; None where there are none.
    """

    findings: Mapping[Quantity, Finding]
    recomposition: Recomposition | None


def judge(cell: Cell, seen: Observation, how: Arithmetic) -> Judgement:
    """Hold `seen` against the equations of `cell`, executed in the arithmetic `how`."""
    batch, steps, _ = seen.x.shape
    valid = valid_steps(batch, steps, seen.lengths)
    hidden = seen.received["hidden"].astype(np.float64)
    previous: Array = previous_state(seen.direction, hidden, seen.start, seen.lengths)[valid]
    x: Array = seen.x.astype(np.float64)[valid]
    received = {quantity: array.astype(np.float64)[valid] for quantity, array in seen.received.items()}
    places = np.argwhere(valid)
    known: Array = np.all(np.isfinite(np.concatenate([x, previous], axis=1)), axis=1)
    hidden_size = hidden.shape[2]
    recompositions: list[Recomposition] = []
    jumps = _jumps(cell)
    tallies = {
        quantity: _Tally(seen, may_be_unbounded=jumps or (seen.observed and quantity != "hidden"))
        for quantity in received
    }
    width = deviations(len(places), hidden_size)
    chunk = max(1, _CHUNK // max(hidden_size, x.shape[1]))
    for first in range(0, len(places), chunk):
        rows = np.arange(first, min(first + chunk, len(places)))
        for tally in tallies.values():
            tally.lost += int((~known[rows]).sum()) * hidden_size
        rows = rows[known[rows]]
        seen_rows = {quantity: array[rows] for quantity, array in received.items()}
        bounds = _bounds(cell, x[rows], previous[rows], seen_rows, how, width, observed=seen.observed)
        for quantity, tally in tallies.items():
            tally.add(places[rows], seen_rows[quantity], _readable(quantity, bounds, observed=seen.observed))
        if seen_rows.keys() >= {"update", "candidate"}:
            recompositions.append(recomposed(seen_rows, previous[rows], bounds))
    return Judgement(
        {quantity: tally.finding() for quantity, tally in tallies.items()},
        Recomposition.worst(recompositions),
    )


def _jumps(cell: Cell) -> bool:
    """Whether a step that is computed right may be on either side of a jump, where there is no bound."""
    if "thresholded_relu" not in {cell.direction.activation(gate).name for gate in GATE_NAMES}:
        return False
    return all(np.isfinite(array).all() for _, array in cell.direction.arrays())


def _readable(quantity: Quantity, bounds: Mapping[Quantity, Interval], *, observed: bool) -> Interval:
    """What is expected; a gate that is observed is read out of the state, and not where that is no number."""
    expected, state = bounds[quantity], bounds["hidden"].value
    if quantity == "hidden" or not observed or np.isfinite(state).all():
        return expected
    return replace(expected, value=np.where(np.isfinite(state), expected.value, np.nan))


def _bounds(
    cell: Cell,
    x: Array,
    previous: Array,
    received: Mapping[Quantity, Array],
    how: Arithmetic,
    width: float,
    *,
    observed: bool,
) -> dict[Quantity, Interval]:
    """The bounds of every row; where the quick bound alone is exceeded, those of sums in natural order."""

    def computed(x: Array, previous: Array, *, in_order: bool) -> dict[Quantity, Interval]:
        bounds = one_step_bounds(cell, x, previous, how, deviations=width, in_order=in_order)
        return with_tap_errors(bounds, cell, how) if observed else bounds

    bounds = computed(x, previous, in_order=False)
    exceeded, proved = np.zeros(len(x), bool), np.zeros(len(x), bool)
    for quantity, array in received.items():
        interval = bounds[quantity]
        error = np.abs(array - interval.value)
        exceeded |= (error > interval.statistical).any(axis=1)
        proved |= (error > interval.worst).any(axis=1)
    suspect = exceeded & ~proved
    if suspect.any():
        slow = computed(x[suspect], previous[suspect], in_order=True)
        for quantity, interval in bounds.items():
            interval.statistical[suspect] = slow[quantity].statistical
    return bounds


class _Tally:
    """A finding in the making, over chunks of rows.

    Args:
        seen: all that is judged.
        may_be_unbounded: whether a finite value without a finite bound is no loss.
    """

    def __init__(self, seen: Observation, *, may_be_unbounded: bool) -> None:
        self._seen = seen
        self._may_be_unbounded = may_be_unbounded
        self.lost = 0
        self._judged = 0
        self._max_abs = self._headroom = self._certainty = 0.0
        self._worst: Element | None = None
        self._largest: Element | None = None
        self._allowed = 0.0
        self._first_bad: tuple[int, int] | None = None
        self._profile = ProfileTally(seen.x.shape[1])

    def add(self, places: Array, received: Array, expected: Interval) -> None:
        """Take in rows: (batch, time) of each, [N, 2]; received [N, H]; expected [N, H]."""
        finite = np.isfinite(expected.value) & (np.abs(expected.value) < self._seen.largest / 2)
        judged = finite & np.isfinite(expected.statistical)
        self.lost += int((~(finite if self._may_be_unbounded else judged)).sum())
        if not judged.any():
            return
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.abs(received - expected.value)
            error[np.isnan(error)] = np.inf
            headroom = np.where(error > 0, error / expected.statistical, 0)
            certainty = np.where(error > 0, error / expected.worst, 0)
        headroom[~judged] = -1
        self._certainty = max(self._certainty, float(np.nan_to_num(certainty[judged], nan=0.0).max()))
        self._profile.add(places[:, 1], error, expected.statistical, headroom)
        self._judged += int(judged.sum())
        error[~judged] = -1
        row, unit = np.unravel_index(int(error.argmax()), error.shape)
        if self._largest is None or error[row, unit] > self._max_abs:
            self._max_abs, self._allowed = float(error[row, unit]), float(expected.statistical[row, unit])
            self._largest = Element(int(places[row, 0]), int(places[row, 1]), int(unit))
        row, unit = np.unravel_index(int(headroom.argmax()), headroom.shape)
        if self._worst is None or headroom[row, unit] > self._headroom:
            self._headroom = float(headroom[row, unit])
            self._worst = Element(int(places[row, 0]), int(places[row, 1]), int(unit))
        for batch, time in places[(headroom > 1).any(axis=1)]:
            found = self._reading_order(int(batch), int(time)), int(time)
            self._first_bad = found if self._first_bad is None else min(self._first_bad, found)

    def _reading_order(self, batch: int, time: int) -> int:
        """How many steps of the sequence were read before this one."""
        if self._seen.direction == "forward":
            return time
        lengths: Any = self._seen.lengths
        last = (self._seen.x.shape[1] if lengths is None else int(lengths[batch])) - 1
        return last - time

    def finding(self) -> Finding:
        return Finding(
            self._judged,
            self.lost,
            self._max_abs,
            self._headroom,
            self._certainty,
            self._worst,
            None if self._first_bad is None else self._first_bad[1],
            self._profile.profile(),
            self._largest,
            self._allowed,
        )
