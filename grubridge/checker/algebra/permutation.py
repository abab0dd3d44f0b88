"""Hidden units of one spec found again, in another order, in a second spec.

Every unit of both specs gets a key: a 64-bit hash of its numbers that does not depend on the order of the
units around it, refined by the keys of the units that its weights lead to and come from (the colour
refinement of Weisfeiler and Leman). Units with equal keys are matched, and the match is then verified
number by number: a hash can hide a permutation, never make one up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from grubridge.spec import RESET, Array, Direction
from grubridge.spec.normal import Exact, NormalDirection, tiles
from grubridge.traces import Place

from .tensors import differing, pairs

__all__ = ["UnitPermutation", "unit_permutation"]

Forms = Mapping[Place, NormalDirection]
Keys = dict[Place, Array]  # [H] uint64 each

_GUESSES = 16  # units told apart by choice, where refinement cannot; each costs a walk over all weights


@dataclass(frozen=True)
class UnitPermutation:
    """The order of hidden units in one layer and direction.

    Args:
        layer: index of the layer.
        direction: of reading.
        order: H integers: unit i of the right spec is unit order[i] of the left one.
    """

    layer: int
    direction: Direction
    order: tuple[int, ...]


def unit_permutation(left: Forms, right: Forms) -> tuple[UnitPermutation, ...]:
    """Return orders of hidden units that turn `left` into `right`, of all places where the order changes.

    () when none is found. Orders that leave the last layer as it is are preferred. In a network with so much
    symmetry that refinement leaves many different units with equal keys, an order may go unfound.

    Args:
        left: normal forms of every direction.
        right: likewise; not equal to `left`, and with the same settings.
    """
    for keep_last in (True, False):
        orders = _search(left, right, keep_last=keep_last)
        if orders is not None:
            return tuple(
                UnitPermutation(*place, tuple(order.tolist()))
                for place, order in orders.items()
                if _moves(order)
            )
    return ()


def _search(left: Forms, right: Forms, *, keep_last: bool) -> dict[Place, Array] | None:
    keys = _first_keys(left, keep_last=keep_last), _first_keys(right, keep_last=keep_last)
    for guess in range(_GUESSES):
        refined = _refined_together(left, right, keys)
        if refined is None:
            return None
        keys = refined
        orders = {at: _match(keys[0][at], keys[1][at]) for at in left}
        if any(map(_moves, orders.values())) and _verified(left, right, orders):
            return orders
        tied = next((at for at in left if np.unique(keys[0][at]).size < keys[0][at].size), None)
        if tied is None:
            return None
        _tell_apart(keys, tied, guess)
    return None


def _refined_together(left: Forms, right: Forms, keys: tuple[Keys, Keys]) -> tuple[Keys, Keys] | None:
    """Return keys that tell as many units apart as can be; None when the two sides have other keys."""
    units = sum(own.size for own in keys[0].values())
    while True:
        if any(not np.array_equal(np.sort(keys[0][at]), np.sort(keys[1][at])) for at in left):
            return None
        kinds = _kinds(keys[0])
        if kinds == units:
            return keys
        refined = _refined(left, keys[0]), _refined(right, keys[1])
        if _kinds(refined[0]) == kinds == _kinds(refined[1]):
            return keys
        keys = refined


def _kinds(keys: Keys) -> int:
    return sum(np.unique(own).size for own in keys.values())


def _match(left: Array, right: Array) -> Array:
    """Return for every right unit the left one of the same key; among equal keys, in the order they stand."""
    order = np.empty(left.size, np.intp)
    order[np.argsort(right, kind="stable")] = np.argsort(left, kind="stable")
    return order


def _moves(order: Array) -> bool:
    return not np.array_equal(order, np.arange(order.size))


def _tell_apart(keys: tuple[Keys, Keys], place: Place, guess: int) -> None:
    """Give the first unit of a tied kind a key of its own on both sides: one of them must be its match."""
    values, counts = np.unique(keys[0][place], return_counts=True)
    tied = values[counts > 1][0]
    for side in keys:
        side[place] = side[place].copy()
        side[place][np.argmax(side[place] == tied)] = _numbered(guess + 1)[guess]


def _first_keys(forms: Forms, *, keep_last: bool) -> Keys:
    """Return keys of what a unit has for itself: its biases, initial state and weights to itself."""
    last = max(index for index, _ in forms)
    keys: Keys = {}
    for (index, name), form in forms.items():
        size = form.idle_reset.size
        own = _numbered(size) if keep_last and index == last else np.zeros(size, np.uint64)
        nothing = np.zeros(size, bool)
        parts = [
            (form.bias.reset, form.idle_reset),
            (form.bias.update, nothing),
            (form.bias.candidate, nothing),
        ]
        parts += [(form.reset_bias, nothing), (form.initial_state, nothing)]
        for gate, weight in form.recurrent_weight.items():
            idle = form.idle_reset if gate == RESET else nothing
            parts.append((Exact(np.diagonal(weight.high)), idle))
        for numbers, idle in parts:
            for values in numbers.at(()):
                bits = _bits(np.broadcast_to(values, size))
                bits[idle] = 0
                own = _mixed(own ^ _mixed(bits)) + np.uint64(1)
        keys[index, name] = own
    return keys


def _refined(forms: Forms, keys: Keys) -> Keys:
    """Return keys that also tell what each unit is connected to, by which weights."""
    refined = {place: _mixed(own) for place, own in keys.items()}
    for (index, name), form in forms.items():
        place = index, name
        below = [at for at in forms if at[0] == index - 1]
        inputs = np.concatenate([keys[at] for at in below]) if below else _numbered(_input_size(form))
        read = np.zeros_like(inputs)
        for weights, sources, sent in (
            (form.input_weight, inputs, read),
            (form.recurrent_weight, keys[place], refined[place]),
        ):
            for salt, (gate, weight) in enumerate(weights.items()):
                idle = form.idle_reset if gate == RESET else np.zeros_like(form.idle_reset)
                rows, columns = _connections(weight.high, keys[place], sources, idle)
                np.add(refined[place], _mixed(rows + np.uint64(salt)), out=refined[place])
                np.add(sent, _mixed(columns + np.uint64(salt + 3)), out=sent)
        for at, part in zip(below, np.split(read, max(len(below), 1)), strict=False):
            refined[at] += part
    return refined


def _input_size(form: NormalDirection) -> int:
    return int(form.input_weight.update.high.shape[1])


def _connections(matrix: Array, rows: Array, columns: Array, idle: Array) -> tuple[Array, Array]:
    """Return a key of every row and of every column, made of numbers with the keys of the other side.

    Sums of integers modulo 2**64 do not depend on the order of the terms, as sums of floats do.
    """
    by_row, by_column = np.zeros_like(rows), np.zeros_like(columns)
    for row, column in tiles(matrix.shape):
        bits = _bits(matrix[row, column])
        bits[idle[row]] = 0
        by_row[row] += _mixed(bits ^ columns[column]).sum(axis=1, dtype=np.uint64)
        by_column[column] += _mixed(bits ^ rows[row, None]).sum(axis=0, dtype=np.uint64)
    return by_row, by_column


def _verified(left: Forms, right: Forms, orders: Mapping[Place, Array]) -> bool:
    """Whether every number of `right` is that of `left` with the units in their orders."""
    for (index, name), form in left.items():
        order = orders[index, name]
        below = [orders[at] for at in left if at[0] == index - 1]
        sources = {"": (order,), "units": (order, order), "inputs": (order, _joined(below, form))}
        ordered = replace(form, idle_reset=form.idle_reset[order])
        for pair in pairs(ordered, right[index, name]):
            for where in tiles(pair.right.high.shape):
                source = np.ix_(
                    *(axis[tile] for axis, tile in zip(sources[pair.columns], where, strict=True))
                )
                if differing(pair.left.at(source), pair.right.at(where), pair.idle[where[0]]).any():
                    return False
    return True


def _joined(below: list[Array], form: NormalDirection) -> Array:
    """Return the order of what `form` reads: the inputs stand as they are, units below in their orders."""
    if not below:
        return np.arange(_input_size(form))
    return np.concatenate([order + index * order.size for index, order in enumerate(below)])


def _numbered(count: int) -> Array:
    return _mixed(np.arange(1, count + 1, dtype=np.uint64))


def _bits(numbers: Array) -> Array:
    return (numbers.astype(np.float64, order="C") + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0


def _mixed(keys: Array) -> Array:
    """Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014 (SplitMix64)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = keys ^ (keys >> np.uint64(31))
    return mixed
