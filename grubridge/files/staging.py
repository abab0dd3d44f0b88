"""Atomic writes: a target is the old file or the new one, never half of one.

A file is prepared in a hidden folder beside its target, brought to the disk, and renamed: the only way in
which grubridge writes a file that anybody keeps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from grubridge.errors import TargetError

from .changes import check_sources
from .interrupts import deferred_signals
from .text import printable
from .unfinished import unfinished_folder

__all__ = ["check_target", "replace_file", "staged", "staged_together"]


def check_target(target: Path, *, force: bool) -> None:
    """Refuse a target that cannot be written, before any work is done.

    Raises:
        TargetError: when the folder is missing or read-only, or the target is no regular file, or exists
            without `force`.
    """
    try:
        _check_place(target, force=force)
    except OSError as error:
        raise TargetError(f"{printable(target)}: it cannot be written: {error.strerror}") from None


def _check_place(target: Path, *, force: bool) -> None:
    folder = target.parent
    if not folder.is_dir():
        raise TargetError(
            f"{printable(target)}: the folder {printable(folder)} does not exist; create it first"
        )
    if target.is_dir():
        raise TargetError(f"{printable(target)}: expected a file name; received a folder")
    if target.exists() and not target.is_file():
        raise TargetError(f"{printable(target)}: expected a file; received a device, pipe or socket")
    if os.path.lexists(target) and not force:
        raise TargetError(
            f"{printable(target)}: the file exists; choose another name, or replace it with --force"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TargetError(f"{printable(target)}: the folder {printable(folder)} cannot be written to")


def replace_file(path: Path, content: bytes) -> None:
    """Write a whole file, or replace the one that is there.

    Raises:
        TargetError: as `staged`.
    """
    with staged(path, force=True) as new:
        new.write_bytes(content)


@contextmanager
def staged(target: Path, *, force: bool) -> Iterator[Path]:
    """Yield a path of the target's name in a folder beside it; on success move what is there into place.

    A writer may put further files beside the yielded path (external data): they come with it. On any error
    nothing changes and nothing is left.

    Raises:
        TargetError: as `check_target`, or when the disk refuses.
    """
    with staged_together([target], force=force) as folder:
        yield folder / target.name


@contextmanager
def staged_together(targets: Sequence[Path], *, force: bool) -> Iterator[Path]:
    """Yield a hidden folder for several files of one folder, which then appear together or not at all.

    Args:
        targets: the files, in one folder; at least one.
        force: replace those that exist.

    Raises:
        TargetError: as `check_target`, when the disk refuses, or when a file that was read would be replaced.
        FileFormatError: when a file that was read has changed; see `changes.watched`.
    """
    for target in targets:
        check_target(target, force=force)
    first, names = targets[0], {target.name for target in targets}
    try:
        with unfinished_folder(first.parent) as folder:
            yield folder
            made = sorted(folder.iterdir(), key=lambda path: (path.name in names, path.name))
            for path in made:
                _to_disk(path)
                if path.name not in names:
                    check_target(first.parent / path.name, force=force)
            check_sources(first.parent / path.name for path in made)
            with deferred_signals():
                _move(made, names, force=force)
    except OSError as error:
        raise TargetError(f"{printable(first)}: it cannot be written: {error.strerror or error}") from error


def _to_disk(path: Path) -> None:
    """Wait until a file, or what a folder names, is on the disk, which may be full without having said so."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move(made: Sequence[Path], names: set[str], *, force: bool) -> None:
    """Move files from the hidden folder to their places beside it.

    A model and its data are two files, and the old model must not be read with the new data: it is moved out
    of the way first. Other files that are replaced are never missing.

    Args:
        made: the files; data before the models that refer to it.
        names: what the models are called.
        force: whether to replace files.

    Raises:
        OSError: when one cannot be moved; all is as it was.
        TargetError: likewise, but not all could be moved back; it says which.
    """
    folder = made[0].parent.parent
    finals = [folder / path.name for path in made]
    old = made[0].parent / "replaced"
    undo: list[tuple[Path, Callable[[], object]]] = []
    try:
        if len(made) > 1 and force:
            old.mkdir()
            has_data = not names.issuperset(path.name for path in made)
            for final in filter(Path.exists, reversed(finals)):
                kept = old / final.name
                final.replace(kept) if has_data else kept.hardlink_to(final)
                undo.append((final, partial(kept.replace, final)))
        replaced = {final for final, _ in undo}
        for path, final in zip(made, finals, strict=True):
            _put(path, final, force=force)
            if final not in replaced:
                undo.append((final, final.unlink))
    except OSError as error:
        lost = sorted(final for final, back in reversed(undo) if not _done(back))
        if not lost:
            raise
        raise TargetError(
            f"{printable(lost[0])}: it cannot be written: {error.strerror or error}; these files are not as "
            f"they were: {', '.join(map(printable, lost))}"
        ) from error
    with suppress(OSError):  # the files are there and whole; not every system can wait for their names
        _to_disk(folder)


def _put(path: Path, final: Path, *, force: bool) -> None:
    """Give a file its final name; without `force`, a file that has come to be there meanwhile is kept."""
    if not force:
        try:
            final.hardlink_to(path)
        except FileExistsError:
            raise
        except OSError:
            pass  # a file system without links, where the check that was made before has to do
        else:
            return
    path.replace(final)


def _done(action: Callable[[], object]) -> bool:
    try:
        action()
    except OSError:
        return False
    return True
