"""A number that somebody expected, and what is known of where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import numpy as np

from grubridge.errors import ProbeError
from grubridge.files.text import quoted

__all__ = ["Expectation", "Match", "expected_number"]

_FLOAT32_DIGITS = 9
_FLOAT32_ROUNDING = 5e-7  # what a run in float32 may be off by, relative to 1 or to the value
_FLOAT64_ROUNDING = 1e-12


@dataclass(frozen=True)
class Match:
    """One way to a value.

    Args:
        mistakes: what was done otherwise, as clauses; () when the equations as they are give it.
        quantity: what the value is, e.g. "h[0]" or "the argument of z[1]".
        value: it.
    """

    mistakes: tuple[str, ...]
    quantity: str
    value: float


@dataclass(frozen=True)
class Expectation:
    """What is known about an expected value.

    Args:
        text: the value as it was given.
        low: the least value that agrees with it: that rounds to it, or gives it when later digits are cut
            off; beyond the digits of a float32, what its rounding allows.
        high: the largest.
        right: whether it is the state that the equations give.
        matches: the ways to it that make fewest mistakes; () when none leads there.
        tried: how many values were compared.
        pairs: whether mistakes were tried two at a time, as they are where one alone does not lead to it.
        by_chance: how many of the values compared would agree, on average, if it came from elsewhere.
        nearest: when none matches, what came nearest.
    """

    text: str
    low: float
    high: float
    right: bool
    matches: tuple[Match, ...]
    tried: int
    pairs: bool
    by_chance: float
    nearest: Match | None


def expected_number(text: str) -> tuple[float, float, float]:
    """Return an expected value, and the least and the largest that agree with it within its digits.

    Raises:
        ProbeError: when it is no finite number.
    """
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise ProbeError(f"an expected value must be a number such as -0.4628; received {quoted(text)}")
    _, digits, exponent = number.as_tuple()
    value, last_digit = float(number), float(Decimal((0, (1,), int(exponent))))
    if not np.isfinite(value) or not np.isfinite(last_digit):
        raise ProbeError(f"an expected value must be a number that float64 holds; received {quoted(text)}")
    relative = _FLOAT32_ROUNDING if len(digits) <= _FLOAT32_DIGITS else _FLOAT64_ROUNDING
    rounding = relative * max(abs(value), 1.0)
    inward, outward = max(last_digit / 2, rounding), max(last_digit, rounding)  # cut off, it lies further out
    below = inward if value > 0 else outward
    above = inward if value < 0 else outward
    return value, value - below, value + above
