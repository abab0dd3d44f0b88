"""Whether the files that a run reads stay as they are until it is done, and are not what it writes.

Whatever opens a file as data notes it here, the parts of a model that lie beside it too. A file counts as
changed when its place, size or times have changed, or its content where that was hashed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from grubridge.errors import FileFormatError, TargetError

from .digest import sha256
from .text import printable

__all__ = ["Watch", "check_noted", "check_sources", "note_open", "noted", "watched"]

_Stamp = tuple[int, ...]
"""Device, inode, size, and when content and status last changed, in ns."""


@dataclass(frozen=True)
class Watch:
    """The files that were opened within a `watched` block."""

    _stamps: dict[Path, _Stamp] = field(default_factory=dict)
    _hashes: dict[Path, str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, in the order in which they were first opened."""
        return tuple(self._stamps)

    @property
    def stamps(self) -> Mapping[Path, _Stamp]:
        """What tells each file from what it may become."""
        return self._stamps

    def check(self) -> None:
        """Raise FileFormatError when a file is no longer what was read."""
        for path, stamp in self._stamps.items():
            if _stamp(path) != stamp:
                raise _changed(path)
        for path, known in self._hashes.items():
            if sha256(path) != known:
                raise _changed(path)

    def check_target(self, target: Path) -> None:
        """Raise TargetError when `target` is one of the files, under whatever name."""
        if not target.exists():
            return
        for path in self._stamps:
            if path.exists() and target.samefile(path):
                same = "" if target.absolute() == path else f", {printable(path)}"
                raise TargetError(
                    f"{printable(target)}: source and target are the same file{same}; choose another name"
                )

    def note_open(self, path: Path, descriptor: int | None) -> None:
        """As the function of this name."""
        path = path.absolute()
        stamp = _stamp(path if descriptor is None else descriptor)
        if stamp is not None and self._stamps.setdefault(path, stamp) != stamp:
            raise _changed(path)

    def sha256(self, path: Path) -> str:
        """Return the sha256 of a file, which `check` will compare."""
        return self._hashes.setdefault(path.absolute(), sha256(path))


_current: ContextVar[Watch | None] = ContextVar("_current", default=None)


@contextmanager
def watched() -> Iterator[Watch]:
    """Watch the files that are opened within the block, apart from those of a block around it."""
    watch = Watch()
    token = _current.set(watch)
    try:
        yield watch
    finally:
        _current.reset(token)


def note_open(path: Path, descriptor: int | None = None) -> None:
    """Tell the surrounding `watched`, if there is one, that a file is read.

    Args:
        path: the file.
        descriptor: the same file, if it is open here; None where another process opens it.

    Raises:
        FileFormatError: when it was read before and has changed since.
    """
    watch = _current.get()
    if watch is not None:
        watch.note_open(path, descriptor)


def check_sources(targets: Iterable[Path]) -> None:
    """Refuse to write files, where what the surrounding `watched` has seen was changed, or is one of them.

    Raises:
        FileFormatError: when a file that was read has changed.
        TargetError: when one would be replaced.
    """
    watch = _current.get()
    if watch is not None:
        watch.check()
        for target in targets:
            watch.check_target(target)


def noted() -> dict[str, Sequence[int]]:
    """Return what the surrounding `watched` knows of its files, as JSON values, for another process."""
    watch = _current.get()
    return {} if watch is None else {str(path): stamp for path, stamp in watch.stamps.items()}


def check_noted(files: Mapping[str, Sequence[int]]) -> None:
    """Raise FileFormatError when a file is no longer as `noted` has it."""
    for path, stamp in files.items():
        if _stamp(Path(path)) != tuple(stamp):
            raise _changed(Path(path))


def _stamp(file: Path | int) -> _Stamp | None:
    try:
        status = os.stat(file)  # noqa: PTH116 - of a path or a descriptor
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _changed(path: Path) -> FileFormatError:
    return FileFormatError(
        f"{printable(path)}: it was changed while it was read; wait until the program that writes it is "
        "done, and try again"
    )
