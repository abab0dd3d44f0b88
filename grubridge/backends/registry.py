"""The runtimes, as data: name -> module, the formats it opens itself, and what must be installed for it.

The float64 equations (`grubridge.reference`) need no file and no process, so they are not among them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec

from grubridge.errors import BackendError, MissingDependencyError
from grubridge.files.text import nearest, quoted

__all__ = ["BACKENDS", "DEVICE", "TIMEOUT", "BackendEntry", "available", "find", "native_backend", "require"]

DEVICE = re.compile("auto|cpu|cuda(:[0-9]+)?")
"""What a device is called."""

TIMEOUT = 600.0
"""Seconds that one run may take, the start of its framework aside."""


@dataclass(frozen=True)
class BackendEntry:
    """One runtime.

    Args:
        module: where it is.
        formats: the formats whose files it opens with its own loader.
        packages: what it imports; of each tuple, one is enough.
        extra: what brings them: pip install 'grubridge[extra]'.
    """

    module: str
    formats: tuple[str, ...]
    packages: tuple[tuple[str, ...], ...]
    extra: str


BACKENDS: dict[str, BackendEntry] = {
    "keras": BackendEntry(
        "grubridge.backends.keras.backend",
        ("keras", "tensorflow"),
        (("keras",), ("tensorflow", "torch", "jax")),
        "tensorflow",
    ),
    "onnxruntime": BackendEntry(
        "grubridge.backends.onnxruntime.backend", ("onnx",), (("onnxruntime",),), "onnxruntime"
    ),
    "pytorch": BackendEntry("grubridge.backends.pytorch", ("pytorch", "safetensors"), (("torch",),), "torch"),
}


def find(name: str) -> BackendEntry:
    """Return the backend called `name`.

    Raises:
        BackendError: when there is none.
    """
    if name not in BACKENDS:
        raise BackendError(
            f"unknown backend {quoted(name)}.{nearest(name, BACKENDS)} Known backends: {', '.join(BACKENDS)}"
        )
    return BACKENDS[name]


def available(name: str) -> bool:
    """Whether the frameworks of a backend are installed; nothing is imported to find out."""
    return not _missing(find(name))


def require(name: str) -> BackendEntry:
    """Return the backend called `name`, whose frameworks are installed.

    Raises:
        BackendError: when there is no such backend.
        MissingDependencyError: when a framework is not installed.
    """
    entry = find(name)
    if missing := _missing(entry):
        raise MissingDependencyError(
            f"the backend {name} needs {' and '.join(missing)}, which this Python has not: "
            f"pip install 'grubridge[{entry.extra}]'",
            entry.extra,
        )
    return entry


def native_backend(format_name: str) -> str:
    """Return the name of the backend that opens files of a format with its own loader."""
    return next(name for name, entry in BACKENDS.items() if format_name in entry.formats)


def _missing(entry: BackendEntry) -> list[str]:
    return [
        " or ".join(choices) for choices in entry.packages if not any(find_spec(name) for name in choices)
    ]
