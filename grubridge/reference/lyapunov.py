"""Whether a small difference of hidden states grows or dies: the Lyapunov exponent of a driven GRU."""

from __future__ import annotations

import numpy as np

from grubridge.spec import Array, Direction
from grubridge.traces import DirectionTrace, previous_state, valid_steps

from .equations import Cell, one_step

__all__ = ["lyapunov_exponent"]

_SMALL = 1e-7  # of a difference: far above float64's rounding, far below what bends
_GONE = 1e-300


def lyapunov_exponent(cell: Cell, run: DirectionTrace, direction: Direction, lengths: Array | None) -> float:
    """Return the mean logarithm of a small difference's growth per step, along a run of the equations.

    The difference starts in a random direction and is brought back to its small size after every step
    (Benettin et al., Meccanica 15, 1980). Positive: chaotic. NaN when a state is not finite.

    Args:
        cell: the direction's numbers.
        run: its float64 run: x [B, T, I], hidden [B, T, H], initial_state [B, H].
        direction: of reading.
        lengths: [B], or None.
    """
    batch, steps, _ = run.x.shape
    valid = valid_steps(batch, steps, lengths)
    hidden = run.hidden.astype(np.float64)
    previous = previous_state(direction, hidden, run.initial_state.astype(np.float64), lengths)
    offset = _unit(np.random.default_rng(0).standard_normal((batch, hidden.shape[2])))
    total = 0.0
    for t in range(steps) if direction == "forward" else range(steps - 1, -1, -1):
        rows = valid[:, t]
        moved = previous[rows, t] + _SMALL * offset[rows]
        _, following = one_step(cell, run.x[rows, t].astype(np.float64), moved)
        apart = (following - hidden[rows, t]) / _SMALL
        total += float(np.log(np.maximum(np.linalg.norm(apart, axis=1), _GONE)).sum())
        offset[rows] = _unit(apart)
    return total / int(valid.sum())


def _unit(vectors: Array) -> Array:
    """Scale rows to length 1; a row that is gone goes on in the first direction."""
    sizes = np.linalg.norm(vectors, axis=1, keepdims=True)
    first = np.eye(1, vectors.shape[1])
    scaled: Array = np.where(sizes > _GONE, vectors / np.maximum(sizes, _GONE), first)
    return scaled
