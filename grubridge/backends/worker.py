"""A process of one runtime: `python -m grubridge.backends.worker MODULE`, started and asked by `pool`.

It first says that it is ready, {}, or why it is not. Then it answers requests:

- {"devices": true}: {"devices": [...]};
- {"artifact", "files", "probe", "trace", "device", "allow_tf32", "memory"}: {}, and the trace of the run is
  in the file "trace". The "files" must still be what grubridge has read: see `changes.noted`. The file
  "probe" holds the inputs. On the CPU, the run takes at most so many bytes of "memory" beside what the
  framework has by then; null sets no limit. CUDA reserves far more than it takes, so there is none on a GPU.

What goes wrong is {"error": its kind, "words": the message}, and for some kinds "reason".
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from grubridge.errors import CannotRunError, GRUBridgeError
from grubridge.files.changes import check_noted
from grubridge.files.child_process import Message, Parent
from grubridge.files.confinement import limited_data
from grubridge.traces import Probe

from .base import Artifact, Backend, choose_device

__all__ = ["main"]


def main(module: str) -> None:
    """Serve requests until there are no more."""
    parent = Parent()
    backend: Any = import_module(module)
    try:
        devices = backend.devices()
    except Exception as error:  # noqa: BLE001 - a framework may raise anything while it starts
        parent.tell(_told(error))
        return
    parent.tell({})
    for request in parent:
        parent.tell({"devices": devices} if "devices" in request else _run(backend, devices, request))


def _run(backend: Backend, devices: tuple[str, ...], request: Message) -> Message:
    started = time.perf_counter()
    try:
        device = choose_device(request["device"], devices)
        probe = Probe.load(Path(request["probe"]))
        artifact = Artifact(**request["artifact"])
        check_noted(request["files"])
        with limited_data(request["memory"] if device == "cpu" else None):
            trace = backend.run(artifact, probe, device, allow_tf32=request["allow_tf32"])
        replace(trace, seconds=time.perf_counter() - started).save(Path(request["trace"]))
    except Exception as error:  # noqa: BLE001 - or while it runs; its words are what the user needs
        return _told(error)
    return {}


def _told(error: Exception) -> Message:
    """Return what the parent needs to raise the error anew."""
    told = {"error": type(error).__name__, "words": str(error)}
    if isinstance(error, CannotRunError):
        return {**told, "reason": error.reason}
    if isinstance(error, GRUBridgeError):
        return told
    kind = "ImportError" if isinstance(error, ImportError) else "Exception"
    return {"error": kind, "words": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stderr.flush()
    os._exit(0)  # all is answered; to take a framework down in order takes up to a second
