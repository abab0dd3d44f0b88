"""The examination of an installation: what there is, and what of it is broken.

A broken package must not break the examination of it: whatever needs numpy is imported when it is known to be
sound.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grubridge.files.cache import cache_folder
from grubridge.version import __version__

from .imports import failed_imports
from .machine import Machine, this_machine, without_home
from .packages import Package, packages

if TYPE_CHECKING:
    from grubridge.backends.table import BackendRow

__all__ = ["CacheUse", "Examination", "Problem", "examine"]

_WORD = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Problem:
    """Something that is installed and does not work, or that grubridge cannot do without and is not there.

    Args:
        what: the package or runtime.
        words: what is wrong with it; its own last words where it has any.
        remedy: what to do.
    """

    what: str
    words: str
    remedy: str


@dataclass(frozen=True)
class CacheUse:
    """The folder of kept measurements.

    Args:
        folder: where it is; the home folder is written as ~.
        files: how many measurements it holds.
        size: their bytes.
        writable: whether further ones can be kept.
    """

    folder: str
    files: int
    size: int
    writable: bool


@dataclass(frozen=True)
class Examination:
    """What a bug report should say.

    Args:
        version: of grubridge.
        machine: on which it runs.
        packages: those that it needs and can use, installed or not; empty when grubridge has no metadata.
        runtimes: with their devices; None when nothing was to be started, or a needed package is broken.
        cache: None when nothing is kept.
        problems: what is broken, and what to do. A runtime that is not installed is not broken.
    """

    version: str
    machine: Machine
    packages: tuple[Package, ...]
    runtimes: tuple[BackendRow, ...] | None
    cache: CacheUse | None
    problems: tuple[Problem, ...]


def examine(*, start: bool = True) -> Examination:
    """Examine this installation.

    Args:
        start: whether to import what is installed and to ask the runtimes for their devices, each in a
            process of its own, which takes seconds. Without it only versions are looked at.
    """
    found = packages()
    rows = None
    problems = list(_unfit(found))
    if start:
        rows, failed = _started(found)
        problems += _not_imported(found, failed)
        problems += _failed_runtimes(rows or ())
    return Examination(__version__, this_machine(), found, rows, _cache(), tuple(problems))


def _started(found: tuple[Package, ...]) -> tuple[tuple[BackendRow, ...] | None, dict[str, str]]:
    """Start what is installed; return the runtimes, and the last words of further packages that failed.

    Runtimes need numpy and more, so they are None where a package that grubridge needs is missing or failed.
    """
    needed = [package for package in found if not package.extra]
    failed = failed_imports([package.name for package in needed if package.version])
    if failed or not all(package.version for package in needed):
        return None, failed
    from grubridge.backends.table import backend_table

    rows = backend_table().rows
    # A version names all that a runtime imports: "keras 3.15.1 (tensorflow 2.21.0)".
    tried = {word for row in rows for word in _WORD.findall(row.version)}
    others = [package.name for package in found if package.version and package.extra]
    return rows, failed_imports([name for name in others if name not in tried])


def _unfit(found: tuple[Package, ...]) -> Iterator[Problem]:
    """Yield what is missing, or is installed in a version that grubridge does not work with."""
    if not found:
        yield Problem(
            "grubridge", "it is on the import path without its metadata: not installed", "pip install ."
        )
    for package in found:
        wanted = f"{package.name}{package.wanted}"
        if not package.version and not package.extra:
            yield Problem(package.name, "it is not installed", f"pip install '{wanted}'")
        elif package.version and not package.fits:
            words = f"version {package.version} is installed; grubridge works with {package.wanted}"
            yield Problem(package.name, words, f"pip install '{wanted}'")


def _not_imported(found: tuple[Package, ...], failed: dict[str, str]) -> Iterator[Problem]:
    for package in found:
        if package.name in failed:
            again = f"pip install --force-reinstall '{package.name}{package.wanted}'"
            yield Problem(package.name, f"it cannot be imported: {without_home(failed[package.name])}", again)


def _failed_runtimes(rows: tuple[BackendRow, ...]) -> Iterator[Problem]:
    """Yield the runtimes that are installed and do not start."""
    from grubridge.backends.registry import find

    for row in rows:
        if row.version and row.problem:
            words, _, _ = row.problem.partition("\ninstall it again")
            again = f"pip install --force-reinstall 'grubridge[{find(row.name).extra}]'"
            yield Problem(row.name, without_home(words), again)


def _cache() -> CacheUse | None:
    try:
        folder = cache_folder()
    except RuntimeError:  # there is no home folder
        return None
    if folder is None:
        return None
    sizes = [size for path in _listed(folder) if (size := _size(path)) is not None]
    existing = next((place for place in (folder, *folder.absolute().parents) if place.exists()), folder)
    return CacheUse(without_home(str(folder)), len(sizes), sum(sizes), os.access(existing, os.W_OK))


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("*.json"))
    except OSError:
        return []


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
