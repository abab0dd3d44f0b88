"""What the report of a check says of a pair: its status, how near to its bound it came, and why."""

from __future__ import annotations

from typing import TypedDict

from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict

from .result import PairStatus

__all__ = ["Judged", "judged"]

_STATUSES: dict[Verdict, PairStatus] = {
    Verdict.EQUIVALENT: "equivalent",
    Verdict.DIFFERENT: "different",
    Verdict.INCONCLUSIVE: "inconclusive",
}


class Judged(TypedDict):
    """Fields of a `PairResult`."""

    status: PairStatus
    report: CheckReport
    headroom: float | None
    cause: str | None


def judged(report: CheckReport) -> Judged:
    """Return what a report says, wherever a difference is not expected."""
    return {
        "status": _STATUSES[report.verdict],
        "report": report,
        "headroom": _headroom(report),
        "cause": _cause(report),
    }


def _headroom(report: CheckReport) -> float | None:
    """The largest error over what decides: the bound, or a tolerance of the user's own."""
    if report.tolerance is not None:
        return max((one.largest for one in report.tolerated), default=None)
    found = [one.headroom for one in report.comparisons] + [one.headroom for one in report.sensitivity]
    return max((headroom for headroom in found if headroom is not None), default=None)


def _cause(report: CheckReport) -> str | None:
    """The first sentence of why it is not equivalent."""
    for one in report.diagnosis:
        return f"{one.cause}: {one.detail}".split("\n")[0].split("; ")[0]
    return None
