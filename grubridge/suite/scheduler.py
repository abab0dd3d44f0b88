"""Pairs checked on a Dask cluster: thousands of checkpoints, the machines of a whole team.

The cluster decides who does what, and starts anew what a lost worker had; this module sees to it that every
pair is answered once. A worker takes one pair at a time, because a check keeps several processes busy. It
reads the files itself, at the same paths, and must have the same grubridge.
"""

from __future__ import annotations

import threading
import uuid
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from grubridge.errors import BackendError, GRUBridgeError, MissingDependencyError
from grubridge.files.opening import shown
from grubridge.files.text import printable
from grubridge.version import __version__

from .files import digests
from .manifest import Pair
from .result import PairResult

__all__ = ["TRIES", "check_on_cluster"]

TRIES = 3
"""How often a pair is started whose worker dies of it."""

_PATIENCE = 10
"""Seconds in which the scheduler must answer."""

_TRANSFER = 10
"""Seconds in which a result is fetched from the worker that has it."""

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class _Job:
    """What a worker is given.

    Args:
        pair: with the absolute path of its folder.
        files: the sha256 of every file of it.
        check: what answers it.
        topic: under which its starts are noted with the scheduler, which outlives workers.
        version: of the grubridge that asks.
    """

    pair: Pair
    files: dict[str, str]
    check: Callable[[Pair], PairResult]
    topic: str
    version: str = __version__


def check_on_cluster(
    pairs: Sequence[Pair], address: str, check: Callable[[Pair], PairResult]
) -> Generator[PairResult]:
    """Yield the result of every pair as it comes, once each.

    A pair whose worker dies is started again; after `TRIES` starts it is trouble. So is one whose files are
    others for the worker than here.

    Args:
        pairs: their files can be read here.
        address: of the scheduler, e.g. "tcp://10.0.0.5:8786".
        check: a function of a module, which the workers import; it raises nothing.

    Raises:
        MissingDependencyError: when distributed is not installed.
        BackendError: when no scheduler answers at the address.
    """
    run = uuid.uuid4().hex
    with _connected(address) as client:
        if not client.nthreads():
            warnings.warn(f"{printable(address)} has no workers yet; the pairs wait for some", stacklevel=2)
        jobs = (_job(pair, check, f"grubridge-{run}-{number}") for number, pair in enumerate(pairs))
        yield from _answers(client, list(jobs))


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Connect to the scheduler; the context is a client."""
    try:
        client_of = import_module("distributed").Client
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"--scheduler needs Dask's scheduler, and {error.name} is not installed: "
            "pip install 'grubridge[dask]', here and on every worker",
            "dask",
        ) from None
    try:
        client = client_of(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BackendError(
            f"{printable(address)}: no Dask scheduler answers there ({printable(error)}); "
            "expected an address such as tcp://10.0.0.5:8786, as `dask scheduler` prints it"
        ) from None
    with client:
        yield client


def _job(pair: Pair, check: Callable[[Pair], PairResult], topic: str) -> _Job:
    return _Job(replace(pair, folder=pair.folder.resolve()), _digests(pair), check, topic)


def _answers(client: Any, jobs: Sequence[_Job]) -> Generator[PairResult]:  # noqa: ANN401 - distributed is not typed
    distributed = import_module("distributed")
    pending = {_submitted(client, job): job for job in jobs}
    completed = distributed.as_completed(list(pending), loop=client.loop)
    for future in completed:
        job = pending.pop(future)
        result = _result(future, job)
        if result is not None:
            yield result
            continue
        again = _submitted(client, job) if future.status == "error" else future
        pending[again] = job
        completed.add(again)


def _result(future: Any, job: _Job) -> PairResult | None:  # noqa: ANN401
    """Return what became of a pair; None when it is still open, because a worker died."""
    distributed = import_module("distributed")
    if future.status == "lost":  # with the worker that had the result: the cluster works it out anew
        return None
    if future.status == "cancelled":
        return _trouble(
            job.pair, "the scheduler went away before it was checked; start it again, and the check"
        )
    try:
        result: PairResult = future.result(timeout=_TRANSFER)
    except distributed.TimeoutError:  # lost in this very moment
        return None
    except distributed.KilledWorker:  # too many workers died that had it, perhaps of another pair
        return None
    except Exception as error:  # noqa: BLE001 - whatever a worker may raise that is not as it should be
        words = f"{type(error).__name__}: {printable(error)}"
        return _trouble(job.pair, f"a worker cannot take it: {words}; it needs the same grubridge as here")
    return result


def _submitted(client: Any, job: _Job) -> Any:  # noqa: ANN401 - distributed is not typed
    return client.submit(_answer, job, key=f"{job.topic}-{uuid.uuid4().hex}", pure=False)


def _answer(job: _Job) -> PairResult:
    """Check a pair; this is what a worker does."""
    with _ONE_AT_A_TIME:
        scheduler = import_module("distributed").get_client()
        if len(scheduler.get_events(job.topic)) >= TRIES:
            return _trouble(
                job.pair,
                f"each of the {TRIES} workers that checked it died of it; memory may be too small: "
                "check it alone with grubridge verify",
            )
        scheduler.log_event(job.topic, "started")
        unlike = _unlike(job)
        return job.check(job.pair) if unlike is None else _trouble(job.pair, unlike)


def _unlike(job: _Job) -> str | None:
    """Return in what this worker is unlike the process that asks; None where it is like it."""
    if job.version != __version__:
        return f"the worker has grubridge {__version__}, and {job.version} asks; install the same on both"
    found = _digests(job.pair)
    for name in sorted(job.files.keys() | found.keys()):
        here, there = job.files.get(name, "absent"), found.get(name, "absent")
        if here != there:
            return (
                f"{shown(job.pair.path(name))} is another file for the worker (sha256 {there[:12]}) "
                f"than here (sha256 {here[:12]}); workers need the same files at the same paths"
            )
    return None


def _digests(pair: Pair) -> dict[str, str]:
    """Return the sha256 of every file; none where one cannot be read, which the check explains."""
    try:
        return digests(pair)
    except (GRUBridgeError, OSError):
        return {}


def _trouble(pair: Pair, words: str) -> PairResult:
    return PairResult(pair.name, pair.artifacts, "trouble", trouble=words, reason=pair.xfail, line=pair.line)
