"""How well a layout explains a recorded run, by the checker's own measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from grubridge.checker.compare import compare
from grubridge.checker.findings import RECORDED, Side
from grubridge.checker.free_run import free_run, judge_free
from grubridge.checker.recording import Recording
from grubridge.errors import InvalidSpecError, ProbeError, UnsupportedFeatureError
from grubridge.files.tensors import StoredTensor
from grubridge.layouts.description import CellLayout
from grubridge.layouts.finding import find
from grubridge.reference.arithmetic import UNIT_ROUNDOFF, arithmetic_of
from grubridge.reference.inputs import initial_state
from grubridge.spec import GRUSpec, StackIO
from grubridge.traces import DirectionTrace, Trace

from .states import recovered

__all__ = ["Measure", "measure", "read"]

_OUTPUT, _OUTPUT_AT_ONCE = 64.0, 16.0
"""Units of rounding that a state may be off which was computed back from tanh of it: tanh itself errs by 10,
and 1 / (1 - tanh(1)^2) is 2.4; |h| is at most 1. An ensemble is given the second as the unit of a step."""


@dataclass(frozen=True)
class Measure:
    """How far a run is from the equations of a spec.

    Args:
        headroom: the largest error over what rounding may do; at most 1 where the run is honest.
        max_abs: the largest error.
        judged: whether any value could be judged.
        first_bad_time: the first step in the order of reading that is beyond; None when none is.
    """

    headroom: float
    max_abs: float
    judged: bool
    first_bad_time: int | None

    @property
    def fits(self) -> bool:
        """Whether the run is an execution of the spec, as far as it can tell."""
        return self.judged and self.headroom <= 1


def read(layout: CellLayout, prefix: str, tensors: Mapping[str, StoredTensor]) -> GRUSpec | None:
    """Return what the tensors behind `prefix` are by `layout`; None where they do not fit it."""
    for stack in find(layout, tensors):
        if stack.prefix == prefix:
            try:
                io = StackIO(time_major=layout.time_major, output_activation=layout.output_activation)
                return GRUSpec(stack.read(tensors), io=io)
            except (InvalidSpecError, UnsupportedFeatureError):
                return None
    return None


def measure(spec: GRUSpec, recording: Recording) -> Measure | None:
    """Hold a run against a spec; None where they do not fit each other, by their sizes or its output."""
    dtype, output = recording.dtype, spec.io.output_activation
    how = arithmetic_of(RECORDED, dtype, blend="either", products="unknown")
    if output is not None:
        states = recovered(recording, output)
        if states is None:
            return None
        recording = states
        if states.hidden is None:
            how = replace(how, unit=_OUTPUT_AT_ONCE * how.unit)
        else:
            how = replace(how, output=_OUTPUT * how.unit, output_underflow=how.underflow)
    if UNIT_ROUNDOFF[dtype] > UNIT_ROUNDOFF[spec.dtype.name]:
        spec = spec.astype(dtype)
    try:
        run = free_run(recording, spec)
    except ProbeError:
        return None
    if recording.hidden is None or len(spec.layers) > 1:
        ends = judge_free(spec, run, how).values()
        bad = [one.first_bad_time for one in ends if one.first_bad_time is not None]
        return Measure(
            max(one.headroom for one in ends),
            max(one.max_abs for one in ends),
            any(one.followed.judged for one in ends),
            min(bad, default=None),
        )
    places = {
        (0, name): DirectionTrace(
            run.probe.x, initial_state(direction, run.probe, (0, name)), run.outputs[name], None, "recorded"
        )
        for name, direction in spec.layers[0].directions()
    }
    trace = Trace(RECORDED, "", "", dtype, native=True, places=places)
    sides = Side(recording.label, RECORDED), Side("", None)
    found = compare(spec, trace, run.probe, "read", sides, how)
    judged = [one for one in found if one.headroom is not None and one.max_abs is not None]
    bad = [one.first_bad_time for one in judged if one.first_bad_time is not None]
    return Measure(
        max((one.headroom or 0.0 for one in judged), default=0.0),
        max((one.max_abs or 0.0 for one in judged), default=0.0),
        bool(judged),
        min(bad, default=None),
    )
