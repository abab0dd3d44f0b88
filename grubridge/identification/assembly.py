"""A hypothesis as a layout: which tensor holds what, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from grubridge.layouts.description import CellLayout, TensorLayout
from grubridge.spec import GATE_NAMES, Activation, Direction, Gate

from .biases import Biases
from .choices import Choice, module
from .screen import Hit

__all__ = ["ABOUT", "NAME", "layouts", "weight_layouts", "without_prefix"]

NAME = "identified"
ABOUT = "Found from a recorded run."


def layouts(
    hit: Hit, biases: Biases, output: Activation | None, endings: Mapping[Direction, str]
) -> Iterator[CellLayout]:
    """Yield the layouts that compute what `hit` does, plainest first; none where a tensor is used in part.

    Args:
        hit: the hypothesis.
        biases: that its indices refer to.
        output: what the cell returns is this function of h'.
        endings: what "{direction}" in a name stands for.
    """
    order = [gate for gate in GATE_NAMES if gate in hit.weights]
    weights = weight_layouts(hit.choice, hit.weights)
    names = {gate: hit.choice.names(*hit.weights[gate]) for gate in order}
    used = {gate: hit.biases[gate] for gate in order}
    taken = {tensor.name for tensor in weights}
    for named in biases.layouts(used, reset_after=hit.reset == "after", weights=names):
        if taken & {tensor.name for tensor in named}:
            continue  # what is 2 x H can be taken for two biases as well
        yield CellLayout(
            NAME,
            ABOUT,
            hit.update,
            hit.reset,
            (*weights, *named),
            hit.functions.gate,
            hit.functions.candidate,
            output,
            directions=endings,
        )


def weight_layouts(choice: Choice, weights: Mapping[Gate, tuple[int, int]]) -> tuple[TensorLayout, ...]:
    """Return what every tensor of `choice` holds."""
    found: list[TensorLayout] = []
    for view in choice.views:
        of = {}
        for gate, pair in weights.items():
            for slot in (choice.inputs[pair[0]], choice.recurrents[pair[1]]):
                if slot.view is view:
                    of[slot.index] = gate
        found.append(view.layout(tuple(of[index] for index in range(view.count))))
    return tuple(found)


def without_prefix(layout: CellLayout) -> tuple[str, CellLayout]:
    """Return the prefix that all names share, up to a separator, and the layout without it."""
    names = [tensor.name for tensor in layout.tensors]
    prefix = module(_shared(names))
    tensors = tuple(replace(tensor, name=tensor.name[len(prefix) :]) for tensor in layout.tensors)
    return prefix, replace(layout, tensors=tensors)


def _shared(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    length = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]
