"""The environment of a Python process that grubridge starts for a framework."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["child_environment"]

_ROOT = str(Path(__file__).resolve().parents[2])


def child_environment(folder: str, threads: int | None = None) -> dict[str, str]:
    """Return the child's environment.

    It has this process's modules, frameworks share a GPU quietly, and what they leave behind is in `folder`.

    Args:
        folder: a folder of its own.
        threads: how many threads its matrix products take, unless the user's OMP_NUM_THREADS says it. Threads
            that wait for one another keep a processor busy, so processes that share all processors and each
            take as many threads are several times slower. None leaves it to the libraries.
    """
    # The working folder ('') is left out: a torch.py in it is not the framework.
    paths = [path for path in sys.path if path]
    if _ROOT not in paths:
        paths.insert(0, _ROOT)
    defaults = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if threads is not None:
        defaults["OMP_NUM_THREADS"] = str(threads)
    return {**defaults, **os.environ, "PYTHONPATH": os.pathsep.join(paths), "TMPDIR": folder}
