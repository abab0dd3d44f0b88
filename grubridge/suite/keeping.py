"""What the lock does in a run: it answers for pairs that have not changed, and learns of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from grubridge.errors import GRUBridgeError, TargetError
from grubridge.files.opening import shown

from .files import digests
from .lock import NAME, Entry, Lock, entry_of, read_lock
from .manifest import Manifest, Pair
from .pair import expected
from .result import PairResult

__all__ = ["Keeper"]

_WORSE = 4.0
_NEGLIGIBLE = 0.01
"""Of the bound; below it, a result that is four times worse is no news."""


class Keeper:
    """The lock of one run of a suite."""

    def __init__(self, manifest: Manifest, *, locked: bool, use_lock: bool) -> None:
        """Read the lock.

        Args:
            manifest: whose lock it is.
            locked: leave it as it is; a pair for which it is out of date is trouble.
            use_lock: whether it may answer.

        Raises:
            ManifestError: when the file is no lock.
            FileFormatError: when it cannot be opened.
        """
        self._path = manifest.path.parent / NAME
        self._pairs = {pair.name: pair for pair in manifest.pairs}
        self._lock = read_lock(self._path)
        self._locked = locked
        self._use_lock = use_lock
        self._files: dict[str, Mapping[str, str]] = {}
        self._entries: dict[str, Entry] = dict(self._lock.entries)

    def answer(self, pair: Pair) -> PairResult | None:
        """Return the result of a pair, as far as the lock has it; None when it has to be checked.

        A failure is checked again, so that its report is there to be read.
        """
        try:
            self._files[pair.name] = digests(pair)
            changed = self._lock.changed(pair, self._files[pair.name])
        except (GRUBridgeError, OSError) as error:
            changed = str(error)  # the check meets the same, and explains it
        if changed is not None:
            return self._refused(pair, changed) if self._locked else None
        entry = self._lock.entries[pair.name]
        status = expected(entry.status, pair.xfail)
        if not self._use_lock or status not in {"equivalent", "xfailed"}:
            return None
        return PairResult(
            pair.name,
            pair.artifacts,
            status,
            reason=pair.xfail,
            locked=True,
            headroom=entry.headroom,
            cause=entry.cause,
            line=pair.line,
        )

    def learn(self, result: PairResult) -> PairResult:
        """Take in what was found of a pair, and return it with a warning where it has become worse."""
        files = self._files.get(result.name)
        found = None if files is None else entry_of(self._pairs[result.name], files, result)
        if found is None:
            return result
        before = self._lock.entries.get(result.name)
        self._entries[result.name] = found
        worse = None if before is None else _worse(before, found)
        return result if worse is None else replace(result, warnings=(*result.warnings, worse))

    def close(self) -> list[str]:
        """Write the lock, unless it is to stay as it is; return what the user should know."""
        if self._locked:
            return []
        entries = {name: entry for name, entry in self._entries.items() if name in self._pairs}
        if not entries and not self._path.exists():
            return []
        try:
            Lock(entries).write(self._path)
        except TargetError as error:
            return [f"the lock was not written: {error}"]
        return []

    def _refused(self, pair: Pair, changed: str) -> PairResult:
        told = (
            f"{shown(self._path)} is out of date: {changed}. Run grubridge check without --locked, "
            "and commit the lock"
        )
        return PairResult(
            pair.name, pair.artifacts, "trouble", trouble=told, reason=pair.xfail, line=pair.line
        )


def _worse(before: Entry, now: Entry) -> str | None:
    """Return a warning, where a pair that is still equivalent comes much nearer to the bound than it did."""
    if now.status != "equivalent" or before.headroom is None or now.headroom is None:
        return None
    if now.headroom <= _WORSE * max(before.headroom, _NEGLIGIBLE):
        return None
    return (
        f"it comes to {now.headroom:.2g} of the bound, and came to {before.headroom:.2g} when it was locked"
    )
