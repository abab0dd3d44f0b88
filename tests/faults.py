"""Specs with one number changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grubridge.spec import GRUSpec
from grubridge.traces import Place

__all__ = ["Fault", "random_fault", "with_fault"]


@dataclass(frozen=True)
class Fault:
    """One number of a spec, and what was added to it."""

    gate: str
    part: str
    unit: int
    column: int | None
    change: float


def with_fault(spec: GRUSpec, place: Place, fault: Fault) -> tuple[GRUSpec, Fault]:
    """Return the spec with `fault`, and the fault as the spec's own dtype rounds it."""
    index, name = place
    layer = spec.layers[index]
    direction = getattr(layer, name)
    part = "input_bias" if fault.part == "bias" else fault.part
    gates = getattr(direction, part)
    numbers = gates[fault.gate].copy()
    where = fault.unit if fault.column is None else (fault.unit, fault.column)
    before = numbers[where].astype(np.float64)
    numbers[where] = before + fault.change
    changed = replace(direction, **{part: replace(gates, **{fault.gate: numbers})})
    layers = list(spec.layers)
    layers[index] = replace(layer, **{name: changed})
    return replace(spec, layers=tuple(layers)), replace(fault, change=float(numbers[where]) - float(before))


def random_fault(spec: GRUSpec, place: Place, seed: int, relative: float) -> tuple[GRUSpec, Fault]:
    """Return the spec with one weight of `place` changed by `relative` of itself."""
    rng = np.random.default_rng(seed)
    direction = getattr(spec.layers[place[0]], place[1])
    part = str(rng.choice(["input_weight", "recurrent_weight"]))
    gate = str(rng.choice(["update", "reset", "candidate"]))
    numbers = getattr(direction, part)[gate]
    unit, column = int(rng.integers(numbers.shape[0])), int(rng.integers(numbers.shape[1]))
    change = relative * float(numbers[unit, column])
    return with_fault(spec, place, Fault(gate, part, unit, column, change))
