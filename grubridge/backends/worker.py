"""The child process of one backend: `python -m grubridge.backends.worker FOLDER`, started by `launch`.

The folder holds request.json {"module", "jobs": [{"artifact", "probe", "device", "allow_tf32"}]} and the
probes. For job N the child writes N.npz, a trace, or N.json, an error; devices.json comes first and lists the
devices. What a framework prints goes to the process's output, which `launch` keeps for the case that
the process dies.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from grubridge.errors import CannotRunError, GRUBridgeError
from grubridge.traces import Probe

from .base import Artifact, Backend, choose_device

__all__ = ["main"]


def main(folder: Path) -> None:
    """Serve the request in `folder`."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    backend: Any = import_module(request["module"])
    try:
        devices = backend.devices()
    except Exception as error:  # noqa: BLE001 - a framework may raise anything while it starts
        _write(folder / "devices.json", _told(error))
        return
    _write(folder / "devices.json", {"devices": devices})
    for number, job in enumerate(request["jobs"]):
        _serve(backend, devices, job, folder / str(number))


def _serve(backend: Backend, devices: tuple[str, ...], job: dict[str, Any], answer: Path) -> None:
    started = time.perf_counter()
    try:
        device = choose_device(job["device"], devices)
        probe = Probe.load(answer.parent / job["probe"])
        trace = backend.run(Artifact(**job["artifact"]), probe, device, allow_tf32=job["allow_tf32"])
        unfinished = answer.with_name("unfinished.npz")
        replace(trace, seconds=time.perf_counter() - started).save(unfinished)
        unfinished.replace(answer.with_suffix(".npz"))
    except Exception as error:  # noqa: BLE001 - or while it runs; its words are what the user needs
        _write(answer.with_suffix(".json"), _told(error))


def _told(error: Exception) -> dict[str, str]:
    """Return what the parent needs to raise the error anew."""
    told = {"error": type(error).__name__, "words": str(error)}
    if isinstance(error, CannotRunError):
        return {**told, "reason": error.reason}
    if isinstance(error, GRUBridgeError):
        return told
    kind = "ImportError" if isinstance(error, ImportError) else "Exception"
    return {"error": kind, "words": f"{type(error).__name__}: {error}"}


def _write(path: Path, answer: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(answer), encoding="utf-8")
    unfinished.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the answers are on disk; to take a framework down in order takes up to a second
