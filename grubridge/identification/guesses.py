"""Whole layouts to run from end to end, plainest first, where single steps cannot be looked at.

The names are believed first: the i-th input weight, recurrent weight and bias belong to one gate. Then every
order of each is tried by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations

from grubridge.layouts.description import CellLayout, Part, ResetMode, TensorLayout, UpdateSense
from grubridge.spec import CANDIDATE, GATE_NAMES, RESET, UPDATE, Activation, Gate

from .assembly import ABOUT, NAME, weight_layouts
from .biases import plainness
from .choices import Choice, Slot, weight_choices
from .screen import Functions
from .structures import Structure
from .views import View

__all__ = ["Guesses"]

_Order = tuple[Gate, ...]
_Place = tuple[View, int]
_INPUT: Part = "input_bias"
_RECURRENT: Part = "recurrent_bias"

_SENSES: dict[frozenset[Gate], tuple[tuple[UpdateSense, ResetMode], ...]] = {
    frozenset(GATE_NAMES): (("keeps", "after"), ("keeps", "before"), ("takes", "after"), ("takes", "before")),
    frozenset((RESET, CANDIDATE)): (("absent", "after"), ("absent", "before")),
    frozenset((UPDATE, CANDIDATE)): (("keeps", "absent"), ("takes", "absent")),
}

_CHOICES, _OF_BIASES = 16, 12
"""Sets of weights, and of biases for them, that are tried as long as names are believed."""


class Guesses:
    """The layouts that the tensors of a structure can have."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._choices = weight_choices(structure.weights)
        self._believed: list[tuple[_Order, tuple[TensorLayout, ...]]] = []

    def layouts(
        self, functions: Functions, output: Activation | None, *, together: bool
    ) -> Iterator[CellLayout]:
        """Yield them.

        Args:
            functions: the activations.
            output: what the cell returns is this function of h'.
            together: whether weights and biases have their gates in one order, or each in its own.
        """
        for gates, tensors in self._in_one_order() if together else self._in_any_order():
            for update, reset in _SENSES[frozenset(gates)]:
                yield CellLayout(
                    NAME,
                    ABOUT,
                    update,
                    reset,
                    tensors,
                    functions.gate,
                    functions.candidate,
                    output,
                    directions=self._structure.endings,
                )

    def _in_one_order(self) -> list[tuple[_Order, tuple[TensorLayout, ...]]]:
        if not self._believed:
            for choice in self._choices[:_CHOICES]:
                # tensors that hold several gates each, or one each, may be listed by the alphabet
                alike = _indices(choice.inputs) == _indices(choice.recurrents)
                for at, weights in _weights(choice, any_order=not alike):
                    biases = self._biases_along(choice, at)
                    self._believed += ((tuple(at), (*weights, *one)) for one in biases)
        return self._believed

    def _in_any_order(self) -> Iterator[tuple[_Order, tuple[TensorLayout, ...]]]:
        for choice in self._choices:
            free = self._free(choice)
            for at, weights in _weights(choice, any_order=True):
                for some in _subsets(free):
                    for one in permutations(at):
                        for other in permutations(at) if len(_places(some)) == 2 * len(at) else [one]:
                            for biases in _of_views(some, one, other):
                                yield tuple(at), (*weights, *biases)

    def _biases_along(
        self, choice: Choice, at: Mapping[Gate, tuple[int, int]]
    ) -> list[tuple[TensorLayout, ...]]:
        """Return what the biases can be that go along with the weights, plainest first."""
        names = {gate: choice.names(*pair) for gate, pair in at.items()}
        found: list[tuple[TensorLayout, ...]] = []
        for some in _subsets(self._free(choice)):
            fused = any(view.count > 1 for view in some)
            listed = len({slot.view for slot in choice.inputs}) > 1
            for order in permutations(at) if fused and listed else [tuple(at)]:
                found += _of_views(some, order, order)
        return sorted(found, key=lambda tensors: plainness(tensors, names))[:_OF_BIASES]

    def _free(self, choice: Choice) -> list[View]:
        taken = {view.name for view in choice.views}
        return [view for view in self._structure.biases if view.name not in taken]


def _indices(slots: Sequence[Slot]) -> list[int]:
    return [slot.index for slot in slots]


def _weights(
    choice: Choice, *, any_order: bool
) -> Iterator[tuple[dict[Gate, tuple[int, int]], tuple[TensorLayout, ...]]]:
    for gates in (GATE_NAMES,) if choice.gates == 3 else ((RESET, CANDIDATE), (UPDATE, CANDIDATE)):
        for inputs in permutations(gates):
            for recurrents in permutations(gates) if any_order else [inputs]:
                at = {gate: (inputs.index(gate), recurrents.index(gate)) for gate in inputs}
                if all(choice.fits(*pair) for pair in at.values()):
                    yield at, weight_layouts(choice, at)


def _subsets(views: Sequence[View]) -> Iterator[tuple[View, ...]]:
    for count in range(len(views), -1, -1):
        yield from combinations(views, count)


def _of_views(views: Sequence[View], order: _Order, other: _Order) -> Iterator[tuple[TensorLayout, ...]]:
    """Yield the ways to share all of `views` among the gates."""
    if not views:
        yield ()
        return
    if len(views) == 1 and len(views[0].holds) == 2 and views[0].count == len(order):
        yield (views[0].layout(order),)
        return
    if any(len(view.holds) == 2 for view in views):
        return
    places, gates = _places(views), len(order)
    for parts, of_gates in _patterns(len(places), order, other, gates):
        found = _layouts(views, dict(zip(places, zip(parts, of_gates, strict=True), strict=True)))
        if found is not None:
            yield found


def _patterns(
    places: int, order: _Order, other: _Order, gates: int
) -> Iterator[tuple[tuple[Part, ...], _Order]]:
    """Yield (part, gate) of every place: a bias for each gate, one more for the candidate, or two each."""
    if places == gates:
        yield (_INPUT,) * gates, order
        yield (_RECURRENT,) * gates, order
    elif places == gates + 1:
        for at in range(places - 1, -1, -1):
            parts: tuple[Part, ...] = (*(_INPUT,) * at, _RECURRENT, *(_INPUT,) * (gates - at))
            yield parts, (*order[:at], CANDIDATE, *order[at:])
    elif places == 2 * gates:
        for first, second in ((_INPUT, _RECURRENT), (_RECURRENT, _INPUT)):
            yield (*(first,) * gates, *(second,) * gates), (*order, *other)
        if order == other:
            for pair in ((_INPUT, _RECURRENT), (_RECURRENT, _INPUT)):
                yield pair * gates, tuple(gate for gate in order for _ in pair)


def _places(views: Sequence[View]) -> list[_Place]:
    return [(view, index) for view in views for index in range(view.count)]


def _layouts(views: Sequence[View], held: dict[_Place, tuple[Part, Gate]]) -> tuple[TensorLayout, ...] | None:
    """Return what the tensors hold; None where one would hold both kinds, or a gate twice."""
    found: list[TensorLayout] = []
    for view in views:
        parts, gates = zip(*(held[view, index] for index in range(view.count)), strict=True)
        if len(set(parts)) > 1 or len(set(gates)) < len(gates):
            return None
        found.append(view.layout(gates, (parts[0],)))
    named = [(one.holds, gate) for one in found for gate in one.gates]
    return tuple(found) if len(set(named)) == len(named) else None
