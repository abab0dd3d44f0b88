"""A recorded run of the user's own code, held against the equations of a file.

Where every step of a layer is there, each is judged by itself, from the recorded state before it. The top
layer's outputs of a stack, a last state alone, and outputs that are a function of the states are judged from
end to end, by an ensemble of perturbed runs. Nothing is known of the arithmetic but the precision of the
numbers; its activations are allowed the errors of a runtime that was not measured, and it is not excused for
TF32 or half precision inside.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from grubridge.errors import ProbeError
from grubridge.reference.arithmetic import UNIT_ROUNDOFF, Arithmetic, arithmetic_of
from grubridge.spec import GRUSpec

from .causes import mistake
from .ensemble import FOLLOWED
from .findings import RECORDED, Cause, Comparison, Side
from .free_causes import explain_free
from .free_run import FreeRun, free_run, judge_free
from .outcome import Outcome
from .recorded_steps import compare_steps, explain_steps, recorded_apart
from .recording import Recording
from .result import Run
from .verdict import Verdict, combined

__all__ = ["held"]

_NOT_FINITE = "NaN or infinity was recorded where the equations give a finite number"
_LOST = (
    f"by rounding alone this run may come further than {FOLLOWED:g} from the equations; record every step of "
    "one layer (hidden), or shorter sequences"
)
_UNEXPLAINED = "no known mistake or precision explains the outputs; a recording of every step would show more"


def held(subject: str, spec: GRUSpec, recording: Recording, *, keep_pictures: bool = False) -> Outcome:
    """Hold a recording against the equations of a file.

    Args:
        subject: label of the file.
        spec: what was read from it.
        recording: the run.
        keep_pictures: whether to keep what a page shows of it.

    Returns:
        One run, its comparisons (edge "read"), and causes where it is not an execution of `spec`.

    Raises:
        ProbeError: when the arrays of the recording do not fit the spec.
    """
    if UNIT_ROUNDOFF[recording.dtype] > UNIT_ROUNDOFF[spec.dtype.name]:
        spec = spec.astype(recording.dtype)
    how = arithmetic_of(RECORDED, recording.dtype, blend="either", products="unknown")
    sides = Side(recording.label, RECORDED), Side(subject, None)
    output = spec.io.output_activation
    if output is not None and recording.gates:
        raise ProbeError(
            f"{recording.label}: gates are compared beside the states, and this cell returns {output} of "
            "them: leave the gates out"
        )
    outcome = Outcome(runs=[_run(recording)])
    if recording.hidden is not None and len(spec.layers) == 1 and output is None:
        outcome.apart = recorded_apart(spec, recording, sides) if keep_pictures else None
        found = compare_steps(spec, recording, how, sides)
        causes = explain_steps(spec, recording, how, sides, found)
    else:
        run = replace(free_run(recording, spec), output=output)
        found = list(_compare_free(spec, run, how, sides))
        causes = _explain_free(spec, run, how, found)
    outcome.comparisons = found
    outcome.diagnosis += [Cause("not judged", one.reason) for one in found if one.reason]
    if any(one.max_abs == math.inf for one in found):
        outcome.diagnosis.append(Cause("not a number", _NOT_FINITE))
    else:
        outcome.diagnosis += causes
    return outcome


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


def _compare_free(
    spec: GRUSpec, run: FreeRun, how: Arithmetic, sides: tuple[Side, Side]
) -> Iterator[Comparison]:
    """Judge the outputs from end to end."""
    layer = len(spec.layers) - 1
    for name, one in judge_free(spec, run, how).items():
        where, known = f"layer {layer} {name} hidden", one.followed
        if one.worst is None:
            yield Comparison(
                "read",
                *sides,
                layer,
                name,
                "hidden",
                Verdict.INCONCLUSIVE,
                reason=f"{where}: {_LOST}",
                followed=known,
            )
            continue
        verdict, reason = Verdict.EQUIVALENT, ""
        if one.headroom > 1:
            verdict = Verdict.DIFFERENT
        elif known.judged < known.outputs:
            verdict = Verdict.INCONCLUSIVE
            reason = f"{where}: {known.outputs - known.judged:,} of {known.outputs:,} numbers: {_LOST}"
        yield Comparison(
            "read",
            *sides,
            layer,
            name,
            "hidden",
            verdict,
            one.max_abs,
            one.headroom,
            worst=one.worst,
            first_bad_time=one.first_bad_time,
            reason=reason,
            followed=known,
        )


def _explain_free(spec: GRUSpec, run: FreeRun, how: Arithmetic, found: list[Comparison]) -> Iterator[Cause]:
    if combined(one.verdict for one in found) is Verdict.DIFFERENT:
        explanation = explain_free(spec, run, how)
        yield Cause("unexplained", _UNEXPLAINED) if explanation is None else mistake(explanation, "")
