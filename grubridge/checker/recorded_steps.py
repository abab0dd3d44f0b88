"""A recording of every step of one layer: each is held against the equations; and why one is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from grubridge.diagnosis.explain import explain
from grubridge.diagnosis.weight_change import localise
from grubridge.reference import Cell, cell, one_step, run
from grubridge.reference.arithmetic import Arithmetic
from grubridge.reference.inputs import initial_state
from grubridge.spec import Array, Direction, Gate, Gates, GRUSpec
from grubridge.traces import DirectionTrace, Place, Probe, Trace, previous_state

from .causes import mistake, unexplained, weight
from .compare import compare
from .findings import RECORDED, Cause, Comparison, Side
from .free_run import free_run
from .heatmaps import heatmaps
from .pictures import Apart
from .recording import Recording
from .verdict import Verdict, combined

__all__ = ["compare_steps", "explain_steps", "recorded_apart"]

_BEGAN_ELSEWHERE = (
    "every step but the first is right: the run began from a state other than zero; record it as "
    "initial_state [1, B, H]"
)
_TAKES = (
    "the recorded update gate takes the candidate, h' = (1 - z) * h + z * n; the file's keeps the state, and "
    "1 - z of the recording agrees with it"
)


def compare_steps(
    spec: GRUSpec, recording: Recording, how: Arithmetic, sides: tuple[Side, Side]
) -> list[Comparison]:
    """Judge every step from the recorded state before it, and the gates that are recorded."""
    found = compare(spec, *_trace(spec, recording), "read", sides, how)
    return [one for one in found if one.quantity == "hidden" or one.quantity in recording.gates]


def explain_steps(
    spec: GRUSpec,
    recording: Recording,
    how: Arithmetic,
    sides: tuple[Side, Side],
    found: list[Comparison],
) -> Iterator[Cause]:
    """Yield what explains a recording that is not an execution of `spec`, by what was `found` of it."""
    if combined(one.verdict for one in found) is Verdict.EQUIVALENT:
        return
    states = [one for one in found if one.quantity == "hidden"]
    wrong = {(one.layer, one.direction) for one in states if one.verdict is Verdict.DIFFERENT}
    if wrong and _after_first_step(spec, recording, how, sides):
        yield Cause("initial state", _BEGAN_ELSEWHERE)
    elif wrong:
        yield from _causes(spec, *_trace(spec, recording), how, wrong)
    elif _with_complement(spec, recording, how, sides):
        yield Cause("update gate", _TAKES, ("update_gate=takes",))


def recorded_apart(spec: GRUSpec, recording: Recording, sides: tuple[Side, Side]) -> Apart:
    """Return the recording beside the free-running equations: states, and the gates that are recorded."""
    trace, probe = _trace(spec, recording)
    recorded, equations = sides
    drawn = heatmaps([run(spec, probe), trace], probe)
    known = (one for one in drawn if one.quantity == "hidden" or one.quantity in recording.gates)
    return Apart(equations, recorded, tuple(known), len(trace.places))


def _trace(spec: GRUSpec, recording: Recording) -> tuple[Trace, Probe]:
    """The run as a trace, and its inputs."""
    free = free_run(recording, spec)
    places: dict[Place, DirectionTrace] = {}
    for _, name, direction in spec.directions():
        start = initial_state(direction, free.probe, (0, name))
        gates = _gates(recording, cell(spec.layers[0], direction), name, start, free.probe)
        places[0, name] = DirectionTrace(free.probe.x, start, free.outputs[name], gates, "recorded")
    return Trace(RECORDED, "", "", recording.dtype, native=True, places=places), free.probe


def _gates(
    recording: Recording, numbers: Cell, name: Direction, start: Array, probe: Probe
) -> Gates[Array] | None:
    """The recorded gates, and those of the equations in the place of any that was not recorded."""
    if not recording.gates or recording.hidden is None:
        return None
    previous = previous_state(name, recording.hidden.astype(np.float64), start, recording.lengths)
    with np.errstate(all="ignore"):
        exact, _ = one_step(numbers, probe.x.astype(np.float64), previous)
    return Gates(*(recording.gates.get(gate, computed) for gate, computed in exact.items()))


def _holds(spec: GRUSpec, recording: Recording, how: Arithmetic, sides: tuple[Side, Side]) -> bool:
    """Whether another recording is an execution of `spec`."""
    found = compare_steps(spec, recording, how, sides)
    return combined(one.verdict for one in found) is Verdict.EQUIVALENT


def _with_complement(spec: GRUSpec, recording: Recording, how: Arithmetic, sides: tuple[Side, Side]) -> bool:
    """Whether the recorded gates are those of the run with 1 - z in the place of z."""
    if "update" not in recording.gates:
        return False
    gates: dict[Gate, Array] = {**recording.gates, "update": 1 - recording.gates["update"]}
    return _holds(spec, replace(recording, gates=gates), how, sides)


def _after_first_step(spec: GRUSpec, recording: Recording, how: Arithmetic, sides: tuple[Side, Side]) -> bool:
    """Whether all but the first step of a layer that reads forward is right, where no state was recorded."""
    hidden, (direction, *others) = recording.hidden, [one for _, one in spec.layers[0].directions()]
    elsewhere = recording.initial_state is not None or direction.initial_state is not None
    if hidden is None or others or spec.layers[0].forward is None or elsewhere:
        return False
    batch, steps, _ = hidden.shape
    lengths = np.full(batch, steps) if recording.lengths is None else recording.lengths
    rows = lengths > 1
    if not rows.any():
        return False
    gates = {gate: array[rows, 1:] for gate, array in recording.gates.items()}
    later = replace(
        recording,
        x=recording.x[rows, 1:],
        hidden=hidden[rows, 1:],
        initial_state=hidden[None, rows, 0],
        lengths=lengths[rows] - 1,
        gates=gates,
    )
    return _holds(spec, later, how, sides)


def _causes(
    spec: GRUSpec, trace: Trace, probe: Probe, how: Arithmetic, places: set[Place]
) -> Iterator[Cause]:
    """Yield what explains the states of `places`, where every step is there."""
    explanations = explain(spec, trace, probe, how, sorted(places))
    yield from (mistake(one, "") for one in explanations)
    left = places.difference(*(one.places for one in explanations))
    for place in sorted(left):
        change = localise(spec, trace, probe, place, how)
        if change is not None and change.explains:
            yield weight(change, "")
            left.discard(place)
    yield from unexplained(left)
