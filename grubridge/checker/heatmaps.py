"""What gates and states did in one sequence, unit by unit, in few enough numbers to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grubridge.reference.rounding import QUANTITIES, Quantity
from grubridge.spec import Array, Direction
from grubridge.traces import DirectionTrace, Place, Probe, Trace

__all__ = ["Heatmap", "heatmaps"]

_BYTES = 110_000
"""Of all numbers of all heatmaps together: what a page of 400 kB has room for."""
_INDEX_BYTES = 2
_PLACES = 4


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One quantity of one layer and direction in one sequence: of one run, or of two on the same inputs.

    Of a large one every cell stands for several steps and units, and holds that one of their numbers in which
    the two runs differ most; of one run, the largest in size. No mean is taken: a mean hides what is rare.

    Args:
        layer: index of the layer.
        direction: of reading.
        quantity: the hidden state or a gate.
        sequence: the index of the sequence.
        steps: of it.
        units: H.
        span: how many steps and units a cell stands for; those at the end may stand for fewer.
        offsets: where in its cell each number stands, unit by unit, step after step, [columns, rows].
        values: what each run has there, [runs, columns, rows], float32 or float64; columns are steps.
    """

    layer: int
    direction: Direction
    quantity: Quantity
    sequence: int
    steps: int
    units: int
    span: tuple[int, int]
    offsets: Array
    values: Array

    @property
    def difference(self) -> Array:
        """The second run minus the first, [columns, rows], float64."""
        with np.errstate(invalid="ignore"):
            apart: Array = self.values[1].astype(np.float64) - self.values[0].astype(np.float64)
        return apart

    def element(self, column: int, row: int) -> tuple[int, int]:
        """Return step and unit of the number in a cell."""
        step, unit = divmod(int(self.offsets[column, row]), self.span[1])
        return column * self.span[0] + step, row * self.span[1] + unit

    @property
    def largest(self) -> tuple[int, int]:
        """The cell in which the runs differ most; of one run, the one that is largest in size."""
        column, row = np.unravel_index(int(_score(self.values).argmax()), self.offsets.shape)
        return int(column), int(row)


def heatmaps(traces: Sequence[Trace], probe: Probe, places: Sequence[Place] | None = None) -> list[Heatmap]:
    """Return the heatmaps of one run, or of two, of at most four places.

    Args:
        traces: one or two.
        probe: their inputs. Of two runs, the sequence is shown in which their states differ most; of one, the
            longest.
        places: those to prefer, the first one most; None for the order of the trace.
    """
    wanted = places or traces[0].places
    chosen = [place for place in wanted if all(_fits(one, place, probe) for one in traces)][:_PLACES]
    found: list[tuple[Place, Quantity, int, Array]] = []
    for place in traces[0].places:
        if place not in chosen:
            continue
        made = [trace.places[place] for trace in traces]
        sequence, steps = _sequence(made, probe)
        for quantity in QUANTITIES:
            arrays = [_array(one, quantity) for one in made]
            if all(array is not None for array in arrays):
                shown = [_drawable(array[sequence, :steps]) for array in arrays if array is not None]
                found.append((place, quantity, sequence, np.stack(shown)))
    return [_heatmap(*one, cells=_cells(one[3], len(found))) for one in found]


def _fits(trace: Trace, place: Place, probe: Probe) -> bool:
    return place in trace.places and trace.places[place].hidden.shape[:2] == probe.x.shape[:2]


def _array(made: DirectionTrace, quantity: Quantity) -> Array | None:
    if quantity == "hidden":
        return made.hidden
    return None if made.gates is None else made.gates[quantity]


def _drawable(array: Array) -> Array:
    return array if array.dtype == np.float64 else array.astype(np.float32)


def _sequence(made: Sequence[DirectionTrace], probe: Probe) -> tuple[int, int]:
    """The sequence to show, and its steps."""
    lengths = np.full(probe.batch, probe.steps) if probe.lengths is None else np.asarray(probe.lengths)
    if len(made) == 1:
        shown = int(lengths.argmax())
    else:
        scores = [
            _score(np.stack([_drawable(one.hidden[index, :length]) for one in made])).max()
            for index, length in enumerate(lengths)
        ]
        shown = int(np.argmax(scores))
    return shown, int(lengths[shown])


def _cells(values: Array, count: int) -> int:
    """How many cells each of `count` heatmaps may have."""
    return _BYTES // count // (len(values) * values.itemsize + _INDEX_BYTES)


def _score(values: Array) -> Array:
    """What a cell is chosen by, [T, H]: the size of the difference, or of the only number; NaN is first."""
    with np.errstate(invalid="ignore"):
        apart = values[0] if len(values) == 1 else values[1].astype(np.float64) - values[0]
        score: Array = np.nan_to_num(np.abs(apart), nan=np.inf)
    return score


def _heatmap(place: Place, quantity: Quantity, sequence: int, values: Array, cells: int) -> Heatmap:
    _, steps, units = values.shape
    span = _span(steps, units, cells)
    columns, rows = -(-steps // span[0]), -(-units // span[1])
    padded = np.full((columns * span[0], rows * span[1]), -1.0)
    padded[:steps, :units] = _score(values)
    blocks = padded.reshape(columns, span[0], rows, span[1]).swapaxes(1, 2).reshape(columns, rows, -1)
    offsets = blocks.argmax(axis=2)
    step = np.arange(columns)[:, None] * span[0] + offsets // span[1]
    unit = np.arange(rows) * span[1] + offsets % span[1]
    return Heatmap(*place, quantity, sequence, steps, units, span, offsets, values[:, step, unit])


def _span(steps: int, units: int, cells: int) -> tuple[int, int]:
    """How many steps and units a cell stands for; twice as many columns as rows are wanted."""
    per_step = per_unit = 1
    while (columns := -(-steps // per_step)) * (rows := -(-units // per_unit)) > cells:
        if columns >= 2 * rows:
            per_step = max(per_step + 1, -(-steps // (columns - 1)))
        else:
            per_unit = max(per_unit + 1, -(-units // (rows - 1)))
    return per_step, per_unit
