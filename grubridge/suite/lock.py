"""grubridge.lock.json beside the manifest: what was found of every pair, and of what it is a result.

A pair of which nothing has changed since need not be run again. The file holds no times and no machine's
paths, has a line for each fact and is sorted, so that a change of it can be read in a review.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from grubridge.backends.base import installed
from grubridge.backends.registry import BACKENDS, available
from grubridge.errors import CorruptFileError, ManifestError
from grubridge.files.json_data import parse_json
from grubridge.files.opening import check_openable, shown
from grubridge.files.plain_data import NUMBER, Key, PlainData, field_names
from grubridge.files.staging import replace_file
from grubridge.files.text import printable
from grubridge.version import __version__

from .manifest import Pair
from .result import PairResult, PairStatus

__all__ = ["NAME", "Entry", "Lock", "entry_of", "read_lock", "rounded"]

NAME = "grubridge.lock.json"

_VERSION = 1
_DIGITS = 3
_STATUSES: dict[PairStatus, PairStatus] = {"xfailed": "different", "xpassed": "equivalent"}
_KEPT = ("equivalent", "different", "inconclusive")
_data = PlainData(ManifestError)


@dataclass(frozen=True)
class Entry:
    """What was found of a pair.

    Args:
        settings: of the pair, see `Pair.settings`.
        files: the sha256 of every file, by its path from the manifest's folder.
        versions: of grubridge, of the runtimes that ran, and of packages that they used.
        status: "equivalent", "different" or "inconclusive"; what was expected has no part in it.
        headroom: the largest error over its bound, in three digits; None when nothing was judged.
        cause: the first sentence of why it is not equivalent.
    """

    settings: Mapping[str, Any]
    files: Mapping[str, str]
    versions: Mapping[str, str]
    status: PairStatus
    headroom: float | None
    cause: str | None


@dataclass(frozen=True)
class Lock:
    """The entries of a lock, by the names of the pairs."""

    entries: Mapping[str, Entry]

    def write(self, path: Path) -> None:
        """Write the lock, unless the file says just that; it is the old one or the new one at any time.

        Raises:
            TargetError: when it cannot be written.
        """
        entries = {name: _to_json(self.entries[name]) for name in sorted(self.entries)}
        text = json.dumps({"version": _VERSION, "pairs": entries}, indent=2) + "\n"
        if path.exists() and path.read_bytes() == text.encode():
            return
        replace_file(path, text.encode())

    def changed(self, pair: Pair, files: Mapping[str, str]) -> str | None:
        """Return what has changed since a pair was locked; None when nothing has.

        Args:
            pair: the pair.
            files: the sha256 of its files as they are.
        """
        entry = self.entries.get(pair.name)
        if entry is None:
            return "it is not in the lock"
        if entry.settings != _plain(pair.settings()):
            return "its settings have changed"
        names = [name for name in sorted({*files, *entry.files}) if files.get(name) != entry.files.get(name)]
        if names:
            return f"{', '.join(map(printable, names))} changed"
        now = _versions({*entry.versions, *_further(pair)})
        for name in sorted({*now, *entry.versions}):
            if now.get(name) != entry.versions.get(name):
                then, there = (which.get(name, "not installed") for which in (entry.versions, now))
                return f"it was {printable(then)} and is {printable(there)} now"
        return None


def entry_of(pair: Pair, files: Mapping[str, str], result: PairResult) -> Entry | None:
    """Return what to keep of a result; None of one that could not be had.

    Args:
        pair: the pair.
        files: the sha256 of its files.
        result: what was found; it has a report.
    """
    report = result.report
    if report is None:
        return None
    ran = {run.backend: run.version for run in report.runs if run.backend in BACKENDS}
    opened = {
        version.partition(" ")[0] for version in ran.values()
    }  # tf_keras, where Keras 3 does not open it
    return Entry(
        _plain(pair.settings()),
        files,
        _versions({*ran, *opened, *_further(pair)}),
        _STATUSES.get(result.status, result.status),
        rounded(result.headroom),
        result.cause,
    )


def rounded(headroom: float | None) -> float | None:
    """Return a headroom as a lock has it: what another run changes by chance is no change."""
    if headroom is None or not abs(headroom) < float("inf"):
        return None
    return float(f"{headroom:.{_DIGITS}g}")


def _further(pair: Pair) -> list[str]:
    """The runtimes that would run a pair if they were installed: all of them, where it is one file alone."""
    return list(BACKENDS) if len(pair.artifacts) == 1 else []


def _versions(names: Set[str]) -> dict[str, str]:
    """Return the versions of grubridge and of runtimes and packages, without importing a framework.

    A package whose version is a runtime's is left out.
    """
    found: dict[str, str] = {}
    for name in BACKENDS:
        if name in names and available(name):
            backend: Any = import_module(BACKENDS[name].module)
            found[name] = backend.version()
    for name in sorted(names - BACKENDS.keys()):
        version = installed(name)
        if version not in {name, *found.values()}:
            found[name] = version
    return {**found, "grubridge": __version__}


def read_lock(path: Path) -> Lock:
    """Read a lock; one that does not exist is empty.

    Raises:
        ManifestError: when the file is no lock, as after a merge that left conflicts.
        FileFormatError: when it cannot be opened.
    """
    if not path.exists():
        return Lock({})
    try:
        check_openable(path)
        return _lock(parse_json(path.read_bytes(), shown(path)))
    except (CorruptFileError, ManifestError) as wrong:
        raise ManifestError(
            f"{shown(path)}: this is no lock of grubridge ({printable(wrong, 300)}); "
            "delete it, and check without --locked to have it written anew"
        ) from None


def _lock(document: object) -> Lock:
    table = _data.table(document, (), ("version", "pairs"), ("version", "pairs"))
    if table["version"] != _VERSION:
        raise ManifestError(f"this grubridge reads version {_VERSION}", ("version",))
    pairs = _data.table(table["pairs"], ("pairs",))
    return Lock({name: _entry(value, ("pairs", name)) for name, value in pairs.items()})


def _entry(value: object, key: Key) -> Entry:
    known = field_names(Entry)
    table = _data.table(value, key, known, known)
    for name in ("settings", "files", "versions"):
        _data.table(table[name], (*key, name))
    _data.one_of(table["status"], (*key, "status"), _KEPT)
    if table["headroom"] is not None:
        _data.typed(table["headroom"], (*key, "headroom"), NUMBER)
    if table["cause"] is not None:
        _data.typed(table["cause"], (*key, "cause"), str)
    return Entry(**table)


def _to_json(entry: Entry) -> dict[str, Any]:
    made: dict[str, Any] = _plain(asdict(entry))
    return {**made, **{name: dict(sorted(made[name].items())) for name in ("settings", "files", "versions")}}


def _plain(values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON values
    """Return values as they come back from a file."""
    return json.loads(json.dumps(values))
