"""A plan, carried out: the runs compared with what they are held against."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from grubridge.backends.launch import Job, run_jobs
from grubridge.errors import CannotRunError, DeviceError, GRUBridgeError, ProbeError
from grubridge.reference import run as run_reference
from grubridge.reference.arithmetic import UNIT_ROUNDOFF, Arithmetic, arithmetic_of
from grubridge.traces import Probe, Trace

from .compare import compare
from .drift import drift, growth_of_differences
from .plan import Held, Plan, PlannedRun, Subject
from .result import Cause, Comparison, Drift, Run, Side, Tolerance, Tolerated
from .structure import conventions, largest_weight_change
from .tolerance import tolerated
from .verdict import Verdict, combined

__all__ = ["Outcome", "Task", "carry_out"]


_NOT_RUN = "not run"


@dataclass(frozen=True)
class Task:
    """A plan and its inputs; the plan's first run is what drift is measured from."""

    plan: Plan
    probe: Probe


@dataclass
class Outcome:
    """What became of a task."""

    runs: list[Run] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    diagnosis: list[Cause] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    lyapunov_exponent: float | None = None
    tolerated: list[Tolerated] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    @property
    def by_the_bound(self) -> Verdict:
        """What every step's rounding bound says."""
        return self._unless_not_run(comparison.verdict for comparison in self.comparisons)

    @property
    def by_tolerance(self) -> Verdict:
        """What the user's own tolerance says of the free runs."""
        return self._unless_not_run(one.verdict for one in self.tolerated)

    def _unless_not_run(self, verdicts: Iterable[Verdict]) -> Verdict:
        """A file that did not run leaves the whole inconclusive, unless a difference was found."""
        not_run = any(cause.cause == _NOT_RUN for cause in self.diagnosis)
        return combined([*verdicts, *[Verdict.INCONCLUSIVE] * not_run])

    def add(
        self, held: Held, planned: PlannedRun, trace: Trace, probe: Probe, other_run: Side | None
    ) -> None:
        """Compare a run with one thing that it is held against."""
        equations = Side(held.subject.label, None)
        sides = {
            "read": (planned.side, equations),
            "write": (equations, planned.side),
            "end-to-end": (other_run or equations, planned.side),
        }[held.edge]
        how = _arithmetic(held, planned, trace)
        found = compare(held.spec, trace, probe, held.edge, sides, how)
        self.comparisons += found
        self.diagnosis += (Cause("not judged", one.reason) for one in found if one.reason)
        if combined(comparison.verdict for comparison in found) is Verdict.DIFFERENT:
            names = held.subject.label, planned.label
            self.diagnosis += conventions(held.spec, planned.subject.spec, names)


def carry_out(tasks: Sequence[Task], device: str, tolerance: Tolerance | None = None) -> list[Outcome]:
    """Run everything, one process per runtime side by side, and compare.

    Raises:
        ProbeError: when the inputs do not fit a model.
        DeviceError: when a runtime does not offer the device.
    """
    jobs = [Job(run.backend, run.artifact, task.probe, device) for task in tasks for run in task.plan.runs]
    results = iter(run_jobs(jobs))
    return [_compared(task, [next(results) for _ in task.plan.runs], tolerance) for task in tasks]


def _compared(task: Task, results: Sequence[Trace | GRUBridgeError], tolerance: Tolerance | None) -> Outcome:
    plan, probe = task.plan, task.probe
    outcome = Outcome(left_out=list(plan.left_out))
    outcome.diagnosis += (Cause(_NOT_RUN, reason) for reason in plan.not_run)
    done: list[tuple[PlannedRun, Trace]] = []
    for planned, result in zip(plan.runs, results, strict=True):
        if isinstance(result, Trace):
            done.append((planned, result))
        elif planned.temporary and isinstance(result, CannotRunError):
            outcome.left_out.append((planned.backend, result.reason))
        elif isinstance(result, (ProbeError, DeviceError)):
            raise result
        else:
            outcome.diagnosis.append(Cause(_NOT_RUN, str(result)))
    equations = _equations(plan.first, probe)
    outcome.runs = [
        _run(plan.first.label, equations),
        *(_run(planned.label, trace) for planned, trace in done),
    ]
    ran = {planned.label: planned.side for planned, _ in done}
    for planned, trace in done:
        for held in planned.held:
            outcome.add(held, planned, trace, probe, ran.get(held.subject.label))
    for traces, sides in _free_runs(Side(plan.first.label, None), equations, done):
        found = drift(*traces, probe, sides)
        outcome.drift += [found] if found is not None else []
        if tolerance is not None:
            outcome.tolerated.append(tolerated(*traces, probe, sides, tolerance))
    outcome.lyapunov_exponent = growth_of_differences(plan.first.spec, equations, probe)
    return outcome


def _equations(subject: Subject, probe: Probe) -> Trace:
    started = time.perf_counter()
    with np.errstate(all="ignore"):  # weights that hold NaN are met by the comparison
        trace = run_reference(subject.spec, probe)
    return replace(trace, native=False, seconds=time.perf_counter() - started)


def _run(label: str, trace: Trace) -> Run:
    sources = {made.gate_source for made in trace.places.values() if made.gates is not None}
    return Run(
        label,
        trace.backend,
        trace.version,
        trace.device,
        trace.dtype,
        trace.native,
        trace.seconds,
        trace.notes,
        min(sources, default=None),
    )


def _arithmetic(held: Held, planned: PlannedRun, trace: Trace) -> Arithmetic:
    """The runtime's own, unless it holds rounded weights: then the finer precision of the two files."""
    dtype = trace.dtype
    if held.edge == "end-to-end" and largest_weight_change(held.spec, planned.subject.spec):
        dtype = min(dtype, held.spec.dtype.name, key=lambda name: UNIT_ROUNDOFF[name])
    return arithmetic_of(trace.backend, dtype, trace.device)


def _free_runs(
    side: Side, equations: Trace, done: Sequence[tuple[PlannedRun, Trace]]
) -> Iterator[tuple[tuple[Trace, Trace], tuple[Side, Side]]]:
    """Pair the first run with the free-running equations, and every other run with the first."""
    base, base_side = equations, side
    for planned, trace in done:
        yield (base, trace), (base_side, planned.side)
        if base is equations:
            base, base_side = trace, planned.side
