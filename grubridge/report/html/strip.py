"""All pairs of a suite on one scale: how near each comes to its bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grubridge.suite.result import PairResult, PairStatus

from .axes import Log, Mark
from .numbers import ratio

__all__ = ["WORDS", "Lane", "Strip", "strip"]

_POSITIONS = 600
WORDS: dict[PairStatus, str] = {
    "equivalent": "equivalent",
    "different": "different",
    "inconclusive": "inconclusive",
    "trouble": "not checked",
    "xfailed": "different, as expected",
    "xpassed": "not different, against expectation",
}
_LANES: tuple[PairStatus, ...] = ("different", "xfailed", "xpassed", "inconclusive", "equivalent")


@dataclass(frozen=True)
class Lane:
    """The pairs of one status: a tick for each, those that fall on one another drawn once."""

    status: str
    words: str
    count: int
    ticks: str


@dataclass(frozen=True)
class Strip:
    """The drawing.

    Args:
        alt: what it shows, with its numbers.
        lanes: one per status that has a pair with a measured ratio.
        marks: of the ratio of error to bound.
        bound: where the ratio is 1, in percent.
        unmeasured: how many pairs have no ratio.
    """

    alt: str
    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...]
    bound: float
    unmeasured: int


def strip(results: Sequence[PairResult]) -> Strip | None:
    """Return the drawing of all pairs; None where none has a ratio of error to bound."""
    ratios = [(one.status, one.headroom) for one in results if one.headroom is not None]
    if not ratios:
        return None
    scale = Log.around([1.0, 0.1, *(value for _, value in ratios)])
    lanes = []
    for status in _LANES:
        found = [value for own, value in ratios if own == status]
        if found:
            places = sorted({round(scale.at(value) / 100 * _POSITIONS) for value in found})
            ticks = "".join(f"M{100 * place / _POSITIONS:.4g} 0v100" for place in places)
            lanes.append(Lane(status, WORDS[status], len(found), ticks))
    largest = max(value for _, value in ratios)
    alt = (
        f"{len(ratios)} pairs by their largest error over its bound, which is a pair's own tolerance where "
        f"it has one; the largest is {ratio(largest)}. "
        + ", ".join(f"{lane.count} {lane.words}" for lane in lanes)
        + "."
    )
    return Strip(alt, tuple(lanes), scale.decades(), scale.at(1.0), len(results) - len(ratios))
