"""A number that somebody expected, and what is known of where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import numpy as np

from grubridge.errors import ProbeError
from grubridge.files.text import printable

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
        tolerance: how near a value must come: one unit of the last digit given, or rounding where more digits
            were given than a float32 has.
        right: whether it is the state that the equations give.
        matches: the ways to it that make fewest mistakes; () when none leads there.
        tried: how many values were compared.
        pairs: whether mistakes were tried two at a time.
        by_chance: how many of the values compared would agree, on average, if it came from elsewhere.
        nearest: when none matches, what came nearest.
    """

    text: str
    tolerance: float
    right: bool
    matches: tuple[Match, ...]
    tried: int
    pairs: bool
    by_chance: float
    nearest: Match | None


def expected_number(text: str) -> tuple[float, float]:
    """Return an expected value and how near another must come to agree with it within its digits.

    Raises:
        ProbeError: when it is no finite number.
    """
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise ProbeError(f"an expected value must be a number such as -0.4628; received {printable(text)!r}")
    _, digits, exponent = number.as_tuple()
    value = float(number)
    rounding = _FLOAT32_ROUNDING if len(digits) <= _FLOAT32_DIGITS else _FLOAT64_ROUNDING
    last_digit = float(Decimal((0, (1,), int(exponent))))
    if not np.isfinite(value) or not np.isfinite(last_digit):
        raise ProbeError(
            f"an expected value must be a number that float64 holds; received {printable(text)!r}"
        )
    return value, max(last_digit, rounding * max(abs(value), 1.0))
