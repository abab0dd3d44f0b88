"""The ledger of a conversion: what was done to each tensor, and whether it is exact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .gates import Gate
from .gru import GRUSpec

__all__ = ["Action", "Layout", "TensorRecord", "record", "with_cast", "with_held_gates"]

Action = Literal["copied", "permuted", "transposed", "negated", "zero-filled", "summed", "cast", "saturated"]


@dataclass(frozen=True)
class Layout:
    """How a format lays out a weight: enough to say what a conversion between two formats does.

    Args:
        gate_order: the gates along the stacked axis.
        rows: "output" when a weight is stored [3H, I] (y = W x), "input" when [I, 3H] (y = x W).
        takes: whether the update gate takes the candidate, h' = (1-z)*h + z*n: its numbers are then negated.
    """

    gate_order: tuple[Gate, ...]
    rows: Literal["output", "input"]
    takes: bool = False


@dataclass(frozen=True)
class TensorRecord:
    """What was done to make one tensor of the target.

    Args:
        tensor: its name in the target file, e.g. "weight_ih_l0".
        shape: its shape there.
        made_of: the canonical parts in it, e.g. ("layer 0 forward input_weight",).
        actions: what was done, in order; "permuted" means that gate blocks changed places, "negated" that the
            update gate's did change their sign.
        largest_change: the largest |new - old| that rounding caused; 0.0 means bit-exact.
    """

    tensor: str
    shape: tuple[int, ...]
    made_of: tuple[str, ...]
    actions: tuple[Action, ...]
    largest_change: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether every value is bit for bit what the source holds (or a zero that means absence)."""
        return self.largest_change == 0.0

    def also(self, action: Action, largest_change: float = 0.0) -> TensorRecord:
        """Return the record of a tensor to which `action` was done as well."""
        done = (*(one for one in self.actions if one not in ("copied", action)), action)
        return replace(self, actions=done, largest_change=max(self.largest_change, largest_change))


def record(
    tensor: str, shape: tuple[int, ...], made_of: tuple[str, ...], source: Layout, target: Layout
) -> TensorRecord:
    """Return the record of a tensor that was only moved about: how `source` becomes `target`."""
    actions: list[Action] = []
    if source.gate_order != target.gate_order and not made_of[0].endswith("initial_state"):
        actions.append("permuted")
    if source.rows != target.rows and made_of[0].endswith("weight"):
        actions.append("transposed")
    if source.takes != target.takes and not made_of[0].endswith("initial_state"):
        actions.append("negated")
    return TensorRecord(tensor, shape, made_of, tuple(actions) or ("copied",))


def with_cast(records: tuple[TensorRecord, ...], before: GRUSpec, after: GRUSpec) -> tuple[TensorRecord, ...]:
    """Return the records of tensors made of `after`, which is `before` in another dtype."""
    changes: dict[str, float] = {}
    for (name, old), (_, new) in zip(before.arrays(), after.arrays(), strict=True):
        part = name.rsplit(".", 1)[0]
        change = float(np.max(np.abs(new.astype(np.float64) - old.astype(np.float64)), initial=0.0))
        changes[part] = max(changes.get(part, 0.0), change)
    return tuple(
        record.also("cast", max(changes.get(part, 0.0) for part in record.made_of)) for record in records
    )


def with_held_gates(records: tuple[TensorRecord, ...], spec: GRUSpec) -> tuple[TensorRecord, ...]:
    """Return the records of tensors in which a bias holds the gates that `spec` lacks."""
    lacking = [f"layer {index} {name} " for index, name, one in spec.directions() if one.absent_gates]
    return tuple(
        record.also("saturated")
        if any(part.startswith(place) for part in record.made_of for place in lacking)
        else record
        for record in records
    )
