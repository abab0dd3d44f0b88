"""One child process of a backend: its request, its end and its answers. `worker` is what runs in it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from grubridge.errors import (
    BackendError,
    CannotRunError,
    DeviceError,
    GRUBridgeError,
    MissingDependencyError,
    ProbeError,
)
from grubridge.files.child_environment import child_environment
from grubridge.files.opening import shown
from grubridge.files.text import printable
from grubridge.traces import Probe, Trace

from .base import Artifact
from .registry import BackendEntry

__all__ = ["Child", "Job", "started"]

_LAST_LINES = 6
_LONGEST_WORDS = 1000


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


@dataclass
class Child:
    """A child process and the folder of its request and its answers.

    Args:
        process: the process.
        folder: the folder.
        entry: the backend.
        ending: how the process ended, for the answers that are missing.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    entry: BackendEntry
    ending: str = ""

    def wait(self, deadline: float, timeout: float) -> None:
        """Wait for the end of the process until `deadline`, which is `timeout` seconds after its start."""
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
        """Return the trace of the job with this number in the request, or what went wrong."""
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

    def devices(self, backend: str) -> tuple[str, ...] | GRUBridgeError:
        """Return the devices that the backend of this name offers, or what went wrong."""
        told = self._answer("devices.json")
        if "devices" in told:
            return tuple(told["devices"])
        if "error" in told:
            return _raised_anew(backend, told, self.entry)
        return BackendError(f"{backend} failed: {self.ending}")

    def _answer(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return answer


@contextmanager
def started(entry: BackendEntry, jobs: Sequence[Job]) -> Iterator[Child]:
    """Start a process that serves `jobs`; it has ended when the context has.

    Raises:
        OSError: when the system refuses the process or its folder.
    """
    with TemporaryDirectory(prefix="grubridge-") as name:
        folder = Path(name)
        requests: list[dict[str, Any]] = []
        for number, job in enumerate(jobs):
            job.probe.save(folder / f"probe-{number}.npz")
            artifact = replace(job.artifact, path=str(Path(job.artifact.path).absolute()))
            requests.append(
                {
                    "artifact": asdict(artifact),
                    "probe": f"probe-{number}.npz",
                    "device": job.device,
                    "allow_tf32": job.allow_tf32,
                }
            )
        request = {"module": entry.module, "jobs": requests}
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "grubridge.backends.worker", name],
                cwd=folder,
                env=child_environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Child(process, folder, entry)
        finally:
            process.kill()
            process.wait()


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
    if kind == DeviceError.__name__:
        return DeviceError(f"{who} cannot run it: {words}", told["reason"])
    if kind == BackendError.__name__:
        return BackendError(f"{who} cannot run it: {words}")
    if kind == ImportError.__name__:
        again = f"install it again: pip install --force-reinstall 'grubridge[{entry.extra}]'"
        return MissingDependencyError(f"{who} cannot be imported: {words}\n{again}", entry.extra)
    return BackendError(
        f"{who} failed on it. Its own words:\n  {words}\n"
        "Another version of the framework may run it, and --backend leaves a runtime out"
    )
