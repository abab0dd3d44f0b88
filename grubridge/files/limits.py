"""How much memory and time reading a file and running a model may take, as the user wants it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Limits", "allowed", "current", "excess", "in_mib", "limits", "memory_advice", "physical_memory"]

_READING = 1 << 30
_LONGEST = 1e9
"""Seconds, 31 years: the clocks of every system bear that, and not infinity."""
_OUT_OF_MEMORY = re.compile(r"alloc|out of memory|\boom\b|memoryerror|SIGKILL", re.IGNORECASE)
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
        outer.max_memory if max_memory is None else max_memory,
        outer.timeout if timeout is None else min(timeout, _LONGEST),
    )
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)


def allowed(size: int) -> int:
    """Return how many bytes may be taken for what may take `size` by default: all budgets scale alike."""
    return size * current().reading // _READING


def excess(size: int, limit: int) -> str:
    """Return why `size` bytes are too many for what may take `limit` by default; "" where they are not."""
    most = allowed(limit)
    if size <= most:
        return ""
    enough = f"--max-memory {in_mib(-(-size * _READING // limit))}"
    given = current().max_memory
    if given is None:
        allowing = "are allowed for it"
        advice = f"no real model needs that: the file is damaged or hostile. If you trust it: {enough}"
    else:
        allowing, advice = f"--max-memory {in_mib(given)} allows for it", f"{enough} is enough"
    return f"would take {_words(size)} of memory, more than the {_words(most)} that {allowing}; {advice}"


def _words(size: int) -> str:
    return f"{size:,} bytes" if size < 1 << 20 else f"{size / 2**20:,.0f} MiB"


def memory_advice(words: str, memory: int | None, *, died: bool = False) -> str:
    """Return what to do where a process may have failed for want of memory; "" where it has not.

    Args:
        words: its last words.
        memory: the bytes that it might take; None where nothing limits it.
        died: whether it ended; some libraries crash without a word where the user's limit stops them.
    """
    stopped = _OUT_OF_MEMORY.search(words) or (died and current().max_memory is not None)
    if memory is None or not stopped:
        return ""
    return f"{in_mib(memory)} of memory beside its own were allowed; --max-memory SIZE allows more"


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
