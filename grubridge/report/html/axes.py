"""Scales of drawings: a number's place in percent, and the marks beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Linear", "Log", "Mark", "path"]

_DECADES = 5


@dataclass(frozen=True)
class Mark:
    """A number beside a drawing: where, in percent, and how it is written."""

    at: float
    text: str


@dataclass(frozen=True)
class Linear:
    """A linear scale from `low` to `high`."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Return the place of a value, 0 to 100."""
        return _percent((value - self.low) / ((self.high - self.low) or 1.0))

    def steps(self, most: int = 4) -> tuple[Mark, ...]:
        """Return marks at whole numbers, both ends among them; the last lies at `high`."""
        first, last = int(self.low), int(self.high)
        every = max(1, _nice((last - first) / most))
        inner = (value for value in range(first, last, every) if last - value >= every / 2)
        return tuple(Mark(self.at(value), str(value)) for value in (*inner, last))


@dataclass(frozen=True)
class Log:
    """A logarithmic scale over whole decades, from 10**`first` to 10**`last`."""

    first: int
    last: int

    @classmethod
    def around(cls, values: Iterable[float]) -> Log:
        """Return the scale that holds all values that are positive and finite."""
        shown = [value for value in values if 0 < value < math.inf]
        if not shown:
            return cls(-1, 0)
        first, last = math.floor(math.log10(min(shown))), math.ceil(math.log10(max(shown)))
        return cls(first, max(last, first + 1))

    def at(self, value: float) -> float:
        """Return the place of a value, 0 to 100; zero lies at the beginning, infinity and NaN at the end."""
        if value == 0:
            return 0.0
        if not math.isfinite(value):
            return 100.0
        return _percent((math.log10(value) - self.first) / (self.last - self.first))

    def decades(self) -> tuple[Mark, ...]:
        """Return marks at some of the powers of ten."""
        every = -(-(self.last - self.first) // _DECADES)
        powers = range(self.first, self.last + 1, every)
        return tuple(Mark(self.at(10.0**power), _power(power)) for power in powers)


def path(points: Sequence[tuple[float, float]]) -> str:
    """Return what an SVG <path> takes: a line through points in percent; y grows upwards."""
    drawn = " ".join(f"{x:.3g} {100 - y:.3g}" for x, y in points)
    return f"M{drawn}" if drawn else ""


def _power(power: int) -> str:
    return f"{10.0**power:g}" if -2 <= power <= 2 else f"1e{power}"


def _nice(step: float) -> int:
    """Round a step of marks to 1, 2 or 5 times a power of ten."""
    if step <= 1:
        return 1
    power = 10 ** math.floor(math.log10(step))
    return int(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step))


def _percent(share: float) -> float:
    return round(100 * min(1.0, max(0.0, share)), 3)
