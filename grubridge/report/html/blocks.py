"""Blocks of gates and the arrows between them: where they stand in a drawing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from grubridge.checker.pictures import WeightLayout
from grubridge.spec import CANDIDATE, Gate

from .curves import SYMBOLS

__all__ = ["HEIGHT", "LINE", "WIDTH", "Arrow", "Block", "Point", "arrow", "tensor", "tensor_size", "vectors"]

WIDTH, HEIGHT = 320, 216
LINE = 17  # of text
_ACROSS = (52, 48)  # of a block that stands beside the next one
_DOWN = (92, 27)  # of a block that stands above the next one
_VECTOR = (62, 24)
_TIP, _WING = 6, 4  # of an arrow

Point = tuple[float, float]


@dataclass(frozen=True)
class Block:
    """The numbers of one gate in one tensor.

    Args:
        gate: whose.
        symbol: z, r or n.
        x: of its left edge.
        y: of its upper edge.
        width: of it.
        height: of it.
        note: how its numbers differ from the other file's.
        differs: whether they do.
    """

    gate: Gate
    symbol: str
    x: float
    y: float
    width: float
    height: float
    note: str = ""
    differs: bool = False


@dataclass(frozen=True)
class Arrow:
    """From a block of the first file to one of the second: a curve, and the triangle at its end."""

    gate: Gate
    line: str
    head: str


def tensor_size(layout: WeightLayout) -> tuple[int, int]:
    """Return the width and height of a weight's three blocks."""
    return (3 * _ACROSS[0], _ACROSS[1]) if layout.rows == "input" else (_DOWN[0], 3 * _DOWN[1])


def tensor(layout: WeightLayout, x: float, y: float) -> Iterator[Block]:
    """Yield a weight's blocks in their order: side by side where rows are inputs, else above each other."""
    for index, gate in enumerate(layout.gate_order):
        if layout.rows == "input":
            yield Block(gate, SYMBOLS[gate], x + index * _ACROSS[0], y, *_ACROSS)
        else:
            yield Block(gate, SYMBOLS[gate], x, y + index * _DOWN[1], *_DOWN)


def vectors(layout: WeightLayout, y: float) -> Iterable[tuple[Block, bool]]:
    """Yield the blocks of the biases, the input's first, and whether each is of the recurrent one."""
    x = (WIDTH - 3 * _VECTOR[0]) / 2
    for recurrent, there in enumerate((layout.input_bias, layout.recurrent_bias != "none")):
        if not there:
            continue
        for index, gate in enumerate(layout.gate_order):
            if not recurrent or layout.recurrent_bias == "all" or gate == CANDIDATE:
                yield Block(gate, SYMBOLS[gate], x + index * _VECTOR[0], y, *_VECTOR), bool(recurrent)
        y += _VECTOR[1]


def arrow(source: Block, target: Block, *, down: bool, into_top: bool) -> Arrow:
    """Return a curve that leaves a tensor across its stacked axis, and enters the other one likewise.

    Args:
        source: where it begins.
        target: where it ends.
        down: whether it leaves through the lower edge, else through the right one.
        into_top: whether it enters through the upper edge, else through the left one.
    """
    x0, y0 = (
        (source.x + source.width / 2, source.y + source.height)
        if down
        else (source.x + source.width, source.y + source.height / 2)
    )
    x1, y1 = (target.x + target.width / 2, target.y) if into_top else (target.x, target.y + target.height / 2)
    x2, y2 = (x1, y1 - _TIP) if into_top else (x1 - _TIP, y1)
    bend = 0.55 * max(abs(x2 - x0), abs(y2 - y0), 40)
    leaving = (x0, y0 + bend) if down else (x0 + bend, y0)
    entering = (x2, y2 - bend) if into_top else (x2 - bend, y2)
    wings = ((x2 - _WING, y2), (x2 + _WING, y2)) if into_top else ((x2, y2 - _WING), (x2, y2 + _WING))
    line = f"M{_points((x0, y0))}C{_points(leaving, entering, (x2, y2))}"
    return Arrow(source.gate, line, f"M{_points((x1, y1), *wings)}Z")


def _points(*points: Point) -> str:
    return " ".join(f"{x:.4g} {y:.4g}" for x, y in points)
