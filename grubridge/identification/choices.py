"""Which tensors can be the weights of a cell: every set whose shapes make two or three gates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grubridge.layouts.description import Part

from .views import View

__all__ = ["Choice", "Slot", "module", "substitutions", "weight_choices"]


@dataclass(frozen=True)
class Slot:
    """One gate's place in a tensor.

    Args:
        view: how the tensor is taken.
        index: which of the gates stacked in it.
        part: what is meant of what the gate has there.
    """

    view: View
    index: int
    part: Part


@dataclass(frozen=True)
class Choice:
    """The weights of a cell; which gate has which is open.

    Args:
        inputs: where the input weights are, in the file's order.
        recurrents: likewise the recurrent weights; both are as many as the cell has gates.
    """

    inputs: tuple[Slot, ...]
    recurrents: tuple[Slot, ...]

    @property
    def views(self) -> tuple[View, ...]:
        """The tensors, each once."""
        return tuple(dict.fromkeys(slot.view for slot in (*self.inputs, *self.recurrents)))

    @property
    def gates(self) -> int:
        """How many gates the cell has, the candidate included."""
        return len(self.inputs)

    def names(self, of_input: int, of_recurrent: int) -> tuple[str, str]:
        """Return the names of the tensors that hold an input and a recurrent weight."""
        return self.inputs[of_input].view.name, self.recurrents[of_recurrent].view.name

    def fits(self, of_input: int, of_recurrent: int) -> bool:
        """Whether one gate can have these two weights: the parts of one product with [x, h] stay together."""
        one, other = self.inputs[of_input], self.recurrents[of_recurrent]
        if len(one.view.holds) == len(other.view.holds) == 1:
            return True
        return one.view is other.view and one.index == other.index


def weight_choices(views: Sequence[Sequence[View]]) -> list[Choice]:
    """Return the choices, plainest first.

    Args:
        views: of every tensor, in the file's order.

    Within a choice all input weights are stored the same way round, and so are all recurrent weights and all
    products with [x, h], whose order is one.
    """
    found = [_choice(chosen) for chosen in _sets(views, (), 0, 0)]
    position = {view.name: at for at, of_tensor in enumerate(views) for view in of_tensor}

    def plainness(choice: Choice) -> tuple[int, int, int, list[int]]:
        rows = {view.rows for view in choice.views}
        order = [position[view.name] for view in choice.views]
        pairs = [
            (one.view.name, other.view.name)
            for one, other in zip(choice.inputs, choice.recurrents, strict=True)
        ]
        return -choice.gates, len(rows), substitutions(pairs), order

    return sorted(found, key=plainness)


def substitutions(pairs: Sequence[tuple[str, str]]) -> int:
    """Return how many different changes turn first names into second: 1 for W_xz, W_hz and W_xr, W_hr."""
    return len({_change(*pair) for pair in pairs})


def module(name: str) -> str:
    """Return what a name begins with, up to its last dot or slash."""
    return name[: max(name.rfind("."), name.rfind("/")) + 1]


def _change(one: str, other: str) -> tuple[str, str]:
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return one, other


def _sets(
    left: Sequence[Sequence[View]], chosen: tuple[View, ...], inputs: int, recurrents: int
) -> Iterator[tuple[View, ...]]:
    """Yield the sets of views that hold as many input as recurrent weights: two or three."""
    if inputs == recurrents and inputs in (2, 3):
        yield chosen
    if max(inputs, recurrents) >= 3 and inputs == recurrents:
        return
    for at, of_tensor in enumerate(left):
        for view in of_tensor:
            more_inputs = inputs + view.count * ("input_weight" in view.holds)
            more_recurrents = recurrents + view.count * ("recurrent_weight" in view.holds)
            if max(more_inputs, more_recurrents) <= 3 and _alike(view, chosen):
                yield from _sets(left[at + 1 :], (*chosen, view), more_inputs, more_recurrents)


def _alike(view: View, chosen: Sequence[View]) -> bool:
    for other in chosen:
        if set(view.holds) == set(other.holds) and (view.holds, view.rows) != (other.holds, other.rows):
            return False
    return True


def _choice(views: Sequence[View]) -> Choice:
    def slots(part: Part) -> tuple[Slot, ...]:
        return tuple(
            Slot(view, index, part) for view in views if part in view.holds for index in range(view.count)
        )

    return Choice(slots("input_weight"), slots("recurrent_weight"))
