"""Files that a model names: opened without ever leaving the model's folder."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path

from grubridge.errors import CorruptFileError, UnsafeFileError

from .opening import FileMap
from .text import quoted

__all__ = ["map_inside"]


def map_inside(folder: Path, location: str, what: str) -> FileMap:
    """Map the regular file at the relative path `location`; no component may be a link.

    Every folder on the way is held open, so nothing can be exchanged between the check and the use.

    Args:
        folder: the model's.
        location: what the model says; of "/" and names.
        what: lies there, for messages.

    Raises:
        UnsafeFileError: when the location leaves the folder, or passes a link.
        CorruptFileError: when the file is missing or empty.
    """
    parts = location.split("/")
    where = f"{what} lies in the external file {quoted(location)}"
    if not _is_inside(location):
        raise UnsafeFileError(
            f"{where}; grubridge opens relative paths inside the model's own folder only: move the file "
            "beside the model and save the model again"
        )
    with ExitStack() as opened:
        at = _open(folder, opened)
        try:
            for part in parts[:-1]:
                at = _open(part, opened, os.O_DIRECTORY | os.O_NOFOLLOW, at)
            at = _open(parts[-1], opened, os.O_NONBLOCK | os.O_NOFOLLOW, at)
        except FileNotFoundError:
            raise CorruptFileError(f"{where}, which is missing; copy it together with the model") from None
        except OSError as error:
            raise UnsafeFileError(
                f"{where}, which is a link, leads through one or cannot be opened ({error.strerror}); "
                "grubridge reads regular files inside the model's own folder only"
            ) from None
        status = os.fstat(at)
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeFileError(f"{where}, which is no regular file")
        if not status.st_size:
            raise CorruptFileError(f"{where}, which is empty; the download or the copy may have failed")
        return FileMap(folder / location, at)


def _is_inside(location: str) -> bool:
    """Whether a location is a relative path that cannot leave the model's folder, links aside."""
    odd = any(part in {"", ".", ".."} for part in location.split("/"))
    return not (odd or "\0" in location or "\\" in location)


def _open(path: Path | str, opened: ExitStack, flags: int = 0, folder: int | None = None) -> int:
    descriptor = os.open(path, os.O_RDONLY | flags, dir_fd=folder)
    opened.callback(os.close, descriptor)
    return descriptor
