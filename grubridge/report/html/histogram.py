"""How many numbers come how near to their bounds: bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from grubridge.checker.findings import Comparison
from grubridge.checker.profile import FINEST
from grubridge.report.check.words import NAMES

from .axes import Mark
from .curves import ORDER, SYMBOLS
from .numbers import figure, ratio

__all__ = ["Bar", "Histogram", "histograms"]

_BARS_BELOW = 16
"""Bars below the bound: ratios under 2**-16 are one bar."""


@dataclass(frozen=True)
class Bar:
    """A bar, in percent of the drawing."""

    x: float
    width: float
    height: float
    beyond: bool


@dataclass(frozen=True)
class Histogram:
    """One quantity.

    Args:
        key: the quantity.
        symbol: z, r, n or h.
        name: in words.
        alt: what it shows, with its numbers.
        bars: of a factor of two each.
        marks: of the ratio.
        bound: where the ratio is 1, in percent.
        judged: how many numbers.
        median: the ratio that half of the numbers do not exceed, up to a factor of two.
        beyond: how many exceed their bound.
        largest: the largest ratio.
    """

    key: str
    symbol: str
    name: str
    alt: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    bound: float
    judged: int
    median: str
    beyond: int
    largest: str


def histograms(comparisons: Sequence[Comparison]) -> tuple[Histogram, ...]:
    """Return one histogram per quantity, over all layers and directions of one edge."""
    totals: dict[str, list[int]] = {}
    for one in comparisons:
        if one.profile is not None and one.profile.counts:
            total = totals.setdefault(one.quantity, [])
            total.extend([0] * (len(one.profile.counts) - len(total)))
            for index, count in enumerate(one.profile.counts):
                total[index] += count
    last = max((FINEST + len(total) - 1 for total in totals.values()), default=0)
    found = []
    for quantity in ORDER:
        if quantity in totals:
            largest = max(one.headroom or 0.0 for one in comparisons if one.quantity == quantity)
            found.append(_histogram(quantity, totals[quantity], max(last, 1), largest))
    return tuple(found)


def _histogram(quantity: str, counts: list[int], last: int, largest: float) -> Histogram:
    """`counts[k]` have a ratio of at most 2**(FINEST + k); the drawing ends at 2**last."""
    below = -FINEST - _BARS_BELOW
    shown = [sum(counts[: below + 1]), *counts[below + 1 :]]
    first, total, most = -_BARS_BELOW, sum(counts), max(shown)
    width = 100 / (last - first + 1)
    bars = tuple(
        Bar(round(index * width, 3), round(width, 3), round(100 * count / most, 3), first + index > 0)
        for index, count in enumerate(shown)
        if count
    )
    middle = next(k for k, running in enumerate(accumulate(counts)) if 2 * running >= total)
    beyond = sum(counts[1 - FINEST :])
    name, median = NAMES[quantity], f"at most {figure(2.0 ** (FINEST + middle), 2)}"  # type: ignore[index]
    alt = (
        f"How near the errors of the {name} come to their bounds, in {total:,} numbers: {beyond:,} are "
        f"beyond, half of them have {median} of the bound, the largest {ratio(largest)}."
    )
    powers = range(first, last + 1, -(-(last - first) // 4))
    marks = tuple(
        Mark((power - first + 1) * width, figure(2.0**power, 1)) for power in powers if abs(power) > 2
    )
    bound = round((1 - first) * width, 3)
    symbol = SYMBOLS[quantity]
    return Histogram(
        quantity, symbol, name, alt, bars, marks, bound, total, median, beyond, figure(largest, 2)
    )
