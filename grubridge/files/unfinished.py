"""Hidden folders beside a target, in which it is prepared. What a killed run left is removed by a later one.

A run holds a lock on its folder for as long as it lives, and the system lets go of the lock however the run
ends. A folder that can be locked belongs to nobody any more.

A signal may be raised between any two steps of this module, which also unwinds the run. So a folder is noted
before it is made and until it is gone, and what is still noted when the interpreter ends is removed then.
"""

from __future__ import annotations

import atexit
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .interrupts import deferred_signals

__all__ = ["PREFIX", "remove_own", "unfinished_folder"]

PREFIX = ".grubridge-unfinished-"

_own: set[Path] = set()


@contextmanager
def unfinished_folder(beside: Path) -> Iterator[Path]:
    """Yield a new hidden folder within `beside`, which is removed in the end with all that is left in it.

    Raises:
        OSError: when there can be none.
    """
    _remove_left_over(beside)
    lock = None
    while lock is None:
        folder = beside / f"{PREFIX}{secrets.token_hex(8)}"
        _own.add(folder)
        folder.mkdir(0o700)
        try:
            lock = _locked(folder)
        except (BlockingIOError, FileNotFoundError):
            _own.discard(folder)  # another run took it for left over, in the instant before it was locked
        except OSError:
            break  # a file system without locks, where nobody can take it for that
    try:
        yield folder
    finally:
        with deferred_signals():
            if folder in _own:  # and not in a process that was forked off meanwhile
                shutil.rmtree(folder, ignore_errors=True)
                _own.discard(folder)
            if lock is not None:
                os.close(lock)


@atexit.register
def remove_own() -> None:
    """Remove the folders of this process, which is about to end."""
    for folder in list(_own):
        shutil.rmtree(folder, ignore_errors=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_own.clear)  # they are the parent's, and go with it


def _remove_left_over(beside: Path) -> None:
    """Remove the folders of runs that were killed, where that can be known."""
    try:
        with os.scandir(beside) as entries:
            found = [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]
    except OSError:
        return  # a folder may be written to and not be listed
    for folder in found:
        try:
            lock = _locked(folder)
        except OSError:
            continue  # of a run that lives, of another user, or gone already
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


if sys.platform == "win32":

    def _locked(folder: Path) -> int:
        raise OSError(errno.ENOTSUP, "a folder cannot be locked", str(folder))

else:
    import fcntl

    def _locked(folder: Path) -> int:
        """Return a descriptor that holds the only lock on a folder.

        Raises:
            BlockingIOError: when another process holds it.
            FileNotFoundError: when the folder is gone.
            OSError: when it cannot be locked.
        """
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder.stat()  # who had the lock before may have removed it
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
