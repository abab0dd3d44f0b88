"""The search itself: every cell that can be made of some tensors, tried on a few steps at once.

Where the state before a step and after it are known, a step stands by itself. What each tensor makes of x and
of h is computed once; a hypothesis then costs elementwise work only, done for all biases together. Whatever z
is, h' lies between h and n: candidates that do not allow it are dropped before any z is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from grubridge.layouts.description import Part, ResetMode, UpdateSense
from grubridge.reference.activations import evaluate
from grubridge.spec import CANDIDATE, RESET, UPDATE, Activation, Array, Gate

from .biases import Biases, GateBias
from .choices import Choice, Slot
from .views import View

__all__ = ["Functions", "Hit", "Screen", "Steps"]

_ELEMENTS = 24  # of one step's states that are looked at: few, for thousands of hypotheses
_UNITS = 6
_CHUNK = 1 << 20  # numbers that are compared at a time


@dataclass(frozen=True)
class Steps:
    """Steps with known states, float64.

    Args:
        x: inputs, [N, I].
        previous: h, [N, H].
        following: h', [N, H].
    """

    x: Array
    previous: Array
    following: Array


@dataclass(frozen=True)
class Functions:
    """The activations of a hypothesis."""

    gate: Activation
    candidate: Activation


@dataclass(frozen=True)
class Hit:
    """A hypothesis and its largest error on the steps looked at.

    Args:
        error: largest |error| of h'.
        choice: the weights.
        update: what z does.
        reset: where r is applied.
        functions: the activations.
        weights: of each gate, the index of its input and of its recurrent weight in `choice`.
        biases: of each gate.
    """

    error: float
    choice: Choice
    update: UpdateSense
    reset: ResetMode
    functions: Functions
    weights: Mapping[Gate, tuple[int, int]]
    biases: Mapping[Gate, GateBias]


class Screen:
    """Tries cells on the steps that tell most.

    Args:
        steps: all that are known.
        biases: of the checkpoint.
        tolerance: errors up to it may be rounding.
    """

    def __init__(self, steps: Steps, biases: Biases, tolerance: float) -> None:
        rows, units = _telling(steps)
        self._x, self._h = steps.x[rows], steps.previous[rows]
        self._units = units
        self._seen = self._h[:, units]
        self._target = steps.following[rows][:, units]
        self._biases, self._tolerance = biases, tolerance
        self._sums = biases.summed()
        outside, inside = np.array(biases.pairs).T
        self._outside, self._inside = (biases.values[i][:, None, units] for i in (outside, inside))
        self._products: dict[tuple[View, Part], Array] = {}
        self.tried = 0

    def search(self, choice: Choice, functions: Functions) -> Iterator[Hit]:
        """Yield what fits the steps looked at, and for each order of the weights the nearest."""
        slots = range(choice.gates)
        used = choice.gates - (choice.gates == 3)  # the third gate of three follows from the other two
        for inputs in permutations(slots, used):
            for recurrents in permutations(slots, used):
                pairs = list(zip(inputs, recurrents, strict=True))
                rest = [(i, k) for i in slots for k in slots if i not in inputs and k not in recurrents]
                if all(choice.fits(*pair) for pair in pairs + rest):
                    yield from self._orders(choice, functions, pairs, rest)

    def _orders(
        self, choice: Choice, functions: Functions, pairs: list[tuple[int, int]], rest: list[tuple[int, int]]
    ) -> Iterator[Hit]:
        first, of_candidate = pairs
        gate = self._gate(choice, first, functions)
        modes: tuple[ResetMode, ...] = ("after", "before")
        for reset in modes:
            n = self._candidates(choice, of_candidate, reset, gate, functions)
            self.tried += n.shape[0] * n.shape[1] * (2 * len(self._sums) if rest else 1)
            if rest:
                weights = {UPDATE: rest[0], RESET: first, CANDIDATE: of_candidate}
                z = self._gate(choice, rest[0], functions)[:, :, self._units]
                yield from self._with_update(choice, reset, functions, weights, n, z)
            else:
                error = np.abs(n - self._target).max(axis=(2, 3))
                for r, c in self._best(error):
                    biases = {RESET: self._biases.sums[r], CANDIDATE: self._pairs(reset)[c]}
                    weights = {RESET: first, CANDIDATE: of_candidate}
                    yield Hit(float(error[r, c]), choice, "absent", reset, functions, weights, biases)
        if not rest:
            weights = {UPDATE: first, CANDIDATE: of_candidate}
            n = self._candidates(choice, of_candidate, "absent", gate[:1], functions)
            self.tried += 2 * n.shape[1] * len(self._sums)
            yield from self._with_update(choice, "absent", functions, weights, n, gate[:, :, self._units])

    def _with_update(
        self,
        choice: Choice,
        reset: ResetMode,
        functions: Functions,
        weights: Mapping[Gate, tuple[int, int]],
        n: Array,
        z: Array,
    ) -> Iterator[Hit]:
        """Try every z with the candidates [R, C, rows, units] between which and h every h' lies."""
        low, high = np.minimum(n, self._seen), np.maximum(n, self._seen)
        beyond = np.maximum(low - self._target, self._target - high).max(axis=(2, 3))
        between = self._best(beyond)
        senses: tuple[UpdateSense, ...] = ("keeps", "takes")
        together = max(1, _CHUNK // z.size)
        for first in range(0, len(between), together):
            some = between[first : first + together]
            change = (n[some[:, 0], some[:, 1]] - self._seen)[:, None]
            for sense in senses:
                taken = z if sense == "takes" else 1 - z
                error = np.abs(self._seen + taken * change - self._target).max(axis=(2, 3))
                for one, u in self._best(error):
                    r, c = some[one]
                    biases = {UPDATE: self._biases.sums[u], CANDIDATE: self._pairs(reset)[c]}
                    if reset != "absent":
                        biases[RESET] = self._biases.sums[r]
                    yield Hit(float(error[one, u]), choice, sense, reset, functions, weights, biases)

    def _best(self, error: Array) -> Array:
        """Return the places of errors within the tolerance, [N, 2]; where there are none, of the smallest."""
        fitting = np.argwhere(error <= self._tolerance)
        if len(fitting):
            return fitting
        smallest = int(np.argmin(np.nan_to_num(error, nan=np.inf)))
        return np.array([np.unravel_index(smallest, error.shape)])

    def _pairs(self, reset: ResetMode) -> list[GateBias]:
        return self._biases.pairs if reset == "after" else self._biases.sums

    def _gate(self, choice: Choice, pair: tuple[int, int], functions: Functions) -> Array:
        """Return a gate with every sum of biases, [S, rows, H]."""
        fixed = self._product(choice.inputs[pair[0]]) + self._product(choice.recurrents[pair[1]])
        return evaluate(functions.gate, fixed + self._sums[:, None, :])

    def _candidates(
        self, choice: Choice, pair: tuple[int, int], reset: ResetMode, r: Array, functions: Functions
    ) -> Array:
        """Return the candidate for every r and all biases, [R, C, rows, units]."""
        slot, units = choice.recurrents[pair[1]], self._units
        fixed = self._product(choice.inputs[pair[0]])[:, units]
        if reset == "after":
            inside = self._product(slot)[:, units] + self._inside
            argument = fixed + self._outside + r[:, None, :, units] * inside
        else:
            weight = slot.view.parts[slot.part][slot.index][units]
            state = self._h if reset == "absent" else r * self._h
            recurrent = state @ weight.T
            argument = fixed + self._sums[:, None, units] + recurrent.reshape(-1, 1, *self._seen.shape)
        return evaluate(functions.candidate, argument)

    def _product(self, slot: Slot) -> Array:
        """Return what a slot's weight makes of x or h, [rows, H]."""
        key = slot.view, slot.part
        if key not in self._products:
            of = self._x if slot.part == "input_weight" else self._h
            self._products[key] = np.einsum("ni,khi->knh", of, slot.view.parts[slot.part], optimize=True)
        product: Array = self._products[key][slot.index]
        return product


def _telling(steps: Steps) -> tuple[Array, Array]:
    """Return the units that move most, and the rows in which they do: where h stands still, nothing shows."""
    moved = np.abs(steps.following - steps.previous)
    units = np.argsort(-moved.mean(axis=0), kind="stable")[:_UNITS]
    count = -(-_ELEMENTS // len(units))
    rows = np.argsort(-moved[:, units].min(axis=1), kind="stable")[:count]
    return np.sort(rows), np.sort(units)
