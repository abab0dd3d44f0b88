"""What one direction of a trace received and returned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grubridge.errors import ProbeError
from grubridge.spec import Array, GRUDirection, GRUSpec
from grubridge.traces import Place, Probe, Trace, previous_state, valid_steps

__all__ = ["Steps", "initial_state", "layer_input", "steps_of"]


@dataclass(frozen=True)
class Steps:
    """The valid steps of one direction, in any order; float64.

    Args:
        x: inputs, [N, I].
        previous: the states that the runtime itself had returned for the step before, [N, H].
        hidden: the states that it returned, [N, H].
    """

    x: Array
    previous: Array
    hidden: Array


def steps_of(spec: GRUSpec, trace: Trace, probe: Probe, place: Place) -> Steps | None:
    """Return the steps of `place`; None where the trace lacks it or the layer below, or has other shapes."""
    index, name = place
    direction = getattr(spec.layers[index], name)
    x, seen = layer_input(spec, trace, probe, index), trace.places.get(place)
    if x is None or seen is None or seen.hidden.shape != (probe.batch, probe.steps, direction.hidden_size):
        return None
    hidden = seen.hidden.astype(np.float64)
    previous = previous_state(name, hidden, initial_state(direction, probe, place), probe.lengths)
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    return Steps(x.astype(np.float64)[valid], previous[valid], hidden[valid])


def layer_input(spec: GRUSpec, trace: Trace, probe: Probe, index: int) -> Array | None:
    """Return what a layer received, [B, T, I]; None when the trace lacks the layer below.

    The first layer received the probe, a higher one what the trace has for the layer below: nothing that the
    runtime says of its inputs is believed.
    """
    if index == 0:
        return probe.x
    below = [(index - 1, name) for name, _ in spec.layers[index - 1].directions()]
    if any(place not in trace.places for place in below):
        return None
    try:
        joined: Array = np.concatenate([trace.places[place].hidden for place in below], axis=-1)
    except ValueError:  # shapes that do not go together
        return None
    expected = (probe.batch, probe.steps, spec.layers[index].input_size)
    return joined if joined.shape == expected else None


def initial_state(direction: GRUDirection, probe: Probe, place: Place) -> Array:
    """Return h_0, [B, H], float64: the learned one, the probe's, or zeros.

    Raises:
        ProbeError: when the probe's state is of another size.
    """
    shape = (probe.batch, direction.hidden_size)
    if direction.initial_state is not None:
        return np.broadcast_to(direction.initial_state.astype(np.float64), shape)
    state = probe.initial_state.get(place)
    if state is None:
        return np.zeros(shape)
    if state.shape != shape:
        raise ProbeError(
            f"the initial state of layer {place[0]} {place[1]} must be {list(shape)}; "
            f"received {list(state.shape)}"
        )
    return state.astype(np.float64)
