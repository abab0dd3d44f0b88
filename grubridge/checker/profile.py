"""How near errors come to their bounds, over time and number by number: what a picture shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grubridge.spec import Array

__all__ = ["FINEST", "Profile", "ProfileTally"]

FINEST = -20
"""Ratios of error to bound below 2**FINEST are counted together, those of exact numbers among them."""
_COARSEST = 32  # likewise above
_POINTS = 96


@dataclass(frozen=True)
class Profile:
    """Of every step, the number that comes nearest to its bound or exceeds it most; how many come how near.

    A long run is cut into spans of equal length, of which only the step with the largest ratio is kept.

    Args:
        span: steps that each point stands for.
        times: the step of each point, ascending; without those in which nothing was judged.
        errors: the |error| of that number, in each.
        bounds: its bound.
        counts: of numbers by their ratio of error to bound: of `counts[k]` it is at most 2**(FINEST + k), and
            more than half of that; the first counts everything below too, the last everything above.
    """

    span: int
    times: tuple[int, ...]
    errors: tuple[float, ...]
    bounds: tuple[float, ...]
    counts: tuple[int, ...]


class ProfileTally:
    """A profile in the making, over chunks of rows.

    Args:
        steps: T.
    """

    def __init__(self, steps: int) -> None:
        self._ratios = np.full(steps, -1.0)
        self._errors, self._bounds = np.zeros(steps), np.zeros(steps)
        self._counts = np.zeros(_COARSEST - FINEST + 1, np.int64)

    def add(self, times: Array, errors: Array, bounds: Array, ratios: Array) -> None:
        """Take in rows: the step of each, [N]; |error|, bound and their ratio, [N, H]; -1 is not judged."""
        judged = np.clip(ratios[ratios >= 0], 2.0 ** (FINEST - 1), 2.0**_COARSEST)
        fractions, exponents = np.frexp(judged)
        exponents -= fractions == 0.5  # a power of two belongs to the numbers below it
        self._counts += np.bincount((exponents - FINEST).clip(0), minlength=len(self._counts))
        unit = ratios.argmax(axis=1)[:, None]
        largest = np.take_along_axis(ratios, unit, 1)[:, 0]
        order = np.argsort(largest, kind="stable")  # of equal steps, the one that is assigned last stays
        order = order[largest[order] > self._ratios[times[order]]]
        at = times[order]
        self._ratios[at] = largest[order]
        self._errors[at] = np.take_along_axis(errors, unit, 1)[order, 0]
        self._bounds[at] = np.take_along_axis(bounds, unit, 1)[order, 0]

    def profile(self) -> Profile:
        """Return what was taken in."""
        span = -(-len(self._ratios) // _POINTS)
        starts = range(0, len(self._ratios), span)
        kept = [start + int(self._ratios[start : start + span].argmax()) for start in starts]
        times = [time for time in kept if self._ratios[time] >= 0]
        last = max(np.flatnonzero(self._counts), default=-1) + 1
        return Profile(
            span,
            tuple(times),
            tuple(map(float, self._errors[times])),
            tuple(map(float, self._bounds[times])),
            tuple(map(int, self._counts[:last])),
        )
