"""A runtime that stands in for a framework, in a process: honest, unless a file's name says otherwise.

A process starts with a fresh list of runtimes; Python imports `sitecustomize` at its start, which changes it.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from grubridge.backends.base import Artifact
from grubridge.conversion import read
from grubridge.errors import BackendError
from grubridge.traces import Probe, Trace
from tests.low_precision import run_rounded

__all__ = ["LOG", "MODULE", "SITE_CUSTOMIZE", "devices", "run", "version"]

LOG = "GRUBRIDGE_TESTS_LOG"
"""The environment variable with the file that every run is noted in: the process, and the file that ran."""

SITE_CUSTOMIZE = """
from dataclasses import replace
from grubridge.backends.registry import BACKENDS
for name in ("pytorch", "onnxruntime"):
    BACKENDS[name] = replace(BACKENDS[name], module=f"stand_in_{name}", packages=())
"""
MODULE = """
from dataclasses import replace
from tests.suite import stand_in
from tests.suite.stand_in import devices, version
def run(*arguments, **options):
    return replace(stand_in.run(*arguments, **options), backend={name!r})
"""


def version() -> str:
    """Return the same name for all."""
    return "stand-in 1.0"


def devices() -> tuple[str, ...]:
    """Return the CPU."""
    return ("cpu",)


def run(artifact: Artifact, probe: Probe, device: str, *, allow_tf32: bool = False) -> Trace:
    """Run a file as its name says."""
    del allow_tf32
    name = Path(artifact.path).name
    if name.startswith("calibration-"):
        raise BackendError("it has no activations of its own to measure")
    if log := os.environ.get(LOG):
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {name}\n")
    if "crash" in name:
        sys.stderr.write("the last words\n")
        os.abort()
    if "hang" in name:
        time.sleep(60)
    if "fail" in name:
        raise RuntimeError("no such tensor")
    spec = read(artifact.path)
    return replace(run_rounded(spec, probe, spec.dtype.name, seed=3), version=version(), device=device)
