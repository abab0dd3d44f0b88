"""Runs backends, each in a child process of its own: start all, then collect.

A crash, a clash of OpenMP libraries or a log line of one framework cannot touch another, frameworks load
side by side, and this process imports none. A process serves all jobs of its backend, because importing a
framework takes seconds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

from grubridge.errors import BackendError, GRUBridgeError
from grubridge.trace import Trace

from .child import Child, Job, started
from .registry import require

__all__ = ["TIMEOUT", "Job", "devices", "run_job", "run_jobs"]

TIMEOUT = 600.0
"""Seconds that a backend has for all its jobs, its framework's import among them."""


def run_job(job: Job, timeout: float = TIMEOUT) -> Trace:
    """Run one job.

    Raises:
        BackendError: when the framework failed, crashed or gave no answer within `timeout` seconds.
        CannotRunError: when it has no way to run the model.
        MissingDependencyError: when it is not installed.
        ProbeError: when an initial state is not of the model's size.
    """
    (outcome,) = run_jobs([job], timeout)
    if isinstance(outcome, GRUBridgeError):
        raise outcome
    return outcome


def run_jobs(jobs: Sequence[Job], timeout: float = TIMEOUT) -> list[Trace | GRUBridgeError]:
    """Run every job, the backends at the same time, and return the outcomes in order.

    What `run_job` would raise is an outcome here, so that one failure does not hide the other results.
    """
    outcomes: dict[int, Trace | GRUBridgeError] = {}
    requests = {
        name: {number: job for number, job in enumerate(jobs) if job.backend == name}
        for name in dict.fromkeys(job.backend for job in jobs)
    }
    with ExitStack() as running:
        children = {name: _start(running, name, list(own.values())) for name, own in requests.items()}
        deadline = time.monotonic() + timeout
        for name, child in children.items():
            if isinstance(child, GRUBridgeError):
                outcomes.update(dict.fromkeys(requests[name], child))
                continue
            child.wait(deadline, timeout)
            own = requests[name]
            outcomes.update((number, child.outcome(i, own[number])) for i, number in enumerate(own))
    return [outcomes[number] for number in range(len(jobs))]


def devices(backends: Sequence[str], timeout: float = TIMEOUT) -> dict[str, tuple[str, ...] | GRUBridgeError]:
    """Return the devices that each backend offers, or why it offers none."""
    offered: dict[str, tuple[str, ...] | GRUBridgeError] = {}
    with ExitStack() as running:
        children = {name: _start(running, name, []) for name in backends}
        deadline = time.monotonic() + timeout
        for name, child in children.items():
            if isinstance(child, GRUBridgeError):
                offered[name] = child
                continue
            child.wait(deadline, timeout)
            offered[name] = child.devices(name)
    return offered


def _start(running: ExitStack, backend: str, jobs: Sequence[Job]) -> Child | GRUBridgeError:
    """Start the process of a backend, which ends with `running`; or return why it cannot be started."""
    try:
        return running.enter_context(started(require(backend), jobs))
    except GRUBridgeError as error:
        return error
    except OSError as error:
        return BackendError(f"{backend}: no process could be started for it: {error}")
