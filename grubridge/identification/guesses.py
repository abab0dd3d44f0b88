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
from .choices import Choice, weight_choices
from .screen import Functions
from .structures import Structure
from .views import View

__all__ = ["guesses"]

_Order = tuple[Gate, ...]
_Place = tuple[View, int]
_INPUT: Part = "input_bias"
_RECURRENT: Part = "recurrent_bias"

_CHOICES, _OF_BIASES = 16, 12
"""Sets of weights, and of biases for them, that are tried as long as names are believed."""


def guesses(
    structure: Structure, functions: Functions, output: Activation | None, *, together: bool
) -> Iterator[CellLayout]:
    """Yield the layouts that the tensors of `structure` can have.

    Args:
        structure: the tensors.
        functions: the activations.
        output: what the cell returns is this function of h'.
        together: whether weights and biases have their gates in one order, or each in its own.
    """
    choices = weight_choices(structure.weights)
    for choice in choices[:_CHOICES] if together else choices:
        for update, reset, gates in _senses(choice.gates):
            for at, weights in _weights(choice, gates, together=together):
                for biases in _biases(structure.biases, choice, at, together=together):
                    yield CellLayout(
                        NAME,
                        ABOUT,
                        update,
                        reset,
                        (*weights, *biases),
                        functions.gate,
                        functions.candidate,
                        output,
                        directions=structure.endings,
                    )


def _senses(gates: int) -> Iterator[tuple[UpdateSense, ResetMode, _Order]]:
    senses: tuple[UpdateSense, ...] = ("keeps", "takes")
    modes: tuple[ResetMode, ...] = ("after", "before")
    if gates == 3:
        yield from ((update, reset, GATE_NAMES) for update in senses for reset in modes)
    else:
        yield from (("absent", reset, (RESET, CANDIDATE)) for reset in modes)
        yield from ((update, "absent", (UPDATE, CANDIDATE)) for update in senses)


def _weights(
    choice: Choice, gates: _Order, *, together: bool
) -> Iterator[tuple[dict[Gate, tuple[int, int]], tuple[TensorLayout, ...]]]:
    for inputs in permutations(gates):
        for recurrents in [inputs] if together else permutations(gates):
            at = {gate: (inputs.index(gate), recurrents.index(gate)) for gate in inputs}
            if all(choice.fits(*pair) for pair in at.values()):
                yield at, weight_layouts(choice, at)


def _biases(
    views: Sequence[View], choice: Choice, at: Mapping[Gate, tuple[int, int]], *, together: bool
) -> Iterator[tuple[TensorLayout, ...]]:
    """Yield what the biases can be: what goes along with the weights, or everything."""
    weights = {gate: choice.names(*pair) for gate, pair in at.items()}
    free = [view for view in views if view.name not in {one.name for one in choice.views}]
    if together:
        fused = max(view.count for view in choice.views) == len(at)
        orders = (
            [tuple(at)] if fused else list(permutations(at))
        )  # a file may list its tensors by the alphabet
        found = [one for some in _subsets(free) for order in orders for one in _of_views(some, order, order)]
        yield from sorted(found, key=lambda tensors: plainness(tensors, weights))[:_OF_BIASES]
        return
    for some in _subsets(free):
        for one in permutations(at):
            for other in permutations(at) if len(_places(some)) == 2 * len(at) else [one]:
                yield from _of_views(some, one, other)


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
