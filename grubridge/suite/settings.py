"""The values of a manifest's keys, read and checked one by one."""

from __future__ import annotations

import math
import os
import posixpath
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from grubridge.backends.registry import BACKENDS, DEVICE
from grubridge.checker.findings import Tolerance
from grubridge.errors import ManifestError
from grubridge.files.plain_data import NUMBER, Key, PlainData, field_names
from grubridge.files.text import nearest, printable, quoted
from grubridge.layouts.toml import shipped

from .manifest import Inputs, is_path

__all__ = ["Folder", "data", "settings"]

data = PlainData(ManifestError)


class Folder:
    """The folder of a manifest, which its paths may not leave."""

    def __init__(self, path: Path, *, allow_outside: bool) -> None:
        """Prepare.

        Args:
            path: the folder.
            allow_outside: whether paths may leave it after all.
        """
        self._path = path
        self._inside = None if allow_outside else _real(path)

    def path(self, value: object, key: Key) -> str:
        """Return a path, as the manifest has it."""
        path = _text(value, key)
        if "\0" in path:
            raise ManifestError("no path holds a NUL", key)
        try:
            os.fsencode(path)
        except UnicodeEncodeError:
            told = f"this locale has no letters for it ({sys.getfilesystemencoding()}); set PYTHONUTF8=1"
            raise ManifestError(told, key) from None
        if self._inside is not None and not _real(self._path / path).is_relative_to(self._inside):
            raise ManifestError(
                f"{printable(path)} is outside the manifest's folder; to allow that, write "
                "allow_outside = true at the top",
                key,
            )
        return path


def _real(path: Path) -> Path:
    """Return where links lead; those that lead in a circle are left, and no file can be opened there."""
    return Path(os.path.realpath(path))


def settings(table: Mapping[str, Any], key: Key, names: Collection[str], folder: Folder) -> dict[str, Any]:
    """Return the values of those keys of a table that are among `names`, as `Pair` has them.

    Raises:
        ManifestError: when one is wrong.
    """
    return {
        name: _READERS[name](value, (*key, name), folder) for name, value in table.items() if name in names
    }


def _text(value: object, key: Key) -> str:
    text: str = data.typed(value, key, str)
    if not text.strip():
        raise ManifestError("expected text; it is empty", key)
    return text


def _flag(value: object, key: Key) -> bool:
    flag: bool = data.typed(value, key, bool)
    return flag


def _whole(value: object, key: Key, lowest: int) -> int:
    number: int = data.typed(value, key, int)
    if number < lowest:
        raise ManifestError(f"expected {lowest} or more; received {number}", key)
    return number


def _artifacts(value: object, key: Key, folder: Folder) -> tuple[str, ...]:
    found = tuple(folder.path(one, key) for one in data.typed(value, key, list))
    if not found:
        raise ManifestError("it lists no file", key)
    if len(set(map(posixpath.normpath, found))) < len(found):
        raise ManifestError("it lists the same file twice", key)
    return found


def _map(value: object, key: Key) -> dict[str, str]:
    table = data.table(value, key)
    if not table:
        raise ManifestError("it pairs no GRUs", key)
    return {name: _text(other, (*key, name)) for name, other in table.items()}


def _inputs(value: object, key: Key, folder: Folder) -> Inputs:
    if isinstance(value, str):
        return Inputs(file=folder.path(value, key))
    table = data.table(value, key, field_names(Inputs) - {"file"})
    numbers: dict[str, Any] = {
        name: _whole(table[name], (*key, name), lowest)
        for name, lowest in (("seed", 0), ("batch", 1), ("steps", 1))
        if name in table
    }
    if "lengths" in table:
        where = (*key, "lengths")
        lengths = tuple(_whole(one, where, 1) for one in data.typed(table["lengths"], where, list))
        numbers = {"batch": len(lengths), **numbers, "lengths": lengths}
        made = Inputs(**numbers)
        if not lengths or len(lengths) != made.batch or max(lengths) > made.steps:
            raise ManifestError(
                f"expected a length of at most {made.steps} steps for each of {made.batch} sequences", where
            )
    return Inputs(**numbers)


def _backends(value: object, key: Key) -> tuple[str, ...]:
    found = data.some_of(value, key, tuple(BACKENDS))
    if not found:
        raise ManifestError("it names no runtime", key)
    return found


def _device(value: object, key: Key) -> str:
    device = _text(value, key)
    if DEVICE.fullmatch(device) is None:
        raise ManifestError(f"expected auto, cpu, cuda or cuda:N; received {quoted(device)}", key)
    return device


def _layout(value: object, key: Key, folder: Folder) -> str:
    layout = _text(value, key)
    if is_path(layout):
        return folder.path(layout, key)
    if layout not in shipped():
        raise ManifestError(
            f"no layout is called {quoted(layout)}.{nearest(layout, shipped())} "
            f"Known: {', '.join(shipped())}; your own is the path of a .toml file",
            key,
        )
    return layout


def _tolerance(value: object, key: Key) -> Tolerance:
    table = data.table(value, key, field_names(Tolerance))
    numbers = {name: float(data.typed(given, (*key, name), NUMBER)) for name, given in table.items()}
    for name, number in numbers.items():
        if not 0 <= number < math.inf:
            raise ManifestError(f"expected 0 or more, and finite; received {number}", (*key, name))
    if not numbers:
        raise ManifestError("it needs atol, rtol or both", key)
    return Tolerance(**numbers)


def _timeout(value: object, key: Key) -> float:
    seconds = float(data.typed(value, key, NUMBER))
    if not 0 < seconds < math.inf:
        raise ManifestError(f"expected a number of seconds above 0; received {seconds}", key)
    return seconds


_READERS: dict[str, Callable[[object, Key, Folder], Any]] = {
    "name": lambda value, key, folder: _text(value, key),
    "artifacts": _artifacts,
    "a": lambda value, key, folder: folder.path(value, key),
    "b": lambda value, key, folder: folder.path(value, key),
    "stack": lambda value, key, folder: _text(value, key),
    "map": lambda value, key, folder: _map(value, key),
    "inputs": _inputs,
    "backends": lambda value, key, folder: _backends(value, key),
    "device": lambda value, key, folder: _device(value, key),
    "allow_tf32": lambda value, key, folder: _flag(value, key),
    "layout": _layout,
    "activation": lambda value, key, folder: _text(value, key),
    "recurrent_activation": lambda value, key, folder: _text(value, key),
    "reset_after": lambda value, key, folder: _flag(value, key),
    "skip_unsafe": lambda value, key, folder: _flag(value, key),
    "example": lambda value, key, folder: folder.path(value, key),
    "tolerance": lambda value, key, folder: _tolerance(value, key),
    "timeout": lambda value, key, folder: _timeout(value, key),
    "xfail": lambda value, key, folder: _text(value, key),
}
"""How the value of each key is read; the functions share one signature."""
