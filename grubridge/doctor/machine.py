"""Which machine this is, for a reader: system, processors, memory, and the variables that choose kernels."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from grubridge.files.machine import SWITCHES

__all__ = ["Machine", "this_machine", "without_home"]

_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux says how much a container may take: its second and its first version of control groups."""

_VARIABLES = ("KERAS_BACKEND", "OMP_NUM_THREADS", *SWITCHES)


@dataclass(frozen=True)
class Machine:
    """One machine.

    Args:
        system: its operating system and architecture.
        python: implementation and version, e.g. "CPython 3.12.4".
        processors: how many this process may use.
        memory: bytes that this process may use; None when the system does not say.
        variables: those environment variables that are set and change what a run does.
    """

    system: str
    python: str
    processors: int
    memory: int | None
    variables: dict[str, str]


def this_machine() -> Machine:
    """Return the machine that this process runs on."""
    return Machine(
        platform.platform(),
        f"{platform.python_implementation()} {platform.python_version()}",
        _processors(),
        _memory(),
        {name: without_home(os.environ[name]) for name in _VARIABLES if name in os.environ},
    )


def without_home(text: str) -> str:
    """Return a text that strangers may read: the home folder is ~ in it."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home raises where there is no home folder
    return text.replace(home + os.sep, "~" + os.sep) if len(home) > 1 else text


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: a container or taskset may allow fewer than there are
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int | None:
    sizes = []
    with suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in _MEMORY_LIMITS:
        with suppress(OSError, ValueError):  # where nothing is limited, a word stands there
            sizes.append(int(path.read_text(encoding="ascii")))
    return min(sizes, default=None)
