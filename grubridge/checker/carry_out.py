"""Plans, carried out: everything runs, one process per runtime side by side, and is compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from grubridge.backends.launch import Job, run_jobs
from grubridge.backends.pool import Serve
from grubridge.errors import BackendError, CannotRunError, DeviceError, GRUBridgeError, ProbeError
from grubridge.reference import run as run_reference
from grubridge.traces import Probe, Trace

from .calibration import Calibration
from .drift import drift, growth_of_differences
from .executed import Executed, Probes
from .findings import Cause, Side, Tolerance
from .outcome import FAILED, NOT_RUN, Outcome
from .pictures import free_runs_apart
from .plan import Plan, PlannedRun, Subject
from .result import Run
from .tolerance import tolerated

__all__ = ["Conditions", "Task", "carry_out"]


@dataclass(frozen=True)
class Task:
    """A plan and its inputs; the plan's first run is what drift is measured from."""

    plan: Plan
    probes: Probes


@dataclass(frozen=True)
class Conditions:
    """How everything is run and judged.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".
        allow_tf32: whether float32 factors of matrix products may be rounded to TF32.
        tolerance: the user's own; None leaves the verdict to the rounding bound.
        serve: the processes of runtimes to use; None starts one of each that is needed.
        keep_pictures: whether to keep what a page shows beyond the report.
    """

    device: str = "auto"
    allow_tf32: bool = False
    tolerance: Tolerance | None = None
    serve: Serve | None = None
    keep_pictures: bool = False


_Result = Trace | GRUBridgeError
_Request = Job | Callable[[], Trace]
"""What a process of a runtime does, or this one."""


def carry_out(tasks: Sequence[Task], conditions: Conditions, folder: Path) -> list[Outcome]:
    """Run everything and compare.

    Args:
        tasks: plans and their inputs.
        conditions: how.
        folder: for temporary files.

    Raises:
        ProbeError: when the inputs do not fit a model.
        DeviceError: when a runtime does not offer the device.
    """
    runs = [(run, task) for task in tasks for run in task.plan.runs]

    def request(run: PlannedRun, probe: Probe) -> _Request:
        if run.subject.run is not None and not run.temporary:
            return partial(run.subject.run, probe, conditions.device)
        return Job(run.backend, run.artifact, probe, conditions.device, conditions.allow_tf32)

    calibration = Calibration(conditions.device, folder)
    requests = [request(run, task.probes.inputs) for run, task in runs]
    requests += [request(run, task.probes.designed) for run, task in runs]
    requests += calibration.jobs(run for run, _ in runs)
    results = _results(requests, conditions)
    count = len(runs)
    calibration.learn(results[2 * count :])
    answered = iter(zip(results[:count], results[count : 2 * count], strict=True))
    return [
        _compared(task, [next(answered) for _ in task.plan.runs], calibration, conditions) for task in tasks
    ]


def _results(requests: Sequence[_Request], conditions: Conditions) -> list[_Result]:
    """Return what became of each request, in order."""
    jobs = [request for request in requests if isinstance(request, Job)]
    answers = iter(run_jobs(jobs, conditions.serve))
    return [next(answers) if isinstance(request, Job) else _here(request) for request in requests]


def _here(run: Callable[[], Trace]) -> _Result:
    started = time.perf_counter()
    try:
        trace = run()
    except GRUBridgeError as error:
        return error
    return replace(trace, seconds=time.perf_counter() - started)


def _compared(
    task: Task,
    results: Sequence[tuple[_Result, _Result]],
    calibration: Calibration,
    conditions: Conditions,
) -> Outcome:
    plan, probes = task.plan, task.probes
    outcome = Outcome(left_out=list(plan.left_out), keep_pictures=conditions.keep_pictures)
    outcome.diagnosis += (Cause(NOT_RUN, reason) for reason in plan.not_run)
    done = list(_executed(plan, results, calibration, outcome))
    equations = _equations(plan.first, probes.inputs)
    outcome.runs = [_run(plan.first.label, equations, ""), *map(_run_of, done)]
    ran = {run.planned.label: run.planned.side for run in done}
    for run in done:
        for held in run.planned.held:
            outcome.compare(run, held, ran.get(held.subject.label), probes)
    own = Side(plan.first.label, None)
    if conditions.keep_pictures:
        outcome.apart = free_runs_apart((own, equations), done, outcome.comparisons, probes.inputs)
    for traces, sides in _free_runs(own, equations, done):
        found = drift(*traces, probes.inputs, sides)
        outcome.drift += [found] if found is not None else []
        if conditions.tolerance is not None:
            outcome.tolerated.append(tolerated(*traces, probes.inputs, sides, conditions.tolerance))
    outcome.lyapunov_exponent = growth_of_differences(plan.first.spec, equations, probes.inputs)
    return outcome


def _executed(
    plan: Plan, results: Sequence[tuple[_Result, _Result]], calibration: Calibration, outcome: Outcome
) -> Iterator[Executed]:
    """Yield the runs that were carried out, and say of the others why they were not."""
    for planned, (result, designed) in zip(plan.runs, results, strict=True):
        if isinstance(result, Trace):
            constants = calibration.constants(planned, result.dtype, result.device)
            if isinstance(designed, GRUBridgeError):
                outcome.left_out.append((f"the designed steps of {planned.label}", str(designed)))
            yield Executed(planned, result, designed if isinstance(designed, Trace) else None, constants)
        elif planned.temporary and isinstance(result, CannotRunError):
            outcome.left_out.append((planned.backend, result.reason))
        elif isinstance(result, (ProbeError, DeviceError)):
            raise result
        else:
            failed = type(result) is BackendError  # rather than one of the reasons for which it was not tried
            outcome.diagnosis.append(Cause(FAILED if failed else NOT_RUN, str(result)))


def _equations(subject: Subject, probe: Probe) -> Trace:
    started = time.perf_counter()
    with np.errstate(all="ignore"):  # weights that hold NaN are met by the comparison
        trace = run_reference(subject.spec, probe)
    return replace(trace, native=False, seconds=time.perf_counter() - started)


def _run_of(run: Executed) -> Run:
    origin = run.constants.origin
    # whether that was in this check or in an earlier one must not make two reports out of one result
    made = _run(run.planned.label, run.trace, "measured here" if origin == "cached" else origin)
    return replace(made, notes=(*made.notes, *run.constants.remarks))


def _run(label: str, trace: Trace, constants: str) -> Run:
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
        max(sources, default=None),
        trace.kernel,
        trace.precision,
        constants,
    )


def _free_runs(
    side: Side, equations: Trace, done: Sequence[Executed]
) -> Iterator[tuple[tuple[Trace, Trace], tuple[Side, Side]]]:
    """Pair the first run with the free-running equations, and every other run with the first."""
    base, base_side = equations, side
    for run in done:
        yield (base, run.trace), (base_side, run.planned.side)
        if base is equations:
            base, base_side = run.trace, run.planned.side
