"""A run of which only the outputs are known: held, end to end, against an ensemble of perturbed runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from grubridge.reference.arithmetic import Arithmetic
from grubridge.spec import Activation, Array, Direction, GRUSpec
from grubridge.traces import Probe, valid_steps

from .compare import largest_finite
from .ensemble import MEMBERS, Envelope, Followed, envelope
from .judge import Element
from .recording import Recording

__all__ = ["FreeFinding", "FreeRun", "free_run", "judge_free", "last_read"]


@dataclass(frozen=True)
class FreeRun:
    """Outputs of the top layer of a run.

    Args:
        probe: the inputs.
        outputs: of each direction, [B, T, H], float64, steps in time order.
        seen: where they are known, [B, T] booleans.
        only_last: whether that is only what each direction returned last.
        largest: the largest finite number of the run's format.
        output: the function of the states that the outputs are; None where they are the states.
    """

    probe: Probe
    outputs: Mapping[Direction, Array]
    seen: Mapping[Direction, Array]
    only_last: bool
    largest: float
    output: Activation | None = None

    def ending(self, ends: Mapping[Direction, Array]) -> FreeRun:
        """Return the run with its last states at other steps, [B, T] booleans, one in each sequence."""
        moved = {
            name: np.where(ends[name][..., None], output[self.seen[name]][:, None], 0.0)
            for name, output in self.outputs.items()
        }
        return replace(self, outputs=moved, seen=ends)


@dataclass(frozen=True)
class FreeFinding:
    """How the outputs of one direction compare with the equations.

    Args:
        followed: what could be judged.
        max_abs: largest |error| of what was judged; infinite where NaN was recorded for a finite value.
        headroom: largest error over what rounding may do; at most 1 where the run is honest.
        worst: where that is; None when nothing was judged.
        first_bad_time: the first step, in the order of reading, that is beyond; None when none is.
    """

    followed: Followed
    max_abs: float
    headroom: float
    worst: Element | None
    first_bad_time: int | None


def free_run(recording: Recording, spec: GRUSpec) -> FreeRun:
    """Return the outputs of a recording by direction.

    Raises:
        ProbeError: when the recording does not fit the spec.
    """
    probe = recording.probe(spec)
    names = [name for name, _ in spec.layers[-1].directions()]
    parts = np.split(recording.outputs.astype(np.float64), len(names), axis=-1)
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    only_last = recording.hidden is None
    seen = {name: last_read(name, valid) if only_last else valid for name in names}
    outputs = {
        name: np.where(seen[name][..., None], part[:, None], 0.0) if only_last else part
        for name, part in zip(names, parts, strict=True)
    }
    return FreeRun(probe, outputs, seen, only_last, largest_finite(recording.dtype))


def last_read(name: Direction, valid: Array) -> Array:
    """Return which step of each sequence is read last, [B, T] booleans, of the `valid` ones."""
    chosen = np.zeros_like(valid)
    chosen[np.arange(len(valid)), valid.sum(axis=1) - 1 if name == "forward" else 0] = True
    return chosen


def judge_free(spec: GRUSpec, run: FreeRun, how: Arithmetic) -> dict[Direction, FreeFinding]:
    """Hold the outputs of `run` against the equations of `spec`, executed in the arithmetic `how`."""
    found = _judged(spec, run, how, in_order=False)
    if any(one.headroom > 1 for one in found.values()):  # sums in their natural order may err by more
        found = _judged(spec, run, how, in_order=True)
    return found


def _judged(spec: GRUSpec, run: FreeRun, how: Arithmetic, *, in_order: bool) -> dict[Direction, FreeFinding]:
    recorded = sum(int(seen.sum()) * run.outputs[name].shape[2] for name, seen in run.seen.items())
    expected = envelope(spec, run.probe, how, recorded, output=run.output, in_order=in_order)
    return {name: _finding(name, run, made) for name, made in expected.items()}


def _finding(name: Direction, run: FreeRun, expected: Envelope) -> FreeFinding:
    outputs, seen = run.outputs[name], np.broadcast_to(run.seen[name][..., None], run.outputs[name].shape)
    finite = seen & np.isfinite(expected.value) & (np.abs(expected.value) < run.largest / 2)
    followed, missing = finite & np.isfinite(expected.reach), finite & ~np.isfinite(outputs)
    judged = followed | missing
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(missing, np.inf, np.abs(outputs - expected.value))
        headroom: Array = np.where(missing, np.inf, np.where(error > 0, error / expected.reach, 0))
    accepted = float(expected.reach[followed].max(initial=0))
    known = Followed(MEMBERS, int(seen.sum()), int(judged.sum()), accepted)
    if not judged.any():
        return FreeFinding(known, 0.0, 0.0, None, None)
    headroom[~judged] = -1
    worst = np.unravel_index(int(headroom.argmax()), headroom.shape)
    return FreeFinding(
        known,
        float(error[judged].max()),
        float(headroom[worst]),
        Element(*map(int, worst)),
        _first(name, run.probe, headroom.max(axis=2) > 1),
    )


def _first(name: Direction, probe: Probe, bad: Array) -> int | None:
    """The step that is read first, of those where `bad`, [B, T]; None where there is none."""
    if not bad.any():
        return None
    batch, time = np.nonzero(bad)
    ends = np.full(probe.batch, probe.steps) if probe.lengths is None else np.asarray(probe.lengths)
    order = time if name == "forward" else ends[batch] - 1 - time
    return int(time[order.argmin()])
