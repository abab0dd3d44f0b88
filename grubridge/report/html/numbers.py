"""Numbers as the page writes them; script.js writes those under the cursor in the same way."""

from __future__ import annotations

import math

__all__ = ["figure", "ratio", "signed"]


def figure(value: float | None, digits: int = 3) -> str:
    """Return a number with so many significant digits; small and large ones with an exponent, as 1.25e-7."""
    if value is None:
        return "none"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -4 <= power < max(digits, 4):
        return f"{value:.{max(0, digits - 1 - power)}f}"
    return f"{mantissa}e{power}"


def signed(value: float, digits: int = 4) -> str:
    """Return a difference, a plus before it where it is positive."""
    return f"+{figure(value, digits)}" if value > 0 else figure(value, digits)


def ratio(value: float | None) -> str:
    """Return an error over its bound: "0.25 of the bound", "1.2e7 times the bound"."""
    if value is None:
        return "not judged"
    if value == 0:
        return "exact"
    if not math.isfinite(value):
        return "infinitely above the bound"
    return f"{figure(value, 2)} {'of' if value <= 1 else 'times'} the bound"
