"""Runs backends, each in processes of its own, and brings back their traces.

A crash, a clash of OpenMP libraries or a log line of one framework cannot touch another, frameworks load
side by side, and this process imports none. A process serves many jobs, because importing a framework takes
seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from grubridge.errors import (
    BackendError,
    CannotRunError,
    CorruptFileError,
    DeviceError,
    FileFormatError,
    GRUBridgeError,
    MissingDependencyError,
    ProbeError,
    UnsafeFileError,
)
from grubridge.files.changes import noted
from grubridge.files.child_process import Message
from grubridge.files.limits import current, memory_advice
from grubridge.files.opening import shown
from grubridge.files.text import printable
from grubridge.traces import Probe, Trace

from .base import Artifact
from .pool import ENDED, Pool, Request, Serve
from .registry import TIMEOUT, BackendEntry, find, require

__all__ = ["Job", "devices", "run_jobs"]

_LONGEST_WORDS = 1000
_REFUSALS = {kind.__name__ for kind in (BackendError, FileFormatError, CorruptFileError, UnsafeFileError)}
_WITH_REASONS = {kind.__name__: kind for kind in (CannotRunError, DeviceError)}


@dataclass(frozen=True)
class Job:
    """One run of one stack by one backend.

    Args:
        backend: its name.
        artifact: the stack.
        probe: the inputs.
        device: "cpu", "cuda", "cuda:1" and so on, or "auto": CUDA where the backend offers it.
        allow_tf32: whether float32 factors of matrix products may be rounded to TF32.
    """

    backend: str
    artifact: Artifact
    probe: Probe
    device: str = "cpu"
    allow_tf32: bool = False


def run_jobs(jobs: Sequence[Job], serve: Serve | None = None) -> list[Trace | GRUBridgeError]:
    """Run every job, the backends at the same time, and return the outcomes in order.

    Each may take what `limits` says, the start of its framework aside.

    An error is an outcome, so that one failure does not hide the other results: BackendError when the
    framework failed, crashed or gave no answer, CannotRunError when it has no way to run the model,
    MissingDependencyError when it is not installed, ProbeError when an initial state is not of the model's
    size.

    Args:
        jobs: what to run.
        serve: the processes to use; None starts one of each runtime, and ends it.
    """
    entries = [_entry(job.backend) for job in jobs]
    outcomes: dict[int, Trace | GRUBridgeError] = {
        number: entry for number, entry in enumerate(entries) if isinstance(entry, GRUBridgeError)
    }
    timeout = current().timeout or TIMEOUT
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="grubridge-")))
        requests = {
            number: Request(entry.module, _message(jobs[number], folder, number), timeout)
            for number, entry in enumerate(entries)
            if isinstance(entry, BackendEntry)
        }
        serve = serve or stack.enter_context(Pool()).serve
        answers = serve(list(requests.values()))
        for (number, request), answer in zip(requests.items(), answers, strict=True):
            outcomes[number] = _outcome(jobs[number], request, answer)
    return [outcomes[number] for number in range(len(jobs))]


def devices(backends: Sequence[str]) -> dict[str, tuple[str, ...] | GRUBridgeError]:
    """Return the devices that each backend offers, or why it offers none."""
    offered: dict[str, tuple[str, ...] | GRUBridgeError] = {}
    entries = {name: _entry(name) for name in backends}
    there = {name: entry for name, entry in entries.items() if isinstance(entry, BackendEntry)}
    with Pool() as pool:
        answers = pool.serve([Request(entry.module, {"devices": True}) for entry in there.values()])
    answered = dict(zip(there, answers, strict=True))
    for name, entry in entries.items():
        if isinstance(entry, GRUBridgeError):
            offered[name] = entry
        elif "error" in answered[name]:
            offered[name] = _raised_anew(name, answered[name], entry)
        else:
            offered[name] = tuple(answered[name]["devices"])
    return offered


def _entry(backend: str) -> BackendEntry | GRUBridgeError:
    """Return a backend, or why it cannot be used."""
    try:
        return require(backend)
    except GRUBridgeError as error:
        return error


def _outcome(job: Job, request: Request, answer: Message) -> Trace | GRUBridgeError:
    if "error" in answer:
        told = {"memory": request.message["memory"], **answer}
        return _raised_anew(f"{shown(job.artifact.path)}: {job.backend}", told, find(job.backend))
    return Trace.load(Path(request.message["trace"]))


def _message(job: Job, folder: Path, number: int) -> Message:
    probe = folder / f"probe-{number}.npz"
    job.probe.save(probe)
    return {
        "artifact": asdict(replace(job.artifact, path=str(Path(job.artifact.path).absolute()))),
        "files": noted(),
        "probe": str(probe),
        "trace": str(folder / f"trace-{number}.npz"),
        "device": job.device,
        "allow_tf32": job.allow_tf32,
        "memory": current().running,
    }


def _raised_anew(who: str, told: Message, entry: BackendEntry) -> GRUBridgeError:
    """Return the error that the child met, as one of this process."""
    kind = told["error"]
    if kind == ENDED:
        return BackendError(f"{who} failed: {told['words']}{_advice(told)}")
    words = "\n  ".join(
        printable(line, _LONGEST_WORDS) for line in told["words"].splitlines() if line.strip()
    )
    if kind in _WITH_REASONS:
        return _WITH_REASONS[kind](f"{who} cannot run it: {words}", told["reason"])
    if kind in _REFUSALS:
        return BackendError(f"{who} cannot run it: {words}")
    if kind == ProbeError.__name__:
        return ProbeError(f"{who} cannot take the inputs: {words}")
    if kind == ImportError.__name__:
        again = f"install it again: pip install --force-reinstall 'grubridge[{entry.extra}]'"
        return MissingDependencyError(f"{who} cannot be imported: {words}\n{again}", entry.extra)
    other = "\nAnother version of the framework may run it, and --backend leaves a runtime out"
    return BackendError(f"{who} failed on it. Its own words:\n  {words}{_advice(told) or other}")


def _advice(told: Message) -> str:
    """Return what may help where a limit was the reason; "" where it was none."""
    if told.get("late"):
        return "; try fewer or shorter sequences, a smaller model, or --timeout SECONDS"
    advice = memory_advice(told["words"], told.get("memory"), died=told["error"] == ENDED)
    return advice and f"\n{advice}"
