"""Which tensors of a checkpoint can be the cells of a run, and what their names count."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from grubridge.files.tensors import StoredTensor
from grubridge.spec import DTYPES, Direction

from .choices import module
from .views import View, bias_view, weight_views

__all__ = ["Structure", "structures"]

_NUMBER = re.compile(r"(?<![0-9])(0|[1-9][0-9]?)(?![0-9])")
_DIRECTIONS = (
    ("", "_reverse"),
    ("forward", "backward"),
    ("fwd", "bwd"),
    ("fw", "bw"),
)
_MOST_WEIGHTS, _MOST_BIASES = 10, 9
"""More matrices that fit are looked at module by module: two GRUs side by side are not one cell. Of more
vectors those are taken that stand beside the matrices."""


_Ways = tuple[int, bool, tuple[str, str], Mapping[str, str]]
"""H, whether there are two directions, what tells them apart, and the forward tensors by their names with
placeholders."""


@dataclass(frozen=True)
class Structure:
    """Tensors that can be the cells of one stack.

    Args:
        hidden_size: H.
        cut: whether there were more vectors.
        weights: every way to take each matrix of the first layer that reads forward; names with placeholders.
        biases: likewise the vectors.
        numbers: the layers, as the names count them.
        counted: whether the names have placeholders.
        directions: forward, or both.
        endings: what "{direction}" stands for.
    """

    hidden_size: int
    cut: bool
    weights: tuple[tuple[View, ...], ...]
    biases: tuple[View, ...]
    numbers: range
    counted: bool
    directions: tuple[Direction, ...]
    endings: Mapping[Direction, str]


def structures(tensors: Mapping[str, StoredTensor], input_size: int, outputs: int) -> Iterator[Structure]:
    """Yield the structures that `tensors` can have, simple ones first.

    Args:
        tensors: of the checkpoint, in the file's order.
        input_size: I.
        outputs: D*H.
    """
    usable = {
        name: one for name, one in tensors.items() if one.dtype in DTYPES and not set(name) & {"{", "}"}
    }
    ways: list[_Ways] = [(outputs, False, _DIRECTIONS[0], {name: name for name in usable})]
    if outputs % 2 == 0:
        twins = ((endings, _twins(usable, *endings)) for endings in _DIRECTIONS)
        ways += [(outputs // 2, True, endings, names) for endings, names in twins if names]
    for layered in (False, True):
        for hidden_size, both, (forward, backward), names in ways:
            for numbers, named in _layered(names) if layered else [(range(1), names)]:
                first = {name: usable[own] for name, own in named.items()}
                for scope in _scopes(first, input_size, hidden_size):
                    each = scope.items()
                    weights = (tuple(weight_views(name, one, input_size, hidden_size)) for name, one in each)
                    biases = _biases(scope, input_size, hidden_size)
                    yield Structure(
                        hidden_size,
                        len(biases) > _MOST_BIASES,
                        tuple(views for views in weights if views),
                        tuple(biases[:_MOST_BIASES]),
                        numbers,
                        layered or both,
                        ("forward", "backward") if both else ("forward",),
                        {"forward": forward, "backward": backward},
                    )


def _biases(scope: Mapping[str, StoredTensor], input_size: int, hidden_size: int) -> list[View]:
    """Return what can be biases, those first that stand beside a matrix if there are too many."""
    views = [bias_view(name, one, hidden_size) for name, one in scope.items()]
    found = [view for view in views if view is not None and not _is_matrix(view)]
    if len(found) <= _MOST_BIASES:
        return found
    matrices = [name for name, one in scope.items() if any(weight_views(name, one, input_size, hidden_size))]
    modules = {module(name) for name in matrices}
    return sorted(found, key=lambda view: module(view.name) not in modules)


def _is_matrix(view: View) -> bool:
    """Whether what could be the two biases of one gate, [2, H], is a matrix of its own where H is 2."""
    return view.count == 1 and view.stored.shape == (2, 2)


def _twins(names: Mapping[str, object], forward: str, backward: str) -> dict[str, str]:
    """Return the names that both directions have, with "{direction}", and the forward tensor's own."""
    found: dict[str, str] = {}
    for name in names:
        if name.count(backward) == 1 and (twin := name.replace(backward, forward)) in names:
            found[name.replace(backward, "{direction}")] = twin
    return found


def _layered(names: Mapping[str, str]) -> Iterator[tuple[range, dict[str, str]]]:
    """Yield (the layers, names with "{layer}" and the first layer's own) for each number that counts."""
    found: dict[int, dict[str, dict[int, str]]] = {}
    for name, first in names.items():
        for at, match in enumerate(_NUMBER.finditer(name)):
            template = f"{name[: match.start()]}{{layer}}{name[match.end() :]}"
            found.setdefault(at, {}).setdefault(template, {})[int(match.group())] = first
    for families in found.values():
        counts = {range(min(numbers), max(numbers) + 1) for numbers in families.values()}
        for numbers in sorted(counts, key=len):
            if len(numbers) > 1 and numbers[0] in (0, 1):
                whole = {
                    template: members[numbers[0]]
                    for template, members in families.items()
                    if sorted(members) == list(numbers)
                }
                if whole:
                    yield numbers, whole


def _scopes(
    tensors: Mapping[str, StoredTensor], input_size: int, hidden_size: int
) -> Iterator[dict[str, StoredTensor]]:
    """Yield the tensors to search together: all of them, or in a large checkpoint those of each module."""
    left: list[tuple[str, dict[str, StoredTensor]]] = [("", dict(tensors))]
    while left:
        prefix, scope = left.pop(0)
        fitting = sum(any(weight_views(name, one, input_size, hidden_size)) for name, one in scope.items())
        if fitting <= _MOST_WEIGHTS:
            yield scope
            continue
        inner: dict[str, dict[str, StoredTensor]] = {}
        for name, one in scope.items():
            match = re.match(r"[^./]*[./]", name[len(prefix) :])
            if match is not None:
                inner.setdefault(prefix + match.group(), {})[name] = one
        left.extend(inner.items())
