"""The result of checking the pairs of a manifest, as plain values: `report` makes text and files of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, get_args

from grubridge import notebooks
from grubridge.checker.result import CheckReport

__all__ = ["PairResult", "PairStatus", "SuiteOutcome", "SuiteReport", "worst_first"]

PairStatus = Literal["equivalent", "different", "inconclusive", "trouble", "xfailed", "xpassed"]
"""trouble: the pair could not be checked. xfailed: it was expected to be different, and is; xpassed: it was
expected to be different, and is not, which fails the suite."""

SuiteOutcome = Literal["passed", "different", "trouble", "inconclusive"]

_WORST_FIRST: tuple[PairStatus, ...] = ("trouble", "different", "xpassed", "inconclusive")


@dataclass(frozen=True)
class PairResult:
    """What became of one pair, or one group of artifacts, that are to be one function.

    Args:
        name: of the pair.
        artifacts: the files, as the manifest names them; the first is what the others are held against.
        status: in one word.
        report: of the check; None when it was answered from the lock, or could not be done.
        trouble: why it could not be done.
        reason: why it is expected to be different, as the manifest says; None where it is not.
        locked: whether it was answered from the lock, because nothing has changed.
        warnings: what a reader should know although nothing failed.
        seconds: the time that was spent on it, its runs among it.
        headroom: the largest error over its bound; None when nothing was judged.
        cause: the first sentence of why it is not equivalent.
        line: of the manifest on which the pair begins, counted from 1; None when it is not known.
    """

    name: str
    artifacts: tuple[str, ...]
    status: PairStatus
    report: CheckReport | None = None
    trouble: str | None = None
    reason: str | None = None
    locked: bool = False
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    headroom: float | None = None
    cause: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class SuiteReport:
    """The result of a suite. Compare `outcome`; a report has no truth value.

    Args:
        manifest: the file, as it was named.
        results: of every pair that was selected, worst first.
        environment: versions of grubridge, Python, numpy and the runtimes, and the platform.
        deselected: how many pairs of the manifest were not selected.
        warnings: what concerns no single pair.
    """

    manifest: str
    results: tuple[PairResult, ...]
    environment: Mapping[str, str]
    deselected: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[PairStatus, int]:
        """How many pairs have each status; 0 where none has."""
        found = Counter(result.status for result in self.results)
        return {status: found[status] for status in get_args(PairStatus)}

    @property
    def outcome(self) -> SuiteOutcome:
        """What the suite says in one word. To have checked nothing is trouble."""
        statuses = {result.status for result in self.results}
        if not statuses or "trouble" in statuses:
            return "trouble"
        if statuses & {"different", "xpassed"}:
            return "different"
        return "inconclusive" if "inconclusive" in statuses else "passed"

    def _repr_html_(self) -> str | None:
        return notebooks.html(self, "suite_fragment")

    def __bool__(self) -> NoReturn:
        raise TypeError('a report has no truth value; compare its outcome: `report.outcome == "passed"`')


def worst_first(results: Iterable[PairResult]) -> tuple[PairResult, ...]:
    """Return results in the order in which a reader wants them.

    Trouble, then what is different, what passed unexpectedly, what is inconclusive, and the rest; each by
    headroom, largest first. What is different without a number is of another shape altogether, and leads.
    """
    return tuple(sorted(results, key=_rank))


def _rank(result: PairResult) -> tuple[int, float]:
    place = _WORST_FIRST.index(result.status) if result.status in _WORST_FIRST else len(_WORST_FIRST)
    if result.headroom is not None and not math.isnan(result.headroom):
        return place, -result.headroom
    return place, -math.inf if result.status == "different" else math.inf
