"""Errors over time against their bounds, and gates over time: small drawings on one scale, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grubridge.checker.findings import Comparison
from grubridge.checker.profile import Profile
from grubridge.checker.verdict import Verdict
from grubridge.diagnosis.statistics import DirectionStatistics, OverTime
from grubridge.reference.rounding import Quantity
from grubridge.report.check.words import NAMES

from .axes import Linear, Log, Mark, path
from .data import Series, packed
from .numbers import figure, ratio

__all__ = ["ORDER", "SYMBOLS", "Curve", "ErrorCurve", "Panel", "error_panel", "gate_panel"]

ORDER: tuple[Quantity, ...] = ("update", "reset", "candidate", "hidden")
"""In which a page shows them."""
SYMBOLS: Mapping[str, str] = {"update": "z", "reset": "r", "candidate": "n", "hidden": "h"}


_DOTTED = 48
"""Points up to so many are dots on their line."""


@dataclass(frozen=True)
class Curve:
    """One drawing; places are in percent of it.

    Args:
        key: the quantity.
        symbol: z, r, n or h.
        name: in words.
        alt: what it shows, with its numbers.
        x: marks of the steps.
        y: marks of the values.
        line: an SVG path.
        dots: those of its points that are no line by themselves.
        beyond: its points above the bound.
        bound: an SVG path; "" where there is none.
        forbidden: the area above the bound.
    """

    key: str
    symbol: str
    name: str
    alt: str
    x: tuple[Mark, ...]
    y: tuple[Mark, ...]
    line: str
    dots: str = ""
    beyond: str = ""
    bound: str = ""
    forbidden: str = ""


@dataclass(frozen=True)
class ErrorCurve:
    """A drawing of errors, and its row in the table: the step that comes nearest to its bound."""

    curve: Curve
    step: int
    error: str
    bound: str
    ratio: str
    within: bool


@dataclass(frozen=True)
class Panel:
    """The drawings of one layer and direction, and the numbers for the one cursor that they share.

    Args:
        key: unique in the page.
        title: which layer and direction.
        steps: T.
        span: steps that a point stands for.
        curves: the drawings.
        series: what the script needs, by quantity.
    """

    key: str
    title: str
    steps: int
    span: int
    curves: tuple[ErrorCurve, ...]
    series: tuple[Series, ...]


def error_panel(key: str, title: str, comparisons: Sequence[Comparison], steps: int) -> Panel | None:
    """Return the drawings of errors against bounds; None where no step was judged by itself."""
    drawn = [(one, one.profile) for one in comparisons if one.profile is not None and one.profile.times]
    if not drawn:
        return None
    scale = Log.around(value for _, profile in drawn for value in (*profile.errors, *profile.bounds))
    time = Linear(0, steps - 1)
    curves = tuple(_error_curve(one, profile, time, scale) for one, profile in drawn)
    series = tuple(
        Series(
            one.quantity,
            {
                "steps": packed(np.array(profile.times)),
                "errors": packed(np.array(profile.errors)),
                "bounds": packed(np.array(profile.bounds)),
            },
        )
        for one, profile in drawn
    )
    return Panel(key, title, steps, drawn[0][1].span, curves, series)


def _error_curve(one: Comparison, profile: Profile, time: Linear, scale: Log) -> ErrorCurve:
    errors = [
        (time.at(step), scale.at(error)) for step, error in zip(profile.times, profile.errors, strict=True)
    ]
    bounds = [
        (time.at(step), scale.at(bound)) for step, bound in zip(profile.times, profile.bounds, strict=True)
    ]
    exceeds = [error > bound for error, bound in zip(profile.errors, profile.bounds, strict=True)]
    beyond = [point for point, exceeded in zip(errors, exceeds, strict=True) if exceeded]
    worst = _nearest(profile)
    step, error, bound = profile.times[worst], figure(profile.errors[worst]), figure(profile.bounds[worst])
    symbol, name = SYMBOLS[one.quantity], NAMES[one.quantity]
    alt = (
        f"Error of the {name} ({symbol}) in every step against its bound, logarithmic: nearest to the bound "
        f"at step {step}, with an error of {error} and a bound of {bound}, {ratio(one.headroom)}. "
        f"{len(beyond)} of {len(errors)} points are beyond the bound."
    )
    curve = Curve(
        one.quantity,
        symbol,
        name,
        alt,
        time.steps(),
        scale.decades(),
        path(errors),
        _dots(errors) if len(errors) <= _DOTTED else "",
        _dots(beyond),
        path(bounds),
        path([(bounds[0][0], 100), *bounds, (bounds[-1][0], 100)]) + "Z",
    )
    within = one.verdict is not Verdict.DIFFERENT
    return ErrorCurve(curve, step, error, bound, figure(one.headroom, 2), within)


def _nearest(profile: Profile) -> int:
    """The point with the largest ratio of error to bound."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.array(profile.errors) / np.array(profile.bounds)
    return int(np.nan_to_num(ratios, nan=0).argmax())


def gate_panel(seen: DirectionStatistics, *, one_unit: bool) -> tuple[Curve, ...]:
    """Return the drawings of the gates of a traced model over time."""
    curves = []
    for key, over_time in (
        ("update", seen.update),
        ("reset", seen.reset),
        ("candidate", seen.candidate),
        ("hidden", seen.hidden),
    ):
        if over_time is not None:
            signed = key in ("update", "reset") or one_unit
            curves.append(_gate_curve(key, over_time, "" if signed else "size of the "))
    return tuple(curves)


def _gate_curve(key: str, seen: OverTime, what: str) -> Curve:
    symbol = f"|{SYMBOLS[key]}|" if what else SYMBOLS[key]
    name = f"{what}{NAMES[key]}"  # type: ignore[index]  # the keys are quantities
    finite = [value for value in seen.curve if np.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    scale = Linear(min(low, 0.0), max(high, 1.0 if key in ("update", "reset") else 0.0) or 1.0)
    time = Linear(0, len(seen.curve) - 1)
    points = [(time.at(step), scale.at(value)) for step, value in _thinned(seen.curve)]
    alt = (
        f"Mean {name} of every step: between {figure(low)} and {figure(high)}; of all values the mean is "
        f"{figure(seen.mean)}, the range {figure(seen.low)} to {figure(seen.high)}."
    )
    marks = tuple(Mark(scale.at(value), figure(value, 2)) for value in (scale.low, scale.high))
    dots = _dots(points) if len(points) < 2 else ""
    return Curve(key, symbol, name, alt, time.steps(), marks, path(points), dots)


def _thinned(curve: Sequence[float], most: int = 240) -> list[tuple[int, float]]:
    """The highest and lowest value of every span, in the order of time, where there are too many to draw."""
    span = -(-len(curve) // (most // 2)) if len(curve) > most else 1
    kept: list[tuple[int, float]] = []
    for start in range(0, len(curve), span):
        values = np.nan_to_num(np.array(curve[start : start + span]), nan=np.inf)
        extremes = sorted({start + int(values.argmin()), start + int(values.argmax())})
        kept += [(step, curve[step]) for step in extremes]
    return kept


def _dots(points: Sequence[tuple[float, float]]) -> str:
    """Lines of no length, which a round pen draws as dots."""
    return "".join(f"M{x:.3g} {100 - y:.3g}h0" for x, y in points)
