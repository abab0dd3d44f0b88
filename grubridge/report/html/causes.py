"""The causes that were tried, by the error that each leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grubridge.checker.findings import Cause, Tried
from grubridge.checker.pictures import TriedAt

from .axes import Log
from .numbers import figure

__all__ = ["TriedBar", "TriedFigure", "tried_figure"]

_BARS = 24
_AS_IT_IS = "nothing: the files as they are"


@dataclass(frozen=True)
class TriedBar:
    """One explanation: how much error it leaves.

    Args:
        what: is taken into account.
        width: of the bar, in percent.
        residual: the error that is left.
        ratio: that error over its bound.
        explains: whether it is no more than rounding.
    """

    what: str
    width: float
    residual: str
    ratio: str
    explains: bool


@dataclass(frozen=True)
class TriedFigure:
    """What was tried, the best first: where, what the drawing shows, its bars."""

    where: str
    alt: str
    bars: tuple[TriedBar, ...]


def tried_figure(at: Sequence[TriedAt], causes: Sequence[Cause]) -> TriedFigure | None:
    """Return the explanations that there are, beside those that were tried in vain in the first place.

    None where no mistake was looked for.
    """
    found = [tried for cause in causes for tried in cause.tried]
    for one in at[:1]:
        found += [*one.rivals, Tried(_AS_IT_IS, one.unchanged.residual, one.unchanged.headroom)]
    if not found:
        return None
    found.sort(key=lambda one: (one.headroom > 1, one.residual))
    scale = Log.around(one.residual for one in found)
    bars = tuple(
        TriedBar(
            one.what,
            max(1.0, scale.at(one.residual)),  # the shortest can be seen
            figure(one.residual, 2),
            figure(one.headroom, 2),
            one.headroom <= 1,
        )
        for one in found[:_BARS]
    )
    fits = sum(bar.explains for bar in bars)
    alt = f"{len(bars)} explanations by the error that each leaves; {fits} leave no more than rounding."
    where = f"layer {at[0].layer} {at[0].direction}" if at else ""
    return TriedFigure(where, alt, bars)
