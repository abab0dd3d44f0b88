"""A spec, written to a runtime's own kind of file and run by that runtime in this process."""

from __future__ import annotations

import gc
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import grubridge
from grubridge.artifacts import open_artifact
from grubridge.backends.base import Artifact
from grubridge.backends.registry import BACKENDS
from grubridge.formats.registry import adapter
from grubridge.spec import GRUSpec
from grubridge.traces import Probe, Trace

__all__ = ["run_natively"]


def run_natively(spec: GRUSpec, backend: str, probe: Probe) -> tuple[GRUSpec, Trace]:
    """Write `spec`, read it back, and run the file: the path of a user, except that no process is started.

    Returns:
        The spec that was read, and what the runtime did.

    Raises:
        UnsupportedFeatureError: when the runtime's format cannot hold the spec.
        CannotRunError: when the runtime cannot run the file.
    """
    entry = BACKENDS[backend]
    format_ = adapter(entry.formats[0])
    module: Any = import_module(entry.module)
    module.devices()  # starts the framework, as the process of a backend does first
    with tempfile.TemporaryDirectory(prefix="grubridge-bench-") as folder:
        path = Path(folder, f"model{format_.SUFFIXES[0]}")
        grubridge.write(spec, path)
        opened = open_artifact(path)
        stack = opened.select()
        read = opened.read(stack)
        trace: Trace = module.run(Artifact(str(path), format_.NAME, stack.address), probe, "cpu")
    if backend == "keras":
        import keras

        keras.utils.clear_session(free_memory=False)
        gc.collect()
    return read, trace
