"""How much memory and time reading a file and running a model may take, as the user wants it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Limits", "allowed", "current", "enough_for", "in_mib", "limits", "physical_memory"]

_READING = 1 << 30
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Limits:
    """What may be taken; None leaves each to its own default.

    Args:
        max_memory: the bytes that the content of one file may take beyond what is mapped of it, and that a
            framework may take to run one model. By default 1 GiB, and as much as the machine has.
        timeout: the seconds that a process which reads a file or runs a model has for one answer. By default
            10 for what HDF5 says of a file and more for large arrays that it unpacks, 300 for TensorFlow to
            read a checkpoint, 600 for a framework's run.
    """

    max_memory: int | None = None
    timeout: float | None = None

    @property
    def reading(self) -> int:
        """The bytes that the content of a file may take."""
        return _READING if self.max_memory is None else self.max_memory

    @property
    def running(self) -> int | None:
        """The bytes that a framework may take to run a model; None where the system does not tell."""
        return physical_memory() if self.max_memory is None else self.max_memory


_DEFAULTS = Limits()
_current: ContextVar[Limits] = ContextVar("grubridge_limits")


def current() -> Limits:
    """Return what holds here."""
    return _current.get(_DEFAULTS)


@contextmanager
def limits(*, max_memory: int | None = None, timeout: float | None = None) -> Iterator[Limits]:
    """Let all that is read and run inside the `with` block take no more; see `Limits`.

    Args:
        max_memory: bytes; None leaves it as it is.
        timeout: seconds; None leaves it as it is.

    Raises:
        ValueError: when one is not above 0.
    """
    for name, value in (("max_memory", max_memory), ("timeout", timeout)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be above 0; received {value}")
    outer = current()
    chosen = Limits(
        outer.max_memory if max_memory is None else max_memory, outer.timeout if timeout is None else timeout
    )
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)


def allowed(size: int) -> int:
    """Return how many bytes may be taken for what may take `size` by default: all budgets scale alike."""
    return size * current().reading // _READING


def enough_for(size: int, limit: int) -> str:
    """Return the --max-memory with which `size` bytes may be taken for what may take `limit` by default."""
    return in_mib(-(-size * _READING // limit))


def in_mib(size: int) -> str:
    """Return a number of bytes as --max-memory takes it, rounded up."""
    return f"{-(-size // (1 << 20))}MiB" if size >= 1 << 20 else f"{size}B"


def physical_memory() -> int | None:
    """Return the bytes of memory that the machine, or the container, has; None where it does not tell."""
    found = []
    with suppress(OSError, ValueError, AttributeError):  # no such name, or no such function, on Windows
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in _CGROUPS:
        with suppress(OSError, ValueError):  # "max"
            found.append(int(path.read_text(encoding="ascii")))
    return min(found, default=None)
