"""Whether the gates of a trace are those of its run: z * h_{t-1} + (1 - z) * n must give back h_t."""

from __future__ import annotations

import numpy as np

from grubridge.reference import cell
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.reference.rounding import Quantity, deviations, one_step_bounds
from grubridge.reference.tapped import Recomposition, recomposed, with_tap_errors
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Place, Trace, previous_state, valid_steps

__all__ = ["recomposition"]

_ROWS = 4096  # at a time


def recomposition(
    spec: GRUSpec, trace: Trace, place: Place, lengths: Array | None = None
) -> Recomposition | None:
    """Return how well the gates of a place give back its states, in float64; None where there are no gates.

    How far they may be off: `reference.tapped.recomposed`.

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
    how = arithmetic_of(trace.backend, trace.dtype, trace.device)
    reach = deviations(int(valid.sum()), made.hidden.shape[2])
    gates = {name: gate[valid] for name, gate in made.gates.items()}
    x, before, hidden = made.x[valid], previous[valid], made.hidden[valid]
    found: list[Recomposition] = []
    for start in range(0, len(hidden), _ROWS):
        rows = slice(start, start + _ROWS)
        states = before[rows].astype(np.float64)
        received: dict[Quantity, Array] = {"hidden": hidden[rows].astype(np.float64)}
        received.update((name, gate[rows]) for name, gate in gates.items())
        bounds = one_step_bounds(numbers, x[rows].astype(np.float64), states, how, deviations=reach)
        if made.gate_source == "observed":
            bounds = with_tap_errors(bounds, numbers, how)
        found.append(recomposed(received, states, bounds))
    return Recomposition.worst(found)
