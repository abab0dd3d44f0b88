"""One step of a hand-written cell, out of its tensors as they lie in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from grubridge.layouts.description import CellLayout, Part, TensorLayout
from grubridge.spec import CANDIDATE, RESET, UPDATE, Gate, Gates
from grubridge.traces import Place, Probe

from .base import initial_state
from .operators import Operators, Tensor

__all__ = ["DescribedCell"]


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


class DescribedCell:
    """One layer in one direction.

    Args:
        layout: what its tensors hold.
        tensors: those that it has.
        run: the operators.
        input_size: I.
    """

    def __init__(
        self, layout: CellLayout, tensors: Mapping[TensorLayout, Tensor], run: Operators, input_size: int
    ) -> None:
        self._layout, self._run, self._input_size = layout, run, input_size
        weight = next(one for one in tensors if one.is_weight)
        outputs = tensors[weight].shape[0 if weight.rows == "output" else 1]
        self._hidden_size = int(outputs) // len(weight.gates)
        self._early: list[_Product] = []
        self._late: list[_Product] = []
        self._biases: dict[tuple[Part, Gate], Tensor] = {}
        self._learned: Tensor | None = None
        for one, tensor in tensors.items():
            if one.is_weight:
                matrix = run.transpose(tensor) if one.rows == "output" else tensor
                self._add_product(_Product(one.holds, one.gates, matrix))
            elif one.gates:
                self._add_biases(one, run.flat(tensor))
            else:
                self._learned = run.flat(tensor)

    def _add_biases(self, one: TensorLayout, vector: Tensor) -> None:
        # a flat vector and rows [2, n*H] hold the same numbers in the same order
        keys = [(part, gate) for part in one.holds for gate in one.gates]
        for at, key in enumerate(keys):
            self._biases[key] = vector[at * self._hidden_size : (at + 1) * self._hidden_size]

    def _add_product(self, product: _Product) -> None:
        """Keep a product whole where the cell can, and take the candidate's columns out where it cannot."""
        reset, size = self._layout.reset, self._hidden_size
        of_candidate = CANDIDATE in product.gates and "recurrent_weight" in product.parts
        joined = len(product.parts) > 1
        if not of_candidate or reset == "absent" or (reset == "after" and not joined):
            self._early.append(product)
            return
        at = product.gates.index(CANDIDATE) * size
        own = product.matrix[:, at : at + size]
        others = tuple(gate for gate in product.gates if gate != CANDIDATE)
        if others:
            columns = [product.matrix[:, :at], product.matrix[:, at + size :]]
            self._early.append(_Product(product.parts, others, self._run.concat(columns)))
        if reset == "before":
            self._late.append(_Product(product.parts, (CANDIDATE,), own))
            return
        first = (
            self._input_size if product.parts[0] == "input_weight" else size
        )  # r multiplies one half alone
        halves = zip(product.parts, (own[:first], own[first:]), strict=True)
        self._early += [_Product((part,), (CANDIDATE,), half) for part, half in halves]

    def start(self, probe: Probe, place: Place) -> Tensor:
        """Return h_0, [B, H]: the learned one, the probe's, or zeros."""
        if self._learned is None:
            return self._run.tensor(initial_state(probe, place, self._hidden_size))
        return self._learned + self._run.tensor(np.zeros((probe.batch, 1)))

    def step(self, x: Tensor, h: Tensor) -> tuple[Gates[Tensor], Tensor]:
        """Return z (in the sense that keeps), r and n, and h'; x [B, I], all others [B, H]."""
        layout, run = self._layout, self._run
        terms = _Terms()
        for product in self._early:
            self._multiply(product, x, h, terms)
        for (part, gate), bias in self._biases.items():
            terms.add(gate, bias, recurrent=part == "recurrent_bias")

        def gate_of(gate: Gate) -> Tensor:
            return run.activate(layout.gate_activation, terms.total(gate))

        r = gate_of(RESET) if layout.reset != "absent" else run.tensor(np.ones(h.shape))
        if layout.reset == "after":
            argument = terms.total(CANDIDATE, lambda recurrent: r * recurrent)
        else:
            for product in self._late:
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
        made = (factors[0] if len(factors) == 1 else self._run.concat(factors)) @ product.matrix
        for at, gate in enumerate(product.gates):
            block = made[:, at * self._hidden_size : (at + 1) * self._hidden_size]
            terms.add(gate, block, recurrent=product.parts == ("recurrent_weight",))


class _Terms:
    """The sums of one step: of what comes from the state alone, and of all else."""

    def __init__(self) -> None:
        self._sums: dict[tuple[bool, Gate], Tensor] = {}

    def add(self, gate: Gate, term: Tensor, *, recurrent: bool) -> None:
        known = self._sums.get((recurrent, gate))
        self._sums[recurrent, gate] = term if known is None else known + term

    def total(self, gate: Gate, gated: Callable[[Tensor], Tensor] = lambda term: term) -> Tensor:
        """Return the argument of a gate's activation, what comes from the state `gated` first."""
        inputs, recurrent = self._sums.get((False, gate)), self._sums.get((True, gate))
        if recurrent is None:
            return inputs
        return gated(recurrent) if inputs is None else inputs + gated(recurrent)
