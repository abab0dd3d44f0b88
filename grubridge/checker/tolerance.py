"""A tolerance of the user's own, on the free-running hidden states: what `allclose` would say."""

from __future__ import annotations

import numpy as np

from grubridge.traces import Probe, Trace, valid_steps

from .findings import Furthest, Side, Tolerance, Tolerated
from .judge import Element
from .verdict import Verdict

__all__ = ["tolerated"]


def tolerated(
    left: Trace, right: Trace, probe: Probe, sides: tuple[Side, Side], accepted: Tolerance
) -> Tolerated:
    """Apply a tolerance to the hidden states of all layers, steps past a sequence's end aside."""
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    largest, numbers, beyond = 0.0, 0, 0
    worst: Furthest | None = None
    for place in sorted(left.places.keys() | right.places.keys()):
        if place not in left.places or place not in right.places:
            return Tolerated(*sides, 0.0, Verdict.INCONCLUSIVE)
        one, other = (trace.places[place].hidden.astype(np.float64) for trace in (left, right))
        if one.shape != other.shape or one.shape[:2] != valid.shape:
            return Tolerated(*sides, 0.0, Verdict.INCONCLUSIVE)
        with np.errstate(all="ignore"):
            apart = np.abs(one - other)[valid]
            apart[np.isnan(apart)] = np.inf
            room = accepted.atol + accepted.rtol * np.abs(one)[valid]
            ratios = np.nan_to_num(np.where(apart == 0, 0, apart / room), nan=np.inf, posinf=np.inf)
        numbers += ratios.size
        beyond += int((ratios > 1).sum())
        at = np.unravel_index(int(ratios.argmax()), ratios.shape)
        if worst is None or ratios[at] > largest:
            largest = float(ratios[at])
            batch, time = np.argwhere(valid)[at[0]]
            element = Element(int(batch), int(time), int(at[1]))
            worst = Furthest(*place, element, float(apart[at]), float(room[at]))
    if not left.places:
        return Tolerated(*sides, 0.0, Verdict.INCONCLUSIVE)
    verdict = Verdict.EQUIVALENT if largest <= 1 else Verdict.DIFFERENT
    return Tolerated(*sides, largest, verdict, numbers, beyond, worst)
