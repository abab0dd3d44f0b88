"""The steps of a recorded run whose states before and after are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grubridge.checker.recording import Recording
from grubridge.reference.inverses import invert
from grubridge.spec import Activation
from grubridge.traces import previous_state, valid_steps

from .screen import Steps

__all__ = ["known_steps", "recovered"]


def recovered(recording: Recording, output: Activation) -> Recording | None:
    """Return the run with the states of which `output` made its outputs; None where it made none of them."""
    states = invert(output, recording.outputs.astype(np.float64))
    if not np.isfinite(states).all():
        return None
    states = states.astype(recording.dtype)
    if recording.hidden is None:
        return replace(recording, last=states)
    return replace(recording, hidden=states)


def known_steps(recording: Recording, hidden_size: int) -> Steps | None:
    """Return the steps of one layer that reads forward; None where there are none.

    The first step of every sequence is left out where the run's initial state is not recorded, unless there
    are no others: then it is taken to be zero.
    """
    if recording.hidden is None:
        return None
    hidden = recording.hidden[..., :hidden_size].astype(np.float64)
    batch, count, _ = recording.x.shape
    start = np.zeros((batch, hidden_size))
    valid = valid_steps(batch, count, recording.lengths)
    if recording.initial_state is not None:
        if recording.initial_state.shape[2] != hidden_size:
            return None
        start = recording.initial_state[0].astype(np.float64)
    elif valid[:, 1:].any():
        valid = valid & (np.arange(count) > 0)
    previous = previous_state("forward", hidden, start, recording.lengths)
    x = recording.x.astype(np.float64)
    for known in (x, previous, hidden):
        valid = valid & np.isfinite(known).all(axis=2)
    return Steps(x[valid], previous[valid], hidden[valid]) if valid.any() else None
