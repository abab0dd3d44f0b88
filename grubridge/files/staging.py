"""Atomic writes: a target is the old file or the new one, never half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grubridge.errors import TargetError

from .opening import shown

__all__ = ["check_target", "staged"]


def check_target(target: Path, *, force: bool) -> None:
    """Refuse a target that cannot be written, before any work is done.

    Raises:
        TargetError: when the folder is missing or read-only, or the target is a folder, or exists
            without `force`.
    """
    folder = target.parent
    if not folder.is_dir():
        raise TargetError(f"{shown(target)}: the folder {shown(folder)} does not exist; create it first")
    if target.is_dir():
        raise TargetError(f"{shown(target)}: expected a file name; received a folder")
    if target.exists() and not force:
        raise TargetError(
            f"{shown(target)}: the file exists; choose another name, or replace it with --force"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TargetError(f"{shown(target)}: the folder {shown(folder)} cannot be written to")


@contextmanager
def staged(target: Path, *, force: bool) -> Iterator[Path]:
    """Yield a path of the target's name in a new folder beside it; on success move what is there into place.

    A writer may put further files beside the yielded path (external data): they are moved first. On any
    error nothing of the target changes and the folder is removed.

    Raises:
        TargetError: as `check_target`, or when the disk refuses.
    """
    check_target(target, force=force)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=target.parent))
    except OSError as error:
        raise TargetError(f"{shown(target)}: it cannot be written: {error.strerror}") from None
    try:
        yield folder / target.name
        made = sorted(folder.iterdir(), key=lambda path: path.name == target.name)
        for path in made:
            final = target.parent / path.name
            if path.name != target.name and final.exists() and not force:
                raise TargetError(f"{shown(final)}: the file exists; replace it with --force")
        for path in made:
            path.replace(target.parent / path.name)
    except OSError as error:
        raise TargetError(f"{shown(target)}: it cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
