"""The numbers of one step of one direction, unit by unit, as one would write them down; all float64.

The gates and states are those of `reference.equations`; what stands between them (products, sums) is worked
out here from the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grubridge.reference import Cell, one_step
from grubridge.spec import CANDIDATE, RESET, UPDATE, Activation, Array, Gate, Gates

__all__ = ["MOST_TERMS", "GateValue", "Products", "Step", "Term", "UnitStep", "arguments", "work_out"]

MOST_TERMS = 4
"""A sum of more products is told by its total and how many there are."""


@dataclass(frozen=True)
class Term:
    """weight * value; with the reset gate before the product, weight * (reset * value)."""

    weight: float
    value: float
    reset: float | None = None


@dataclass(frozen=True)
class Products:
    """A row of a weight times a vector.

    Args:
        terms: each product; () where there are more than `MOST_TERMS`.
        count: how many products there are.
        total: their sum.
    """

    terms: tuple[Term, ...]
    count: int
    total: float


@dataclass(frozen=True)
class GateValue:
    """How one gate of one unit comes about: value = activation(clipped argument).

    Args:
        input: W x.
        input_bias: b; None when there is none.
        recurrent: U h.
        recurrent_bias: c; None when there is none.
        reset: r, which multiplies U h + c, in a candidate with the reset gate after the product; else None.
        argument: the sum of all that.
        clipped: the argument of the activation: the same, unless the layer clips.
        activation: f.
        value: z, r or n.
    """

    input: Products
    input_bias: float | None
    recurrent: Products
    recurrent_bias: float | None
    reset: float | None
    argument: float
    clipped: float
    activation: Activation
    value: float


@dataclass(frozen=True)
class UnitStep:
    """One unit in one step.

    Args:
        unit: which.
        update: how z comes about; None where the cell has no update gate.
        reset: how r comes about; None where it has no reset gate.
        candidate: how n comes about.
        previous: its state before.
        hidden: its state after.
    """

    unit: int
    update: GateValue | None
    reset: GateValue | None
    candidate: GateValue
    previous: float
    hidden: float

    def gates(self) -> Iterator[tuple[Gate, GateValue]]:
        """Yield the gates that the cell has, in the order of `GATE_NAMES`."""
        found: tuple[tuple[Gate, GateValue | None], ...] = (
            (UPDATE, self.update),
            (RESET, self.reset),
            (CANDIDATE, self.candidate),
        )
        return ((gate, value) for gate, value in found if value is not None)


@dataclass(frozen=True)
class Step:
    """One step.

    Args:
        time: t, from 0, in the order of the sequence.
        x: the input, [I].
        previous: the state before, [H].
        hidden: the state after, [H].
        units: the units that are worked out.
    """

    time: int
    x: Array
    previous: Array
    hidden: Array
    units: tuple[UnitStep, ...]


def work_out(cell: Cell, time: int, x: Array, previous: Array, hidden: Array, units: Sequence[int]) -> Step:
    """Return a step with the arithmetic of `units`.

    Args:
        cell: the numbers of the direction, its update gate in the sense in which it is to be told.
        time: t.
        x: [I].
        previous: h, [H].
        hidden: h', [H].
        units: which units.
    """
    values, _ = one_step(cell, x, previous)
    sums = arguments(cell, x, previous, values.reset)
    absent = cell.direction.absent_gates

    def gate(name: Gate, unit: int) -> GateValue:
        return _gate(cell, name, x, previous, values, sums, unit)

    worked = tuple(
        UnitStep(
            unit,
            None if UPDATE in absent else gate(UPDATE, unit),
            None if RESET in absent else gate(RESET, unit),
            gate(CANDIDATE, unit),
            float(previous[unit]),
            float(hidden[unit]),
        )
        for unit in units
    )
    return Step(time, x, previous, hidden, worked)


def arguments(cell: Cell, x: Array, previous: Array, reset: Array) -> Gates[Array]:
    """Return what each activation is taken of, before it is clipped: [H] each, for x [I], h [H] and r [H]."""
    w, b, u, c = cell.input_weight, cell.input_bias, cell.recurrent_weight, cell.recurrent_bias
    update = w.update @ x + b.update + u.update @ previous + c.update
    resetting = w.reset @ x + b.reset + u.reset @ previous + c.reset
    if cell.layer.reset_after:
        recurrent = reset * (u.candidate @ previous + c.candidate)
    else:
        recurrent = u.candidate @ (reset * previous) + c.candidate
    return Gates(update, resetting, w.candidate @ x + b.candidate + recurrent)


def _gate(
    cell: Cell, gate: Gate, x: Array, previous: Array, values: Gates[Array], sums: Gates[Array], unit: int
) -> GateValue:
    direction = cell.direction
    gated = gate == CANDIDATE and RESET not in direction.absent_gates
    before = values.reset if gated and not cell.layer.reset_after else None
    recurrent_bias = None if direction.recurrent_bias is None else direction.recurrent_bias[gate]
    return GateValue(
        input=_products(cell.input_weight[gate][unit], x),
        input_bias=None if direction.input_bias is None else float(cell.input_bias[gate][unit]),
        recurrent=_products(cell.recurrent_weight[gate][unit], previous, before),
        recurrent_bias=None if recurrent_bias is None else float(recurrent_bias[unit]),
        reset=float(values.reset[unit]) if gated and cell.layer.reset_after else None,
        argument=float(sums[gate][unit]),
        clipped=float(cell.clipped(sums[gate][unit])),
        activation=direction.activation(gate),
        value=float(values[gate][unit]),
    )


def _products(weights: Array, values: Array, reset: Array | None = None) -> Products:
    total = float(weights @ (values if reset is None else reset * values))
    count = len(weights)
    if count > MOST_TERMS:
        return Products((), count, total)
    gates = [None] * count if reset is None else reset.tolist()
    terms = zip(weights.tolist(), values.tolist(), gates, strict=True)
    return Products(tuple(Term(*term) for term in terms), count, total)
