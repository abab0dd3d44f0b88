"""Which biases a gate can have, by their values; and which tensors then hold which gate's bias.

The search looks at values alone, equal ones once: biases that are all zero would otherwise count as many
times as there are tensors. Which tensor is meant is decided afterwards, so that each is used as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from grubridge.layouts.description import BIASES, Part, TensorLayout
from grubridge.spec import CANDIDATE, Array, Gate

from .choices import module, substitutions
from .views import View

__all__ = ["Biases", "GateBias", "plainness"]

GateBias = tuple[int, int]
"""The values that a gate adds, as indices into `Biases.values`: outside of r and inside of it where r
multiplies the recurrent product, else two that are added, the smaller index first."""

_Place = tuple[View, Part, int]
"""A view, the part that it calls this row, and the gate stacked there."""


@dataclass(frozen=True)
class _Taken:
    """Where a gate's bias is."""

    gate: Gate
    place: _Place
    inside: bool | None  # of r; None where that is the same


class Biases:
    """The biases of a checkpoint.

    Args:
        views: the tensors that can be biases, in the file's order.
        hidden_size: H.
    """

    def __init__(self, views: Sequence[View], hidden_size: int) -> None:
        self.views = tuple(views)
        found: dict[bytes, list[_Place | None]] = {np.zeros(hidden_size).tobytes(): [None]}
        for view in views:
            for part, values in view.parts.items():
                for index, value in enumerate(values):
                    found.setdefault((value + 0.0).tobytes(), []).append((view, part, index))
        self._places = list(found.values())
        self.values: Array = np.array([np.frombuffer(value) for value in found])
        count = len(self.values)
        self.sums: list[GateBias] = [(0, 0), *((0, one) for one in range(1, count))]
        self.sums += combinations(range(1, count), 2)
        self.pairs: list[GateBias] = [(0, 0), *((0, one) for one in range(1, count))]
        self.pairs += ((one, 0) for one in range(1, count))
        self.pairs += ((one, other) for one in range(1, count) for other in range(1, count) if one != other)
        twice = [one for one in range(1, count) if len(self._places[one]) > 1]
        self.sums += ((one, one) for one in twice)
        self.pairs += ((one, one) for one in twice)

    def summed(self) -> Array:
        """Return what every one of `sums` adds, [N, H]."""
        one, other = np.array(self.sums).T
        total: Array = self.values[one] + self.values[other]
        return total

    def layouts(
        self, used: Mapping[Gate, GateBias], *, reset_after: bool, weights: Mapping[Gate, tuple[str, str]]
    ) -> list[tuple[TensorLayout, ...]]:
        """Return the ways to name the tensors that hold these biases, plainest first; [] where none is whole.

        Args:
            used: of each gate of the cell.
            reset_after: whether the candidate's second bias is inside of r.
            weights: the names of the tensors that hold each gate's input and recurrent weight.
        """
        found = dict.fromkeys(self._whole(used, reset_after=reset_after))
        return sorted(found, key=lambda tensors: plainness(tensors, weights))

    def _whole(
        self, used: Mapping[Gate, GateBias], *, reset_after: bool
    ) -> Iterator[tuple[TensorLayout, ...]]:
        options: list[list[_Taken | None]] = []
        for gate, bias in used.items():
            for inside, value in zip((False, True), bias, strict=True):
                where = inside if gate == CANDIDATE and reset_after else None
                places = self._places[value]
                options.append([None if place is None else _Taken(gate, place, where) for place in places])
        for taken in product(*options):
            yield from _named([one for one in taken if one is not None], self.views)


def plainness(tensors: Sequence[TensorLayout], weights: Mapping[Gate, tuple[str, str]]) -> tuple[object, ...]:
    """Rank: as many biases for each gate, all from where the weights are or none, named like them; many.

    Args:
        tensors: what the tensors of the biases hold.
        weights: the names of the tensors that hold each gate's input and recurrent weight.
    """
    gated = [gate for gate in weights if gate != CANDIDATE]
    counts = {sum(len(one.holds) for one in tensors if gate in one.gates) for gate in gated}
    modules = {module(name) for names in weights.values() for name in names}
    strangers = {module(one.name) in modules for one in tensors}
    named: dict[tuple[Part, ...], list[tuple[str, str]]] = {}
    for one in tensors:
        named.setdefault(one.holds, []).extend((weights[gate][0], one.name) for gate in one.gates)
    changes = max((substitutions(pairs) for pairs in named.values()), default=1)
    order = [list(weights).index(gate) for one in tensors for gate in one.gates]
    parts = [BIASES.index(one.holds[0]) for one in tensors]
    return len(counts), len(strangers) > 1, changes, -len(tensors), order, parts


def _named(taken: Sequence[_Taken], views: Sequence[View]) -> Iterator[tuple[TensorLayout, ...]]:
    """Yield what each tensor holds, for every way to call its rows input or recurrent biases."""
    places = [one.place for one in taken]
    used = [view for view in views if any(place[0] is view for place in places)]
    whole = sum(view.count * len(view.holds) for view in used)
    if len(set(places)) != len(places) or len(places) != whole:
        return
    orders: dict[View, tuple[Gate, ...]] = {}
    for view in used:
        rows: list[list[Gate]] = [[], []]
        for row, part in enumerate(view.holds):
            at = {one.place[2]: one.gate for one in taken if one.place[:2] == (view, part)}
            rows[row] = [at[index] for index in range(view.count)]
        if len(view.holds) == 2 and rows[0] != rows[1]:
            return
        orders[view] = tuple(rows[0])
    for flips in product((False, True), repeat=len(used)):
        called = {view: _turned(view.holds, flip) for view, flip in zip(used, flips, strict=True)}
        if _fit(taken, called):
            yield tuple(view.layout(orders[view], called[view]) for view in used)


def _turned(holds: tuple[Part, ...], flip: bool) -> tuple[Part, ...]:  # noqa: FBT001 - a table's column
    if not flip:
        return holds
    return tuple(BIASES[1 - BIASES.index(part)] for part in holds)


def _fit(taken: Sequence[_Taken], called: Mapping[View, tuple[Part, ...]]) -> bool:
    """Whether no gate has two biases of one kind, and the candidate's inner one is the recurrent bias."""
    seen: set[tuple[Gate, Part]] = set()
    for one in taken:
        view, part, _ = one.place
        name = called[view][view.holds.index(part)]
        if (one.gate, name) in seen or (one.inside is not None and one.inside != (name == "recurrent_bias")):
            return False
        seen.add((one.gate, name))
    return True
