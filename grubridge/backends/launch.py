"""Runs backends, each in a child process of its own: start all, then collect.

A crash, a clash of OpenMP libraries or a log line of one framework cannot touch another, frameworks load
side by side, and this process imports none. A process serves all jobs of its backend, because importing a
framework takes seconds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from grubridge.errors import BackendError, CannotRunError, GRUBridgeError, MissingDependencyError, ProbeError
from grubridge.files.opening import shown
from grubridge.files.text import printable
from grubridge.trace import Probe, Trace

from .base import Artifact
from .registry import BackendEntry, require

__all__ = ["TIMEOUT", "Job", "devices", "run_job", "run_jobs"]

TIMEOUT = 600.0
"""Seconds that a backend has for all its jobs, its framework's import among them."""

_LAST_LINES = 6
_LONGEST_WORDS = 1000
_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Job:
    """One run of one stack by one backend.

    Args:
        backend: its name.
        artifact: the stack.
        probe: the inputs.
        device: "cpu", "cuda", or "auto": CUDA where the backend offers it.
    """

    backend: str
    artifact: Artifact
    probe: Probe
    device: str = "cpu"


def run_job(job: Job, timeout: float = TIMEOUT) -> Trace:
    """Run one job.

    Raises:
        BackendError: when the framework failed, crashed or gave no answer within `timeout` seconds.
        CannotRunError: when it has no way to run the model.
        MissingDependencyError: when it is not installed.
        ProbeError: when the probe's sizes are not the model's.
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
    with ExitStack() as processes:
        workers = {name: _start(processes, name, list(own.values())) for name, own in requests.items()}
        deadline = time.monotonic() + timeout
        for name, worker in workers.items():
            if isinstance(worker, GRUBridgeError):
                outcomes.update(dict.fromkeys(requests[name], worker))
                continue
            worker.wait(deadline, timeout)
            own = requests[name]
            outcomes.update((number, worker.outcome(i, own[number])) for i, number in enumerate(own))
    return [outcomes[number] for number in range(len(jobs))]


def devices(backends: Sequence[str], timeout: float = TIMEOUT) -> dict[str, tuple[str, ...] | GRUBridgeError]:
    """Return the devices that each backend offers, or why it offers none."""
    offered: dict[str, tuple[str, ...] | GRUBridgeError] = {}
    with ExitStack() as processes:
        workers = {name: _start(processes, name, []) for name in backends}
        deadline = time.monotonic() + timeout
        for name, worker in workers.items():
            if isinstance(worker, GRUBridgeError):
                offered[name] = worker
                continue
            worker.wait(deadline, timeout)
            offered[name] = worker.devices(name)
    return offered


@dataclass
class _Worker:
    """A child process and the folder of its request and answers."""

    process: subprocess.Popen[bytes]
    folder: Path
    entry: BackendEntry
    ending: str = ""
    """Why there may be answers missing."""

    def wait(self, deadline: float, timeout: float) -> None:
        try:
            code = self.process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            self.ending = (
                f"it gave no answer within {timeout:g} s, so its process was ended; "
                "try fewer or shorter sequences, or a smaller model"
            )
            return
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        log = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        lines = [printable(line) for line in log.splitlines() if line.strip()]
        last_words = "\n  ".join(lines[-_LAST_LINES:]) or "(none)"
        self.ending = (
            f"its process {how} before it answered; the file may be damaged, or memory too small. "
            f"Its last words:\n  {last_words}"
        )

    def outcome(self, number: int, job: Job) -> Trace | GRUBridgeError:
        if (self.folder / f"{number}.npz").exists():
            return Trace.load(self.folder / f"{number}.npz")
        who = f"{shown(job.artifact.path)}: {job.backend}"
        for answer in (f"{number}.json", "devices.json"):
            told = self._answer(answer)
            if "error" in told:
                return _raised_anew(who, told, self.entry)
        answered = [path.stem for path in self.folder.iterdir() if path.stem.isdigit()]
        if number > len(answered):
            return BackendError(f"{who} did not run it, because its process had ended at an earlier model")
        return BackendError(f"{who} failed: {self.ending}")

    def devices(self, name: str) -> tuple[str, ...] | GRUBridgeError:
        told = self._answer("devices.json")
        if "devices" in told:
            return tuple(told["devices"])
        if "error" in told:
            return _raised_anew(name, told, self.entry)
        return BackendError(f"{name} failed: {self.ending}")

    def _answer(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return answer


def _start(processes: ExitStack, backend: str, jobs: Sequence[Job]) -> _Worker | GRUBridgeError:
    """Start the process of a backend, which ends with `processes`; or return why it cannot be started."""
    try:
        return processes.enter_context(_started(require(backend), jobs))
    except GRUBridgeError as error:
        return error
    except OSError as error:
        return BackendError(f"{backend}: no process could be started for it: {error}")


@contextmanager
def _started(entry: BackendEntry, jobs: Sequence[Job]) -> Iterator[_Worker]:
    """Start the process that serves `jobs`; it has ended when the context has."""
    with TemporaryDirectory(prefix="grubridge-") as name:
        folder = Path(name)
        requests: list[dict[str, Any]] = []
        for number, job in enumerate(jobs):
            job.probe.save(folder / f"probe-{number}.npz")
            artifact = replace(job.artifact, path=str(Path(job.artifact.path).absolute()))
            requests.append(
                {"artifact": asdict(artifact), "probe": f"probe-{number}.npz", "device": job.device}
            )
        request = {"module": entry.module, "jobs": requests}
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "grubridge.backends.worker", name],
                cwd=folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield _Worker(process, folder, entry)
        finally:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """Return the child's environment: this process's modules, and frameworks that share a GPU quietly."""
    # The working folder ('') is left out: a torch.py in it is not the framework.
    paths = [path for path in sys.path if path]
    if _ROOT not in paths:
        paths.insert(0, _ROOT)
    defaults = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    return {**defaults, **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _raised_anew(who: str, told: dict[str, Any], entry: BackendEntry) -> GRUBridgeError:
    """Return the error that the child met, as one of this process."""
    words = "\n  ".join(
        printable(line, _LONGEST_WORDS) for line in told["words"].splitlines() if line.strip()
    )
    kind = told["error"]
    if kind == CannotRunError.__name__:
        return CannotRunError(f"{who} cannot run it: {words}", told["reason"])
    if kind == ProbeError.__name__:
        return ProbeError(f"{who} cannot take the inputs: {words}")
    if kind == BackendError.__name__:
        return BackendError(f"{who} cannot run it: {words}")
    if kind == ImportError.__name__:
        again = f"install it again: pip install --force-reinstall 'grubridge[{entry.extra}]'"
        return MissingDependencyError(f"{who} cannot be imported: {words}\n{again}", entry.extra)
    return BackendError(
        f"{who} failed on it. Its own words:\n  {words}\n"
        "Another version of the framework may run it, and --backend leaves a runtime out"
    )
