"""How far free-running executions come apart: described, never judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grubridge.reference import cell
from grubridge.reference.lyapunov import lyapunov_exponent
from grubridge.spec import GRUSpec
from grubridge.traces import Probe, Trace, valid_steps

from .findings import Drift, Side

__all__ = ["drift", "growth_of_differences"]

_APART = 1e-3
"""Runs that differ by more have come apart: the states themselves are at most about 1."""


def drift(left: Trace, right: Trace, probe: Probe, sides: tuple[Side, Side]) -> Drift | None:
    """Return how far the hidden states of two free runs came apart; None when they share no place.

    NaN counts as infinitely far.
    """
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    by_step = np.zeros(probe.steps)
    largest: Drift | None = None
    for place in left.places.keys() & right.places.keys():
        one, other = (trace.places[place].hidden.astype(np.float64) for trace in (left, right))
        if one.shape != other.shape or one.shape[:2] != valid.shape:
            continue
        with np.errstate(invalid="ignore"):
            apart = np.nan_to_num(np.abs(one - other), nan=np.inf, posinf=np.inf).max(axis=2)
        apart[~valid] = 0
        by_step = np.maximum(by_step, apart.max(axis=0))
        _, time = np.unravel_index(int(apart.argmax()), apart.shape)
        if largest is None or apart.max() > largest.max_abs:
            largest = Drift(*sides, float(apart.max()), *place, int(time))
    if largest is None:
        return None
    horizon = next((int(step) for step in np.flatnonzero(by_step > _APART)), None)
    return replace(largest, by_step=tuple(map(float, by_step)), horizon=horizon)


def growth_of_differences(spec: GRUSpec, equations: Trace, probe: Probe) -> float | None:
    """Return the largest Lyapunov exponent per step of the layers of `spec`, each on its own input.

    Above 0 two right runs come apart exponentially, and drift says nothing; None where a state is not finite.
    """
    exponents = [
        lyapunov_exponent(
            cell(spec.layers[index], direction), equations.places[index, name], name, probe.lengths
        )
        for index, name, direction in spec.directions()
    ]
    largest = max(exponents)
    return largest if np.isfinite(largest) else None
