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
from grubridge.checker.calibration import Calibration
from grubridge.checker.plan import PlannedRun, Subject, plan_group
from grubridge.checker.result import CheckedArtifact
from grubridge.formats.registry import adapter
from grubridge.reference.arithmetic import Arithmetic, arithmetic_of
from grubridge.spec import GRUSpec
from grubridge.traces import Probe, Trace

__all__ = ["arithmetic", "run_natively"]


def run_natively(spec: GRUSpec, backend: str, probe: Probe) -> tuple[GRUSpec, Trace]:
    """Write `spec`, read it back, and run the file: the path of a user, except that no process is started.

    Returns:
        The spec that was read, and what the runtime did.

    Raises:
        UnsupportedFeatureError: when the runtime's format cannot hold the spec.
        CannotRunError: when the runtime cannot run the file.
    """
    format_, module = adapter(BACKENDS[backend].formats[0]), _started(backend)
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


def arithmetic(spec: GRUSpec, trace: Trace) -> Arithmetic:
    """Return the arithmetic of a run, its activations measured inside that runtime's GRU as a check does."""
    if trace.backend not in BACKENDS:
        return arithmetic_of(trace.backend, trace.dtype)
    with tempfile.TemporaryDirectory(prefix="grubridge-bench-") as folder:
        calibration, planned = Calibration("cpu", Path(folder)), _planned(spec, trace.backend, Path(folder))
        jobs = calibration.jobs([planned])
        calibration.learn([_started(job.backend).run(job.artifact, job.probe, "cpu") for job in jobs])
    errors = calibration.constants(planned, trace.dtype, "cpu").errors
    return arithmetic_of(trace.backend, trace.dtype, "cpu", errors)


def _planned(spec: GRUSpec, backend: str, folder: Path) -> PlannedRun:
    """The run of a file that holds `spec`, as a check plans it."""
    path = folder / f"model{adapter(BACKENDS[backend].formats[0]).SUFFIXES[0]}"
    grubridge.write(spec, path)
    opened = open_artifact(path)
    stack = opened.select()
    about = CheckedArtifact(
        str(path), str(path), opened.format.NAME, stack.name, spec.dtype.name, sha256=None
    )
    (planned,) = plan_group([Subject(about, spec, stack)], [backend], folder).runs
    return planned


def _started(backend: str) -> Any:  # noqa: ANN401 - a module with the names of `Backend`
    """The module of a backend whose framework has started, as its process does first."""
    module: Any = import_module(BACKENDS[backend].module)
    module.devices()
    return module
