"""Runs backends, each in a child process of its own: start all, then collect.

A crash, a clash of OpenMP libraries or a log line of one framework cannot touch another, frameworks load
side by side, and this process imports none. A process serves all jobs of its backend, because importing a
framework takes seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from grubridge.errors import BackendError, GRUBridgeError
from grubridge.traces import Trace

from .child import Child, Job, started
from .registry import require

__all__ = ["TIMEOUT", "Job", "devices", "run_jobs"]

TIMEOUT = 600.0
"""Seconds that a backend has for all its jobs, its framework's import among them."""


def run_jobs(jobs: Sequence[Job], timeout: float = TIMEOUT) -> list[Trace | GRUBridgeError]:
    """Run every job, the backends at the same time, and return the outcomes in order.

    An error is an outcome, so that one failure does not hide the other results: BackendError when the
    framework failed, crashed or gave no answer within `timeout` seconds, CannotRunError when it has no way to
    run the model, MissingDependencyError when it is not installed, ProbeError when an initial state is not of
    the model's size.
    """
    outcomes: dict[int, Trace | GRUBridgeError] = {}
    requests: dict[str, list[int]] = {}
    for number, job in enumerate(jobs):
        requests.setdefault(job.backend, []).append(number)
    with _ended({name: [jobs[n] for n in own] for name, own in requests.items()}, timeout) as children:
        for name, child in children.items():
            for index, number in enumerate(requests[name]):
                outcomes[number] = (
                    child if isinstance(child, GRUBridgeError) else child.outcome(index, jobs[number])
                )
    return [outcomes[number] for number in range(len(jobs))]


def devices(backends: Sequence[str], timeout: float = TIMEOUT) -> dict[str, tuple[str, ...] | GRUBridgeError]:
    """Return the devices that each backend offers, or why it offers none."""
    with _ended(dict.fromkeys(backends, ()), timeout) as children:
        return {
            name: child if isinstance(child, GRUBridgeError) else child.devices(name)
            for name, child in children.items()
        }


@contextmanager
def _ended(
    requests: Mapping[str, Sequence[Job]], timeout: float
) -> Iterator[dict[str, Child | GRUBridgeError]]:
    """Start the process of every backend with its jobs, and yield them when the last has ended.

    In the place of a process stands the reason why it could not be started.
    """
    with ExitStack() as running:
        children = {name: _start(running, name, jobs) for name, jobs in requests.items()}
        deadline = time.monotonic() + timeout
        for child in children.values():
            if isinstance(child, Child):
                child.wait(deadline, timeout)
        yield children


def _start(running: ExitStack, backend: str, jobs: Sequence[Job]) -> Child | GRUBridgeError:
    """Start the process of a backend, which ends with `running`; or return why it cannot be started."""
    try:
        return running.enter_context(started(require(backend), jobs))
    except GRUBridgeError as error:
        return error
    except OSError as error:
        return BackendError(f"{backend}: no process could be started for it: {error}")
