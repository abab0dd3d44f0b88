"""What a process of grubridge's own may take of the machine, set by itself. On Windows nothing is limited."""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import resource

__all__ = ["confine", "limit_address_space", "limit_seconds", "limited_data"]

_STATUS = Path("/proc/self/statm")
_ALL, _DATA = 0, 5  # which of its numbers of pages are meant


def confine(memory: int) -> None:
    """Let this process take `memory` bytes more than it has, open no file, write none and leave no core."""
    limit_address_space(memory)
    if sys.platform != "win32":
        for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
            _lower(kind, 0)


def limit_address_space(further: int) -> None:
    """Let this process map `further` bytes more than it has; only Linux tells how many that are."""
    now = _pages(_ALL)
    if sys.platform != "win32" and now is not None:
        _lower(resource.RLIMIT_AS, now + further)


def limit_seconds(further: float) -> None:
    """Let the processor work so many seconds more for this process; then the system ends it."""
    if sys.platform != "win32":
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        wanted = math.ceil(used + further) + 1
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


@contextmanager
def limited_data(further: int | None) -> Iterator[None]:
    """Let this process take `further` bytes more inside the `with` block, what it maps of files aside.

    What is reserved and never touched counts, too. None, and a system that is not Linux, limit nothing.
    """
    now = None if further is None else _pages(_DATA)
    if sys.platform == "win32" or now is None or further is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = now + further
    lowered = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (lowered, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _pages(number: int) -> int | None:
    """Return the bytes that a number of `/proc/self/statm` stands for."""
    if not _STATUS.exists():
        return None
    return int(_STATUS.read_text(encoding="ascii").split()[number]) * mmap.PAGESIZE


def _lower(kind: int, value: int) -> None:
    if sys.platform != "win32":
        hard = resource.getrlimit(kind)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (limit, limit))
