"""What a runtime did in one place as rows, one for each step: which input, state and result belong together.

A mistake about the data is that others belong together than should: time reversed, initial state ignored...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from grubridge.spec import Array, Direction
from grubridge.traces import valid_steps

from .edits import Edit, Hypothesis

__all__ = ["DATA_EDITS", "Rows", "Seen", "data_alternatives", "gather", "typical_steps"]


@dataclass(frozen=True)
class Seen:
    """What a runtime received and returned in one place; steps in time order.

    Args:
        direction: of reading.
        x: the input, [B, T, I].
        start: the state before the first step read, [B, H].
        hidden: h_t, [B, T, H].
        opposite: h_t of the layer's other direction, [B, T, H]; None where there is none.
        opposite_start: the learned initial state of the other direction's weights, [H]; None without one.
        lengths: [B] integers, or None.
    """

    direction: Direction
    x: Array
    start: Array
    hidden: Array
    opposite: Array | None
    opposite_start: Array | None
    lengths: Array | None

    @property
    def ends(self) -> Array:
        """The length of every sequence, [B]."""
        batch, steps, _ = self.x.shape
        return np.full(batch, steps) if self.lengths is None else np.asarray(self.lengths)


@dataclass(frozen=True)
class Rows:
    """Steps [N, 2] of (batch, time); their inputs [N, I], previous states and results [N, H], float64."""

    steps: Array
    x: Array
    previous: Array
    hidden: Array

    def __len__(self) -> int:
        return len(self.x)

    def first(self, count: int) -> Rows:
        """Return the first `count` of them."""
        return Rows(*(array[:count] for array in (self.steps, self.x, self.previous, self.hidden)))


def gather(seen: Seen, steps: Array, hypothesis: Hypothesis = ()) -> Rows:
    """Return rows for `steps`, [N, 2] of (batch, time), under the mistakes about data in `hypothesis`.

    A step is left out when its previous state or input is not known then, or not finite.
    """
    said = {edit.axis: edit.value for edit in hypothesis}
    time = said.get("time", "")
    hidden = seen.opposite if time == "halves_exchanged" and seen.opposite is not None else seen.hidden
    ends = np.full(len(seen.x), seen.x.shape[1]) if "lengths" in said else seen.ends
    backward = (seen.direction == "backward") != (time in {"read_other_way", "stored_reversed"})
    b, t = steps.T
    forth = -1 if backward else 1
    xt = ends[b] - 1 - t if time in {"stored_reversed", "input_reversed"} else t
    xt = xt + {"input_late": -forth, "input_early": forth}.get(time, 0)
    across = time == "batch_and_time_exchanged"
    pb, pt = (b - forth, t) if across else (b, t - forth)
    starts = (pt < 0) | (pt >= ends[b])
    known = (xt >= 0) & (xt < seen.x.shape[1]) & (pb >= 0) & (pb < len(seen.x))
    pb, pt, xt = (
        np.where(known & inside, index, 0) for index, inside in ((pb, ~starts), (pt, ~starts), (xt, known))
    )
    previous = hidden[pb, pt].astype(np.float64)
    start = seen.start
    if "directions" in said and seen.opposite_start is not None:
        start = np.broadcast_to(seen.opposite_start, start.shape)
    if "initial_state" in said:
        start = np.zeros_like(start)
    previous[starts] = start[b[starts]]
    if across:
        known &= ~starts & (pt < seen.ends[pb])
    if "lengths" in said:  # a runtime that clears the padding leaves nothing to start from
        known &= starts | (pt < seen.ends[b]) | previous.any(axis=1)
    rows = seen.x[b, xt].astype(np.float64), previous, hidden[b, t].astype(np.float64)
    for array in rows:
        known &= np.isfinite(array).all(axis=1)
    return Rows(*(array[known] for array in (steps, *rows)))


def typical_steps(seen: Seen, count: int, seed: int = 0) -> Array:
    """Return up to `count` valid steps, [N, 2] of (batch, time): first ones, last ones, and others at random.

    The first few are of all three kinds, so that a short beginning of the list serves too.
    """
    batch, steps, _ = seen.x.shape
    valid = np.argwhere(valid_steps(batch, steps, seen.lengths))
    if len(valid) <= count:
        return np.random.default_rng(seed).permutation(valid)
    rng = np.random.default_rng(seed)
    sequences = rng.permutation(batch)[: max(1, count // 4)]
    first = np.stack([sequences, np.zeros_like(sequences)], axis=1)
    last = np.stack([sequences, seen.ends[sequences] - 1], axis=1)
    others = rng.permutation(valid)[:count]
    each = min(len(sequences), len(others))
    mixed = np.stack([last[:each], others[:each], first[:each]], axis=1).reshape(-1, 2)
    _, places = np.unique(np.concatenate([mixed, others[each:]]), axis=0, return_index=True)
    chosen: Array = np.concatenate([mixed, others[each:]])[np.sort(places)][:count]
    return chosen


def data_alternatives(seen: Seen) -> Iterator[tuple[Edit, ...]]:
    """Yield what can have gone wrong with the data, axis by axis; nothing that changes no row."""
    steps = typical_steps(seen, 256)
    right = gather(seen, steps)
    for candidates in (_INITIAL_STATE, _LENGTHS, _TIME):
        found = tuple(edit for edit in candidates if _differs(seen, steps, right, edit))
        if found:
            yield found


def _differs(seen: Seen, steps: Array, right: Rows, edit: Edit) -> bool:
    if edit.value == "halves_exchanged" and seen.opposite is None:
        return False
    rows = gather(seen, steps, (edit,))
    parts = (rows.x, right.x), (rows.previous, right.previous), (rows.hidden, right.hidden)
    return len(rows) > 0 and any(not np.array_equal(a, b) for a, b in parts)


_INITIAL_STATE = (Edit("initial_state", "ignored", "the initial state is ignored"),)
_LENGTHS = (
    Edit("lengths", "ignored", "the lengths are ignored: the padding is read before the last valid step"),
)
_TIME = (
    Edit("time", "read_other_way", "time is read in the other direction"),
    Edit("time", "input_reversed", "the input is reversed in time, the states are not"),
    Edit("time", "stored_reversed", "the states are returned in reverse order of time"),
    Edit("time", "halves_exchanged", "the states of the forward and backward directions are exchanged"),
    Edit("time", "batch_and_time_exchanged", "batch and time are exchanged"),
    Edit("time", "input_late", "the input comes one step late"),
    Edit("time", "input_early", "the input comes one step early"),
)
DATA_EDITS = {str(edit): edit for edit in (*_INITIAL_STATE, *_LENGTHS, *_TIME)}
"""All of them, by what a machine reads."""
