"""A hand-written cell, run one step at a time as its layout describes it, by the framework's own operators.

The tensors are used as they lie in the file: what is fused is multiplied and then split, a concatenating
cell concatenates, an update gate that takes the candidate does so. Nothing here goes through a spec or the
reader of layouts, so that a mistake in either of the two readings of a description shows as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from grubridge.errors import CannotRunError
from grubridge.files.text import printable
from grubridge.layouts.description import CellLayout, Part, TensorLayout
from grubridge.spec import CANDIDATE, RESET, UPDATE, Array, Direction, Gate, Gates
from grubridge.traces import DirectionTrace, Place, Probe, valid_steps

from .base import initial_state
from .operators import Operators, Tensor

__all__ = ["NOTE", "kernel", "run_described", "used_tensors"]

NOTE = (
    "the cell was computed as its layout describes it, with the weights of the file; the class that made the "
    "file was not run: verify --example holds a run of it against this file"
)


def kernel(layout: CellLayout, framework: str) -> str:
    """Return what computes, in a few words."""
    return f"cell {printable(layout.name)} as described, {framework} operators"


def run_described(
    layout: CellLayout, tensors: Mapping[str, Tensor], probe: Probe, operators: Operators
) -> dict[Place, DirectionTrace]:
    """Run a stack of cells.

    Args:
        layout: what the tensors hold and what the cell does with them.
        tensors: of the cells by the names in the layout, with layer and direction filled in.
        probe: the inputs. A learned initial state among the tensors takes the place of its own.
        operators: the framework's.

    Returns:
        h' (before an output transform), z in the sense that keeps the state, r and n of every step, the gates
        "observed": they are what the run itself computed. Steps past a sequence's end are zero.

    Raises:
        CannotRunError: when a tensor is missing.
        ProbeError: when an initial state is not of the model's size.
    """
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    places: dict[Place, DirectionTrace] = {}
    x = operators.tensor(probe.x)
    index = 0
    while ways := _ways(layout, tensors, index):
        passed_on: list[Tensor] = []
        for way in ways:
            own = {one: tensors[name] for one, name in used_tensors(layout, tensors, index, way)}
            cell = _Cell(layout, own, operators, int(x.shape[-1]))
            start = cell.start(probe, (index, way))
            hidden, gates = _sequence(cell, x, start, way, valid)
            if layout.output_activation is None:
                passed_on.append(hidden)
            else:
                passed_on.append(operators.activate(layout.output_activation, hidden))
            seen = gates.map(operators.array) if probe.gates else None
            x_array, start_array, hidden_array = map(operators.array, (x, start, hidden))
            places[index, way] = DirectionTrace(x_array, start_array, hidden_array, seen, "observed")
        x = operators.concat(passed_on)
        index += 1
    if not places:
        raise CannotRunError(
            f"no tensors of the layout {printable(layout.name)}", "its tensors do not fit the layout"
        )
    return places


def used_tensors(
    layout: CellLayout, tensors: Iterable[str], index: int, way: Direction
) -> list[tuple[TensorLayout, str]]:
    """Return what of the layout is there for one cell, with the names of the tensors.

    Raises:
        CannotRunError: when a tensor that the cell needs is missing.
    """
    there = set(tensors)
    named = [(one, _name(layout, one, index, way)) for one in layout.tensors]
    missing = [name for one, name in named if name not in there and not one.optional]
    if missing:
        listed = ", ".join(map(printable, missing))
        raise CannotRunError(
            f"the layout {printable(layout.name)} needs the tensors {listed}, which the file has not",
            f"the file lacks {listed}",
        )
    return [(one, name) for one, name in named if name in there]


def _name(layout: CellLayout, one: TensorLayout, index: int, way: Direction) -> str:
    return one.name.replace("{layer}", str(index)).replace("{direction}", layout.directions.get(way, ""))


def _ways(layout: CellLayout, tensors: Mapping[str, Tensor], index: int) -> list[Direction]:
    """Return the directions of a layer that have a tensor of their own, forward first."""
    found: list[Direction] = []
    numbered = [one for one in layout.tensors if index == 0 or "{layer}" in one.name]
    taken: set[str] = set()
    for way in ("forward", "backward"):
        names = {_name(layout, one, index, way) for one in numbered}.intersection(tensors)
        if names - taken:
            found.append(way)
        taken |= names
    return found


@dataclass(frozen=True)
class _Product:
    """A matrix that is multiplied with x, h or both side by side, and what its columns are.

    Args:
        parts: "input_weight" for x, "recurrent_weight" for h, in the order of the rows.
        gates: whose columns stand side by side.
        matrix: [I, H], [H, H] or [I+H, H], H columns for each gate.
    """

    parts: tuple[Part, ...]
    gates: tuple[Gate, ...]
    matrix: Tensor


class _Cell:
    """One layer in one direction."""

    def __init__(
        self, layout: CellLayout, tensors: Mapping[TensorLayout, Tensor], run: Operators, input_size: int
    ) -> None:
        self.layout, self.run, self.input_size = layout, run, input_size
        weight = next(one for one in tensors if set(one.holds) & {"input_weight", "recurrent_weight"})
        outputs = tensors[weight].shape[0 if weight.rows == "output" else 1]
        self.hidden_size = int(outputs) // len(weight.gates)
        self.early: list[_Product] = []
        self.late: list[_Product] = []
        self.biases: dict[tuple[Part, Gate], Tensor] = {}
        self.learned: Tensor | None = None
        for one, tensor in tensors.items():
            if one.holds == ("initial_state",):
                self.learned = run.flat(tensor)
            elif one.holds[0] in ("input_bias", "recurrent_bias"):
                self._add_biases(one, run.flat(tensor))
            else:
                matrix = run.transpose(tensor) if one.rows == "output" else tensor
                self._add_product(_Product(one.holds, one.gates, matrix))

    def _add_biases(self, one: TensorLayout, vector: Tensor) -> None:
        # a flat vector and rows [2, n*H] hold the same numbers in the same order
        keys = [(part, gate) for part in one.holds for gate in one.gates]
        for at, key in enumerate(keys):
            self.biases[key] = vector[at * self.hidden_size : (at + 1) * self.hidden_size]

    def _add_product(self, product: _Product) -> None:
        """Keep a product whole where the cell can, and take the candidate's columns out where it cannot."""
        reset, size = self.layout.reset, self.hidden_size
        of_candidate = CANDIDATE in product.gates and "recurrent_weight" in product.parts
        joined = len(product.parts) > 1
        if not of_candidate or reset == "absent" or (reset == "after" and not joined):
            self.early.append(product)
            return
        at = product.gates.index(CANDIDATE) * size
        own = product.matrix[:, at : at + size]
        others = tuple(gate for gate in product.gates if gate != CANDIDATE)
        if others:
            columns = [product.matrix[:, :at], product.matrix[:, at + size :]]
            self.early.append(_Product(product.parts, others, self.run.concat(columns)))
        if reset == "before":
            self.late.append(_Product(product.parts, (CANDIDATE,), own))
            return
        first = self.input_size if product.parts[0] == "input_weight" else size  # r multiplies one half alone
        halves = zip(product.parts, (own[:first], own[first:]), strict=True)
        self.early += [_Product((part,), (CANDIDATE,), half) for part, half in halves]

    def start(self, probe: Probe, place: Place) -> Tensor:
        """Return h_0, [B, H]: the learned one, the probe's, or zeros."""
        if self.learned is None:
            return self.run.tensor(initial_state(probe, place, self.hidden_size))
        return self.learned + self.run.tensor(np.zeros((probe.batch, 1)))

    def step(self, x: Tensor, h: Tensor) -> tuple[Gates[Tensor], Tensor]:
        """Return z (in the sense that keeps), r and n, and h'; x [B, I], all others [B, H]."""
        layout, run = self.layout, self.run
        terms = _Terms()
        for product in self.early:
            self._multiply(product, x, h, terms)
        for (part, gate), bias in self.biases.items():
            terms.add(part == "recurrent_bias", gate, bias)

        def gate_of(gate: Gate) -> Tensor:
            return run.activate(layout.gate_activation, terms.total(gate))

        r = gate_of(RESET) if layout.reset != "absent" else run.tensor(np.ones(h.shape))
        if layout.reset == "after":
            argument = terms.total(CANDIDATE, lambda recurrent: r * recurrent)
        else:
            for product in self.late:
                self._multiply(product, x, r * h, terms)
            argument = terms.total(CANDIDATE)
        n = run.activate(layout.candidate_activation, argument)
        if layout.update == "absent":
            return Gates(run.tensor(np.zeros(h.shape)), r, n), n
        z = gate_of(UPDATE)
        if layout.update == "takes":
            return Gates(1 - z, r, n), (1 - z) * h + z * n
        return Gates(z, r, n), z * h + (1 - z) * n

    def _multiply(self, product: _Product, x: Tensor, h: Tensor, terms: _Terms) -> None:
        factors = [x if part == "input_weight" else h for part in product.parts]
        made = (factors[0] if len(factors) == 1 else self.run.concat(factors)) @ product.matrix
        for at, gate in enumerate(product.gates):
            block = made[:, at * self.hidden_size : (at + 1) * self.hidden_size]
            terms.add(product.parts == ("recurrent_weight",), gate, block)


