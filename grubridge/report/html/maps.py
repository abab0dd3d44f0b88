"""Heatmaps as pictures, with the numbers behind them for the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from grubridge.checker.heatmaps import Heatmap
from grubridge.report.check.words import NAMES
from grubridge.spec import Array

from .curves import ORDER, SYMBOLS
from .data import Series, by_quantity, packed
from .numbers import figure, signed
from .palettes import DIFFERENCE, FRACTION, SIGNED, Palette, difference_position
from .png import data_uri, indexed_png

__all__ = ["Legend", "Map", "MapFigure", "MapRow", "map_data", "map_figures"]

_DIGITS = 7
_DECADES = 3
"""A difference of a rounding has a pale colour: the scale of differences spans so many decades at least."""


@dataclass(frozen=True)
class Legend:
    """The scale of a palette: its picture, and the numbers at its ends and in its middle."""

    palette: str
    source: str
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Map:
    """One picture: of a run, or of the difference of two."""

    of: str
    palette: str
    source: str
    alt: str


@dataclass(frozen=True)
class MapRow:
    """The pictures of one quantity, and the number at which the cursor stands in the beginning.

    Args:
        key: the quantity.
        symbol: z, r, n or h.
        name: in words.
        maps: of each run, and of their difference.
        legends: of the runs, and of the difference.
        step: where the runs differ most; of one run, where it is largest.
        unit: likewise.
        values: what each run has there, and the difference.
        series: what the script needs.
    """

    key: str
    symbol: str
    name: str
    maps: tuple[Map, ...]
    legends: tuple[Legend, ...]
    step: int
    unit: int
    values: tuple[str, ...]
    series: Series


@dataclass(frozen=True)
class MapFigure:
    """All quantities of one layer and direction, under one cursor.

    Args:
        key: unique in the page.
        title: which layer and direction, and which sequence.
        runs: what the columns of numbers are called.
        steps: T.
        units: H.
        columns: of cells.
        rows: of cells.
        span: how many steps and units a cell stands for.
        start: column and row in which the cursor begins.
        quantities: z, r, n and h, as far as they are known.
    """

    key: str
    title: str
    runs: tuple[str, ...]
    steps: int
    units: int
    columns: int
    rows: int
    span: tuple[int, int]
    start: tuple[int, int]
    quantities: tuple[MapRow, ...]


def map_figures(heatmaps: Sequence[Heatmap], runs: tuple[str, ...]) -> tuple[MapFigure, ...]:
    """Return a figure for every layer and direction."""
    figures = []
    for (layer, direction), group in groupby(heatmaps, lambda one: (one.layer, one.direction)):
        maps = sorted(group, key=lambda one: ORDER.index(one.quantity))
        first = maps[0]
        columns, rows = first.offsets.shape
        title = f"Layer {layer} {direction}, sequence {first.sequence}"
        size = (first.steps, first.units, columns, rows, first.span, maps[-1].largest)
        quantities = tuple(_row(one, runs) for one in maps)
        figures.append(MapFigure(f"map-{layer}-{direction}", title, runs, *size, quantities))
    return tuple(figures)


def map_data(figures: Sequence[MapFigure]) -> dict[str, object]:
    """Return what the script needs of figures of heatmaps."""
    return {
        one.key: {
            "columns": one.columns,
            "rows": one.rows,
            "span": one.span,
            "start": one.start,
            "series": by_quantity([row.series for row in one.quantities]),
        }
        for one in figures
    }


def _row(heatmap: Heatmap, runs: tuple[str, ...]) -> MapRow:
    column, row = heatmap.largest
    step, unit = heatmap.element(column, row)
    numbers = [float(value) for value in heatmap.values[:, column, row]]
    written = [figure(number, _DIGITS) for number in numbers]
    place = f"at step {step}, unit {unit}"
    name = NAMES[heatmap.quantity]
    palette, low, high = _scale(heatmap)
    maps = []
    for run, values, number in zip(runs, heatmap.values, written, strict=True):
        positions = (values.astype(np.float64) - low) / (high - low)
        alt = f"{name} of {run}, from {_low_high(values)}; {number} {place}"
        maps.append(Map(run, palette.name, _picture(positions, palette), alt))
    ends = (figure(low, 2), "0", figure(high, 2)) if low < 0 else ("0", figure(high, 2))
    legends = [_legend(palette, ends)]
    if len(runs) == 2:
        smallest, largest = _difference_scale(heatmap)
        apart = float(heatmap.difference[column, row])
        written.append(signed(apart))
        alt = f"{name}, {runs[1]} minus {runs[0]}: at most {figure(abs(apart))} in size, {place}"
        positions = difference_position(heatmap.difference, smallest, largest)
        maps.append(Map("difference", DIFFERENCE.name, _picture(positions, DIFFERENCE), alt))
        end, middle = figure(largest, 2), f"\N{PLUS-MINUS SIGN}{figure(smallest, 1)}"
        legends.append(_legend(DIFFERENCE, (f"-{end}", middle, f"+{end}")))
    arrays = {f"values{index}": packed(values) for index, values in enumerate(heatmap.values)}
    if heatmap.span != (1, 1):
        arrays["offsets"] = packed(heatmap.offsets)
    key, symbol = heatmap.quantity, SYMBOLS[heatmap.quantity]
    pictures = tuple(maps), tuple(legends)
    return MapRow(key, symbol, name, *pictures, step, unit, tuple(written), Series(key, arrays))


def _scale(heatmap: Heatmap) -> tuple[Palette, float, float]:
    """The palette of a quantity, and the values at its ends."""
    finite = heatmap.values[np.isfinite(heatmap.values)]
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    if heatmap.quantity in ("update", "reset") and low >= 0:
        return FRACTION, 0.0, max(1.0, high)
    size = max(-low, high) or 1.0  # of nothing but zeros
    return SIGNED, -size, size


def _difference_scale(heatmap: Heatmap) -> tuple[float, float]:
    """From a rounding of the coarser run to the largest difference, three decades at least."""
    narrow = any(
        np.array_equal(values, values.astype(np.float32), equal_nan=True) for values in heatmap.values
    )
    smallest = 2.0**-24 if narrow else 2.0**-53
    finite = np.abs(heatmap.difference[np.isfinite(heatmap.difference)])
    return smallest, max(float(finite.max(initial=0)), smallest * 10**_DECADES)


def _low_high(values: Array) -> str:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "NaN or infinity throughout"
    told = f"{figure(float(finite.min()))} to {figure(float(finite.max()))}"
    lost = values.size - finite.size
    return f"{told}, {lost} not finite" if lost else told


def _picture(positions: Array, palette: Palette) -> str:
    """Steps run to the right, units downwards."""
    return data_uri(indexed_png(palette.indices(positions).T, palette.colours))


def _legend(palette: Palette, marks: tuple[str, ...]) -> Legend:
    return Legend(palette.name, _picture(np.linspace(0, 1, 63)[:, None], palette), marks)
