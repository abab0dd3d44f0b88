"""Measurements that are kept between runs: one small JSON file for each.

They lie in $GRUBRIDGE_CACHE, or else where the platform has caches; GRUBRIDGE_CACHE=off keeps none. A cache
only saves time: what cannot be read is measured anew, and what cannot be written is not kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from grubridge.errors import TargetError

from .staging import replace_file

__all__ = ["cache_folder", "keep", "kept"]

_LARGEST = 1 << 16


def kept(key: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON values
    """Return what was kept under `key`, a mapping of JSON values; None when there is nothing of use.

    Anybody may have written the file: the caller checks what it gets.
    """
    try:
        path = _path(key)
        if path is None or not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        stored = json.loads(path.read_text(encoding="utf-8"))
        return stored["value"] if stored["key"] == dict(key) else None
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, RecursionError):
        return None


def keep(key: Mapping[str, Any], value: Any) -> None:  # noqa: ANN401 - JSON values
    """Keep `value` under `key`; both are JSON values."""
    with contextlib.suppress(OSError, RuntimeError, TargetError):
        path = _path(key)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps({"key": dict(key), "value": value}).encode())


def _path(key: Mapping[str, Any]) -> Path | None:
    """The file for `key`; None where nothing is kept. Raises RuntimeError where there is no home folder."""
    folder = cache_folder()
    name = sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:32]
    return None if folder is None else folder / f"{name}.json"


def cache_folder() -> Path | None:
    """Return the folder of what is kept; None where nothing is. It need not exist yet.

    Raises:
        RuntimeError: where there is no home folder for it to lie in.
    """
    chosen = os.environ.get("GRUBRIDGE_CACHE")
    if chosen:
        return None if chosen == "off" else Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "grubridge" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "grubridge"
    base = os.environ.get("XDG_CACHE_HOME", "")
    # the XDG specification: a relative path is invalid and to be ignored
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "grubridge"
