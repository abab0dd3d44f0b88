"""Whether the gates of a trace are those of its run: z * h_{t-1} + (1 - z) * n must give back h_t."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grubridge.reference import cell
from grubridge.reference.arithmetic import UNIT_ROUNDOFF, arithmetic_of
from grubridge.reference.rounding import deviations, one_step_bounds
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Place, Trace, previous_state, valid_steps

__all__ = ["Recomposition", "recomposition"]

_ROWS = 4096  # at a time


@dataclass(frozen=True)
class Recomposition:
    """How well gates give back the states.

    Args:
        max_abs: the largest |z * h_{t-1} + (1 - z) * n - h_t| of all valid steps.
        of_bound: the largest share of what rounding allows; above 1, the gates are not those of this run.
    """

    max_abs: float
    of_bound: float


def recomposition(
    spec: GRUSpec, trace: Trace, place: Place, lengths: Array | None = None
) -> Recomposition | None:
    """Return how well the gates of a place give back its states, in float64; None where there are no gates.

    Both sides are evaluations of the same step, each within the step's rounding bound of its exact value, so
    that they may differ by twice that bound (`reference.rounding`).

    Args:
        spec: what ran.
        trace: the run.
        place: the layer and direction.
        lengths: [B] valid steps of each sequence; None when all are valid.
    """
    made, (index, way) = trace[place], place
    if made.gates is None:
        return None
    layer = spec.layers[index]
    numbers = cell(layer, dict(layer.directions())[way])
    valid = valid_steps(made.hidden.shape[0], made.hidden.shape[1], lengths)
    previous = previous_state(way, made.hidden, made.initial_state, lengths)
    arrays = (made.x, previous, made.gates.update, made.gates.candidate, made.hidden)
    rows = [array[valid] for array in arrays]
    how = arithmetic_of(trace.backend, trace.dtype, trace.device)
    if "TF32" in trace.precision:
        how = replace(how, product_input=UNIT_ROUNDOFF["float16"])  # of as many digits
    reach = deviations(int(valid.sum()), made.hidden.shape[2])
    largest, share = 0.0, 0.0
    for start in range(0, len(rows[0]), _ROWS):
        x, before, z, n, h = (array[start : start + _ROWS].astype(np.float64) for array in rows)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            error = np.abs(z * before + (1 - z) * n - h)
            bound = 2 * one_step_bounds(numbers, x, before, how, deviations=reach)["hidden"].statistical
            # gates that were wider inside were rounded once more when they were returned
            bound += how.output * (np.abs(z * (before - n)) + np.abs((1 - z) * n)) + 2 * how.output_underflow
            of_bound = np.where(error == 0, 0, error / bound)
        # NaN among the states is passed on: np.maximum keeps it
        largest = float(np.maximum(largest, error.max()))
        share = float(np.maximum(share, of_bound.max()))
    return Recomposition(largest, share)
