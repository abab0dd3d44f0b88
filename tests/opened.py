"""Which files any process opened: the kernel tells, whatever library it was."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["opens_of"]

_OPENED = 0x20  # IN_OPEN
_EVENT = struct.Struct("iIII")


@contextmanager
def opens_of(*paths: Path) -> Iterator[Callable[[], set[str]]]:
    """Yield a function that returns the names of those of `paths` that were opened within the block."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells which files other processes open")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    assert descriptor >= 0
    try:
        watched = {libc.inotify_add_watch(descriptor, os.fsencode(path), _OPENED): path for path in paths}
        assert min(watched) > 0
        found = set[str]()

        def opened() -> set[str]:
            try:
                told = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                return found
            while told:
                watch, _, _, name_size = _EVENT.unpack_from(told)
                found.add(watched[watch].name)
                told = told[_EVENT.size + name_size :]
            return found

        yield opened
    finally:
        os.close(descriptor)
