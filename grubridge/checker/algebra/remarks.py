"""What two specs write in different ways, told for the reader of a proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from grubridge.spec import GATE_NAMES, RESET, Array, Gate, Gates, GRUDirection, GRUSpec, MergeMode
from grubridge.spec.normal import NormalDirection
from grubridge.traces import Place

from .tensors import difference, pairs

__all__ = ["Side", "remarks"]

_JOINED: dict[MergeMode | None, str] = {
    "concat": "side by side",
    None: "side by side",
    "sum": "summed",
    "mul": "multiplied",
    "ave": "averaged",
}


@dataclass(frozen=True)
class Side:
    """One of two specs.

    Args:
        name: what a reader calls it.
        spec: as it is stored.
        forms: the normal form of every direction.
    """

    name: str
    spec: GRUSpec
    forms: Mapping[Place, NormalDirection]


def remarks(left: Side, right: Side) -> tuple[str, ...]:
    """Return what is stored in different ways, or not compared, with the places where that is so."""
    found: dict[str, list[Place]] = {}
    for (index, name, one), (_, _, other) in zip(
        left.spec.directions(), right.spec.directions(), strict=True
    ):
        place = index, name
        forms = left.forms[place], right.forms[place]
        modes = left.spec.layers[index].reset_after, right.spec.layers[index].reset_after
        pairs_of_words = (
            *_presence(one, other),
            *_activations((one, other), forms),
            *_reset_modes(modes, forms, ungated=RESET in one.absent_gates & other.absent_gates),
        )
        texts = [
            f"{what}: {words[0]} in {left.name}, {words[1]} in {right.name}{why}"
            for what, words, why in pairs_of_words
        ]
        for text in (*texts, *_divided(one, other, forms), *_idle(forms)):
            found.setdefault(text, []).append(place)
    dtypes = left.spec.dtype.name, right.spec.dtype.name
    numbers = f"numbers: {dtypes[0]} in {left.name}, {dtypes[1]} in {right.name}; their values are compared"
    return (
        *(_where(places, len(left.forms)) + text for text, places in found.items()),
        *([numbers] if dtypes[0] != dtypes[1] else []),
        *_outputs(left, right),
    )


def _outputs(left: Side, right: Side) -> Iterator[str]:
    """What is made of the last layer's states, which are compared as they are."""
    joined = [_JOINED[side.spec.io.merge_mode] for side in (left, right)]
    if len(list(left.spec.layers[-1].directions())) > 1 and joined[0] != joined[1]:
        yield f"output, not compared: directions {joined[0]} in {left.name}, {joined[1]} in {right.name}"
    made = [side.spec.io.output_activation for side in (left, right)]
    if made[0] != made[1]:
        here, there = ("the states" if one is None else f"{one} of them" for one in made)
        yield f"output, not compared: {here} in {left.name}, {there} in {right.name}"


_Words = tuple[str, tuple[str, str], str]  # of what, what each side has, and why that is the same


def _where(places: list[Place], total: int) -> str:
    if len(places) == total:
        return "" if total == 1 else "everywhere: "
    return ", ".join(f"layer {index} {name}" for index, name in places) + ": "


def _presence(one: GRUDirection, other: GRUDirection) -> Iterator[_Words]:
    for part in ("input_bias", "recurrent_bias", "initial_state"):
        here, there = _presence_of(getattr(one, part)), _presence_of(getattr(other, part))
        given = part == "initial_state" and "none" in (here, there)
        if here != there:
            why = "; the same unless the caller gives a state" if given else ""
            yield part.replace("_", " "), (here, there), why


def _presence_of(part: Array | Gates[Array | None] | None) -> str:
    if part is None:
        return "none"
    arrays = [part] if isinstance(part, np.ndarray) else [array for _, array in part.items()]
    if not any(array is not None and (array != 0).any() for array in arrays):
        return "zeros"
    return "of the candidate alone" if any(array is None for array in arrays) else "not zero"


def _activations(
    directions: tuple[GRUDirection, GRUDirection], forms: tuple[NormalDirection, NormalDirection]
) -> Iterator[_Words]:
    for part in ("gate_activation", "candidate_activation"):
        stored = getattr(directions[0], part), getattr(directions[1], part)
        if stored[0] != stored[1] and getattr(forms[0], part) == getattr(forms[1], part):
            yield part.replace("_", " "), (str(stored[0]), str(stored[1])), "; same function"


def _reset_modes(
    modes: tuple[bool, bool], forms: tuple[NormalDirection, NormalDirection], *, ungated: bool
) -> Iterator[_Words]:
    if not ungated and modes[0] != modes[1] and forms[0].reset_modes & forms[1].reset_modes:
        here, there = ("after the product" if mode else "before the product" for mode in modes)
        yield "reset gate", (here, there), "; the same for a diagonal U_n without bias"


def _divided(
    one: GRUDirection, other: GRUDirection, forms: tuple[NormalDirection, NormalDirection]
) -> Iterator[str]:
    dtypes = one.input_weight.update.dtype, other.input_weight.update.dtype
    nothing = np.zeros(one.hidden_size, bool)
    sums = {pair.name: replace(pair, idle=nothing) for pair in pairs(*forms) if pair.name.endswith("(sum)")}
    divided = [
        gate
        for gate in GATE_NAMES
        if (pair := sums.get(f"bias.{gate} (sum)")) is not None
        and difference(pair, dtypes) is None
        and not np.array_equal(_input_bias(one, gate), _input_bias(other, gate))
    ]
    if divided:
        gates = ", ".join(divided)
        yield f"biases of {gates}: divided otherwise between input and recurrent bias; their sums are equal"


def _input_bias(direction: GRUDirection, gate: Gate) -> Array:
    bias = None if direction.input_bias is None else direction.input_bias[gate]
    return np.zeros(direction.hidden_size) if bias is None else bias.astype(np.float64)


def _idle(forms: tuple[NormalDirection, NormalDirection]) -> Iterator[str]:
    idle = forms[0].idle_reset & forms[1].idle_reset
    if RESET not in forms[0].absent_gates & forms[1].absent_gates and idle.any():
        units = f"{np.count_nonzero(idle)} of {idle.size} units"
        yield f"reset gate: multiplies zeros only in {units}; its weights there are not compared"
