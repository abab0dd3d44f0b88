"""Colours of heatmaps, which people who see fewer colours can tell apart too.

Sources: viridis (van der Walt and Smith, CC0); the diverging ones follow ColorBrewer's PRGn and Blues/Oranges
(Brewer, Apache 2.0). White is the middle of a diverging palette; a dark page turns it to black by a filter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grubridge.spec import Array

__all__ = ["DIFFERENCE", "FRACTION", "SIGNED", "Palette", "difference_position"]

_COLOURS = 63
_NOT_FINITE = (255, 0, 160)
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """Colours for positions from 0 to 1; the first of them is for what is not finite.

    Args:
        name: of the palette, which is also a class of the style sheet.
        colours: the first for NaN and infinity, the others in order.
    """

    name: str
    colours: tuple[Colour, ...]

    def indices(self, positions: Array) -> Array:
        """Return the index of each position's colour, uint8."""
        finite = np.isfinite(positions)
        scaled = np.where(finite, positions, 0).clip(0, 1) * (_COLOURS - 1)
        indices: Array = np.where(finite, 1 + np.rint(scaled), 0).astype(np.uint8)
        return indices


def _palette(name: str, anchors: str) -> Palette:
    fixed = np.array([list(bytes.fromhex(anchor)) for anchor in anchors.split()], float)
    at = np.linspace(0, len(fixed) - 1, _COLOURS)
    levels = (np.interp(at, np.arange(len(fixed)), channel).round() for channel in fixed.T)
    colours = tuple((int(red), int(green), int(blue)) for red, green, blue in zip(*levels, strict=True))
    return Palette(name, (_NOT_FINITE, *colours))


FRACTION = _palette("fraction", "440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725")
"""Of gates: 0 to 1."""
SIGNED = _palette("signed", "40004b 762a83 9970ab c2a5cf e7d4e8 f7f7f7 d9f0d3 a6dba0 5aae61 1b7837 00441b")
"""Of states and candidates: negative, 0, positive."""
DIFFERENCE = _palette("difference", "08306b 2171b5 6baed6 c6dbef f7f7f7 fdd0a2 fd8d3c d94801 7f2704")
"""Of differences: negative, none, positive."""


def difference_position(difference: Array, smallest: float, largest: float) -> Array:
    """Return where differences stand in the palette: logarithmic in size on both sides of the middle.

    Args:
        difference: any shape, float64.
        smallest: differences up to this size stand in the middle.
        largest: those from this size on stand at the ends.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.log(np.abs(difference) / smallest) / np.log(largest / smallest)
        position: Array = 0.5 + 0.5 * np.sign(difference) * share.clip(0, 1)
    position[difference == 0] = 0.5
    return position
