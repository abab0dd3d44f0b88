"""A recorded run of the user's own code, held against the equations of a file.

Where every step of a layer is there, each is judged by itself, from the recorded state before it. The top
layer's outputs of a stack, and a last state alone, are judged from end to end, by an ensemble of perturbed
runs. Nothing is known of the arithmetic but the precision of the numbers; its activations are allowed the
errors of a runtime that was not measured, and it is not excused for TF32 or half precision inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from grubridge.diagnosis.explain import explain
from grubridge.diagnosis.weight_change import localise
from grubridge.reference.arithmetic import UNIT_ROUNDOFF, Arithmetic, arithmetic_of
from grubridge.reference.inputs import initial_state
from grubridge.spec import Array, Gate, Gates, GRUDirection, GRUSpec
from grubridge.traces import DirectionTrace, Place, Probe, Trace

from .causes import mistake, unexplained, weight
from .compare import compare
from .ensemble import FOLLOWED
from .findings import RECORDED, Cause, Comparison, Side
from .free_causes import explain_free
from .free_run import FreeRun, free_run, judge_free
from .outcome import Outcome
from .recording import Recording
from .result import Run
from .verdict import Verdict, combined

__all__ = ["held"]

_BEGAN_ELSEWHERE = (
    "every step but the first is right: the run began from a state other than zero; record it as "
    "initial_state [1, B, H]"
)
_TAKES = (
    "the recorded update gate takes the candidate, h' = (1 - z) * h + z * n; the file's keeps the state, and "
    "1 - z of the recording agrees with it"
)


def held(subject: str, spec: GRUSpec, recording: Recording) -> Outcome:
    """Hold a recording against the equations of a file.

    Args:
        subject: label of the file.
        spec: what was read from it.
        recording: the run.

    Returns:
        One run, its comparisons (edge "read"), and causes where it is not an execution of `spec`.

    Raises:
        ProbeError: when the arrays of the recording do not fit the spec.
    """
    if UNIT_ROUNDOFF[recording.dtype] > UNIT_ROUNDOFF[spec.dtype.name]:
        spec = spec.astype(recording.dtype)
    how = arithmetic_of(RECORDED, recording.dtype)
    sides = Side(recording.label, RECORDED), Side(subject, None)
    if recording.hidden is not None and len(spec.layers) == 1:
        found, causes = _step_by_step(spec, recording, how, sides)
    else:
        found, causes = _end_to_end(spec, free_run(recording, spec), how, sides)
    told = [Cause("not judged", one.reason) for one in found if one.reason]
    return Outcome(runs=[_run(recording)], comparisons=found, diagnosis=[*told, *causes])


def _run(recording: Recording) -> Run:
    return Run(
        artifact=recording.label,
        backend=RECORDED,
        version="a recorded run",
        device="",
        dtype=recording.dtype,
        native=True,
        seconds=0.0,
        notes=(),
        gates="recorded" if recording.gates else None,
        kernel="the last state only" if recording.hidden is None else "every step",
    )


def _step_by_step(
    spec: GRUSpec, recording: Recording, how: Arithmetic, sides: tuple[Side, Side]
) -> tuple[list[Comparison], list[Cause]]:
    trace, probe = _trace(spec, recording)
    found = list(compare(spec, trace, probe, "read", sides, how))
    hidden = [one for one in found if one.quantity == "hidden"]
    wrong = {(one.layer, one.direction) for one in hidden if one.verdict is Verdict.DIFFERENT}
    if not wrong and _with_complement(spec, recording, how, sides):
        return found, [Cause("update gate", _TAKES, ("update_gate=takes",))]
    if wrong and _after_first_step(spec, recording, how, sides):
        return found, [Cause("initial state", _BEGAN_ELSEWHERE)]
    return found, list(_causes(spec, trace, probe, how, wrong))


def _trace(spec: GRUSpec, recording: Recording) -> tuple[Trace, Probe]:
    """The run as a trace, and its inputs."""
    run = free_run(recording, spec)
    places: dict[Place, DirectionTrace] = {}
    for _, name, direction in spec.directions():
        start = initial_state(direction, run.probe, (0, name))
        gates = _gates(recording, direction)
        places[0, name] = DirectionTrace(run.probe.x, start, run.outputs[name], gates, "recorded")
    return Trace(RECORDED, "", "", recording.dtype, native=True, places=places), run.probe


def _holds(spec: GRUSpec, recording: Recording, how: Arithmetic, sides: tuple[Side, Side]) -> bool:
    """Whether another recording is an execution of `spec`."""
    found = compare(spec, *_trace(spec, recording), "read", sides, how)
    return combined(one.verdict for one in found) is Verdict.EQUIVALENT


def _with_complement(spec: GRUSpec, recording: Recording, how: Arithmetic, sides: tuple[Side, Side]) -> bool:
    """Whether gates that are not those of the run are, with 1 - z in the place of z."""
    if "update" not in recording.gates or _holds(spec, recording, how, sides):
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


def _gates(recording: Recording, direction: GRUDirection) -> Gates[Array] | None:
    """The recorded gates; one that the cell does not have is a constant."""
    if not recording.gates or recording.hidden is None:
        return None
    constants: dict[Gate, float] = {"update": 0.0, "reset": 1.0}
    shape = recording.hidden.shape
    absent = {gate: np.full(shape, constants[gate]) for gate in direction.absent_gates}
    gates = {**absent, **recording.gates}
    return Gates(gates["update"], gates["reset"], gates["candidate"])


def _causes(
    spec: GRUSpec, trace: Trace, probe: Probe, how: Arithmetic, places: set[Place]
) -> Iterator[Cause]:
    """Yield what explains the states of `places`, where every step is there."""
    if not places:
        return
    explanations = explain(spec, trace, probe, how, sorted(places))
    yield from (mistake(one, "") for one in explanations)
    left = places.difference(*(one.places for one in explanations))
    for place in sorted(left):
        change = localise(spec, trace, probe, place, how)
        if change is not None and change.explains:
            yield weight(change, "")
            left.discard(place)
    yield from unexplained(left)


def _end_to_end(
    spec: GRUSpec, run: FreeRun, how: Arithmetic, sides: tuple[Side, Side]
) -> tuple[list[Comparison], list[Cause]]:
    found: list[Comparison] = []
    layer = len(spec.layers) - 1
    for name, one in judge_free(spec, run, how).items():
        verdict, reason = Verdict.EQUIVALENT, ""
        if one.headroom > 1:
            verdict = Verdict.DIFFERENT
        elif not one.followed.judged:
            verdict = Verdict.INCONCLUSIVE
            reason = (
                f"layer {layer} {name} hidden: by rounding alone this run may come further than {FOLLOWED:g} "
                "from the equations; record every step of one layer (hidden), or shorter sequences"
            )
        judged = one.followed.judged > 0
        found.append(
            Comparison(
                "read",
                *sides,
                layer,
                name,
                "hidden",
                verdict,
                one.max_abs if judged else None,
                one.headroom if judged else None,
                None,
                one.worst,
                one.first_bad_time,
                reason,
                followed=one.followed,
            )
        )
    if not any(one.verdict is Verdict.DIFFERENT for one in found):
        return found, []
    explanation = explain_free(spec, run, how)
    if explanation is not None:
        return found, [mistake(explanation, "")]
    detail = "no known mistake or precision explains the outputs; a recording of every step would show more"
    return found, [Cause("unexplained", detail)]
