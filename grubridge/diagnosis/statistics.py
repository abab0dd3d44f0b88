"""What the gates of one direction do over time: saturation, memory, dead units.

Everything is over the valid steps of all sequences; steps past a sequence's end are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grubridge.spec import Array
from grubridge.traces import DirectionTrace, valid_steps

__all__ = ["CLOSED", "DEAD", "OPEN", "DirectionStatistics", "Memory", "OverTime", "statistics"]

OPEN, CLOSED = 0.9, 0.1
"""A gate above the one or below the other is saturated."""
DEAD = 1e-3
"""A unit is dead when its state is below this in size, or moves by less, over the whole run."""


@dataclass(frozen=True)
class OverTime:
    """One quantity over time.

    Args:
        curve: its mean in every step, over sequences and units, [T]; of a candidate or a hidden state, the
            mean of its size, unless it is that of one unit.
        mean: of all values.
        low: the smallest value.
        high: the largest value.
        above: the share of values above `OPEN`.
        below: the share of values below `CLOSED`.
    """

    curve: tuple[float, ...]
    mean: float
    low: float
    high: float
    above: float
    below: float


@dataclass(frozen=True)
class Memory:
    """For how many steps units keep their state: 1 / (1 - z), z being the unit's mean over the run.

    The mean comes first, so that a single step with z = 1 does not make a memory endless; where z is 1 in
    every step, it is: infinity. A unit that forgets at once has 1.

    Args:
        median: over units.
        shortest: of any unit.
        longest: of any unit.
    """

    median: float
    shortest: float
    longest: float


@dataclass(frozen=True)
class DirectionStatistics:
    """What one direction of one layer did.

    Args:
        update: z; None, as the other gates, where the runtime did not show them.
        reset: r.
        candidate: n.
        hidden: h.
        memory: how long its units remember.
        dead_units: those whose state is constant or nearly zero.
    """

    update: OverTime | None
    reset: OverTime | None
    candidate: OverTime | None
    hidden: OverTime
    memory: Memory | None
    dead_units: tuple[int, ...]


def statistics(
    made: DirectionTrace, lengths: Array | None = None, unit: int | None = None
) -> DirectionStatistics:
    """Return what a direction did.

    Args:
        made: its trace.
        lengths: [B] valid steps of each sequence; None when all are valid.
        unit: the only hidden unit to look at; None for all.
    """
    batch, steps, size = made.hidden.shape
    valid = valid_steps(batch, steps, lengths)
    units = np.arange(size) if unit is None else np.array([unit])

    def over_time(values: Array, *, signed: bool) -> OverTime:
        return _over_time(values[..., units].astype(np.float64), valid, signed=signed or unit is not None)

    dead = units[_dead(made.hidden[..., units].astype(np.float64), valid)]
    dead_units = tuple(int(index) for index in dead)
    hidden = over_time(made.hidden, signed=False)
    if made.gates is None:
        return DirectionStatistics(None, None, None, hidden, None, dead_units)
    return DirectionStatistics(
        update=over_time(made.gates.update, signed=True),
        reset=over_time(made.gates.reset, signed=True),
        candidate=over_time(made.gates.candidate, signed=False),
        hidden=hidden,
        memory=_memory(made.gates.update[valid][:, units].astype(np.float64)),
        dead_units=dead_units,
    )


def _over_time(values: Array, valid: Array, *, signed: bool) -> OverTime:
    """Values [B, T, K] and valid [B, T]."""
    shown = values if signed else np.abs(values)
    counts = valid.sum(axis=0)
    curve = np.where(valid[..., None], shown, 0).mean(axis=2).sum(axis=0)[counts > 0] / counts[counts > 0]
    those = values[valid]
    return OverTime(
        curve=tuple(curve.tolist()),
        mean=float(those.mean()),
        low=float(those.min()),
        high=float(those.max()),
        above=float((those > OPEN).mean()),
        below=float((those < CLOSED).mean()),
    )


def _memory(update: Array) -> Memory:
    """Update gates [N, K]."""
    forgotten = 1 - update.mean(axis=0)
    with np.errstate(divide="ignore"):
        # with an activation that exceeds 1 a state may grow instead: it is never forgotten either
        lengths = np.where(forgotten <= 0, np.inf, 1 / forgotten)
    return Memory(float(np.median(lengths)), float(lengths.min()), float(lengths.max()))


def _dead(hidden: Array, valid: Array) -> Array:
    """Return which units of hidden [B, T, K] are dead, [K]; one step alone shows no unit to be constant."""
    inside = valid[..., None]
    highest: Array = np.where(inside, hidden, -np.inf).max(axis=1)
    lowest: Array = np.where(inside, hidden, np.inf).min(axis=1)
    tiny: Array = np.maximum(highest, -lowest).max(axis=0) < DEAD
    constant: Array = (highest - lowest).max(axis=0) < DEAD
    return tiny if valid.sum(axis=1).max() == 1 else tiny | constant
