"""One weight that is not what the spec says: where it stands, and by how much it is off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grubridge.reference import Cell, cell
from grubridge.reference.arithmetic import Arithmetic
from grubridge.reference.inputs import Steps, steps_of
from grubridge.spec import Array, Direction, Gate, GRUSpec
from grubridge.traces import Place, Probe, Trace

from .matched_filter import Filtered, MatchedFilter, WeightPart

__all__ = ["WeightChange", "localise", "locate"]

_ELEMENTS = 1 << 22  # of one array of a trace that a single weight is looked for in
_REFINEMENTS = 4


@dataclass(frozen=True)
class WeightChange:
    """One weight of a runtime that differs from the spec.

    Args:
        layer: index of the layer.
        direction: of reading.
        gate: update, reset or candidate.
        part: of the weights; "bias" where it cannot be told which of the two biases it is.
        unit: row of the weight.
        column: of the weight; None for a bias.
        change: the runtime's weight less the spec's, as estimated.
        score: of the matched filter; above 1 chance is ruled out, where the rows are independent.
        explains: whether nothing else remains once the weight is changed so.
    """

    layer: int
    direction: Direction
    gate: Gate
    part: WeightPart
    unit: int
    column: int | None
    change: float
    score: float
    explains: bool


def localise(spec: GRUSpec, trace: Trace, probe: Probe, place: Place, how: Arithmetic) -> WeightChange | None:
    """Return the single weight whose change comes nearest to what a runtime did in one direction.

    For any trace that was found to differ from its spec; of a long one, 2^22 / H steps evenly spread are
    looked at.

    Returns:
        None when there is nothing to look at. Believe a change that `explains`.
    """
    steps = steps_of(spec, trace, probe, place)
    if steps is None or not len(steps.hidden):
        return None
    index, name = place
    layer = spec.layers[index]
    every = -(-steps.hidden.size // _ELEMENTS)
    some = Steps(steps.x[::every], steps.previous[::every], steps.hidden[::every])
    return locate(cell(layer, getattr(layer, name)), some, how, place, independent=False)


def locate(cell: Cell, steps: Steps, how: Arithmetic, place: Place, *, independent: bool) -> WeightChange:
    """Return the most conspicuous weight, with a change refined until it explains what was seen.

    Args:
        cell: the direction's numbers.
        steps: what the runtime did.
        how: its arithmetic.
        place: of the direction.
        independent: whether the rows are, so that what is left must have no score above 1; otherwise every
            error that is left must be within its bound.
    """
    filtered, unit, column = _strongest(MatchedFilter(cell, steps, how))
    change, explains = float(filtered.change[unit, column]), False
    for _ in range(_REFINEMENTS):
        changed = _changed(cell, filtered, unit, column, change)
        left = MatchedFilter(changed, steps, how)
        parts = {(part.gate, part.part): part for part in left.parts()}
        explains = left.headroom <= 1
        if independent:
            explains = explains and all(np.max(part.score) <= 1 for part in parts.values())
        if explains:
            break
        change += float(parts[filtered.gate, filtered.part].change[unit, column])
    return WeightChange(
        *place,
        filtered.gate,
        filtered.part,
        unit,
        column if filtered.part.endswith("weight") else None,
        change,
        float(filtered.score[unit, column]),
        explains,
    )


def _strongest(seen: MatchedFilter) -> tuple[Filtered, int, int]:
    """The part, unit and column of the largest |S| among scores above 1, or else of the largest score."""

    def strength(part: Filtered) -> Array:
        return np.where(part.score > 1, 1 + part.deviations, part.score)

    best = max(seen.parts(), key=lambda part: float(np.max(strength(part))))
    unit, column = np.unravel_index(int(np.argmax(strength(best))), best.score.shape)
    return best, int(unit), int(column)


def _changed(cell: Cell, filtered: Filtered, unit: int, column: int, change: float) -> Cell:
    """`cell` with one number changed; of two biases that only their sum matters of, the input's."""
    name = "input_bias" if filtered.part == "bias" else filtered.part
    gates = getattr(cell, name)
    numbers = gates[filtered.gate].copy()
    numbers[(unit, column) if numbers.ndim == 2 else unit] += change
    return replace(cell, **{name: replace(gates, **{filtered.gate: numbers})})