class _Terms:
    """The sums of one step: of what comes from the state alone, and of all else."""

    def __init__(self) -> None:
        self._sums: dict[tuple[bool, Gate], Tensor] = {}

    def add(self, recurrent: bool, gate: Gate, term: Tensor) -> None:  # noqa: FBT001
        known = self._sums.get((recurrent, gate))
        self._sums[recurrent, gate] = term if known is None else known + term

    def total(self, gate: Gate, gated: Callable[[Tensor], Tensor] = lambda term: term) -> Tensor:
        """Return the argument of a gate's activation, what comes from the state `gated` first."""
        inputs, recurrent = self._sums.get((False, gate)), self._sums.get((True, gate))
        if recurrent is None:
            return inputs
        return gated(recurrent) if inputs is None else inputs + gated(recurrent)


def _sequence(
    cell: _Cell, x: Tensor, start: Tensor, way: Direction, valid: Array
) -> tuple[Tensor, Gates[Tensor]]:
    """Run one direction over x [B, T, I]; return h' and the gates, each [B, T, H] in time order."""
    run, steps = cell.run, valid.shape[1]
    h, zero = start, run.tensor(np.zeros((1, 1)))
    rows: dict[int, tuple[Tensor, ...]] = {}
    for t in range(steps) if way == "forward" else range(steps - 1, -1, -1):
        gates, following = cell.step(x[:, t], h)
        made = (following, gates.update, gates.reset, gates.candidate)
        if valid[:, t].all():
            h, rows[t] = following, made
        else:
            keep = run.tensor(valid[:, t, None])
            h = run.where(keep, following, h)
            rows[t] = tuple(run.where(keep, one, zero) for one in made)
    hidden, *of_gates = (run.stack(column) for column in zip(*(rows[t] for t in range(steps)), strict=True))
    return hidden, Gates(*of_gates)
