"""The mistakes that are looked for, axis by axis, and what becomes of a whole spec in which one was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np

from grubridge.errors import UnsupportedFeatureError
from grubridge.spec import (
    CANDIDATE,
    GATE_NAMES,
    RESET,
    SIGMOID,
    TANH,
    UPDATE,
    Activation,
    Array,
    Direction,
    Gate,
    Gates,
    GRUDirection,
    GRUSpec,
    hard_sigmoid,
)

from .edits import SPEC_AXES, Axis, Edit, Hypothesis, Site, edited, parse_order

__all__ = ["alternatives", "apply", "site"]


def site(spec: GRUSpec, index: int, name: Direction) -> Site:
    """Return layer `index`, direction `name` of `spec`; it must be there."""
    layer = spec.layers[index]
    found = dict(layer.directions())
    halves = index > 0 and len(list(spec.layers[index - 1].directions())) == 2
    return Site(found[name], layer, found.get("backward" if name == "forward" else "forward"), halves)


def apply(hypothesis: Hypothesis, spec: GRUSpec) -> GRUSpec:
    """Return `spec` with the mistakes of `hypothesis` made in every layer and direction.

    Raises:
        UnsupportedFeatureError: when a mistake is none of the spec (precision, or data other than a learned
            initial state), or z is to be flipped and its activation has no such symmetry.
        InvalidSpecError: when an array has not the shape to be transposed, in some layer.
        ValueError: likewise, to be halved; or there is no other direction to exchange weights with.
    """
    learned = all(direction.initial_state is not None for _, _, direction in spec.directions())
    stateless = learned and any(edit.axis == "initial_state" for edit in hypothesis)
    sayable = {*SPEC_AXES, "initial_state"} if learned else {*SPEC_AXES}
    rest = [f"no spec says that {edit.phrase}" for edit in hypothesis if edit.axis not in sayable]
    if rest:
        raise UnsupportedFeatureError("; ".join(rest), rest)
    layers = []
    for index, layer in enumerate(spec.layers):
        sites = {name: edited(site(spec, index, name), hypothesis) for name, _ in layer.directions()}
        made = {name: at.direction for name, at in sites.items()}
        if stateless:
            made = {name: replace(direction, initial_state=None) for name, direction in made.items()}
        settings = next(iter(sites.values())).layer
        layers.append(replace(settings, forward=made.get("forward"), backward=made.get("backward")))
    return replace(spec, layers=tuple(layers))


def alternatives(at: Site) -> Iterator[tuple[Edit, ...]]:
    """Yield what can have gone wrong with weights and equations at `at`: a tuple for every axis.

    What changes no number and no setting, not even of the other direction's weights, is left out.
    """
    layer, direction = at.layer, at.direction
    square = direction.input_size == direction.hidden_size
    excluded = {"reshaped" if square else "transposed", "" if at.halves else "halves_exchanged"}
    sites = [at] if at.opposite is None else [at, edited(at, (_OPPOSITE,))]
    absent = direction.absent_gates
    kernels = [edit for edit in _KERNELS if edit.value not in excluded]
    for candidates in (
        (_OPPOSITE,) if at.opposite is not None else (),
        _whole_or_by_gate(kernels, absent),
        _whole_or_by_gate(_RECURRENT_KERNELS, absent),
        _BIASES,
        [edit for edit in _ORDERS if all(_stays(gate, edit) for gate in absent)],
        [edit for edit in _ABSENT if edit.value not in absent],
        (_RESET_BEFORE if layer.reset_after else _RESET_AFTER,),
        _activations("gate_activation", at, _GATE_ACTIVATIONS),
        _activations("candidate_activation", at, _CANDIDATE_ACTIVATIONS),
        (_TAKES,) if direction.gate_activation.complements and UPDATE not in absent else (),
        (_UNCLIPPED,) if layer.clip is not None else (),
    ):
        found = tuple(edit for edit in candidates if any(_does_something(one, edit) for one in sites))
        if found:
            yield _distinct_biases(sites, found) if found[0].axis == "biases" else found


def _whole_or_by_gate(edits: Sequence[Edit], absent: frozenset[Gate]) -> list[Edit]:
    """Return `edits` without those that rearrange a fused kernel, where not all gates are in it."""
    return [edit for edit in edits if not absent or "s_reshaped_" not in edit.value]


def _stays(gate: Gate, order: Edit) -> bool:
    return parse_order(order.value)[1][GATE_NAMES.index(gate)] == gate


def _distinct_biases(sites: Sequence[Site], edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Return `edits` without those that come to the same: of one bias alone, to drop it is to drop both."""
    kept: dict[Edit, list[GRUDirection]] = {}
    for edit in edits:
        made = [edited(at, (edit,)).direction for at in sites]
        if not any(all(map(_same_biases, made, others)) for others in kept.values()):
            kept[edit] = made
    return tuple(kept)


def _orders() -> Iterator[Edit]:
    whose = {
        "all": "gates",
        "weights": "gates of the weights, not of the biases,",
        "biases": "gates of the biases alone",
        "kernel": "gates of the kernel alone",
        "recurrent_kernel": "gates of the recurrent kernel alone",
    }
    for target, gates in whose.items():
        for order in permutations(GATE_NAMES):
            moved = [name for gate, name in zip(order, GATE_NAMES, strict=True) if gate != name]
            phrase = f"the {gates} stand in the order {', '.join(order)} instead of {', '.join(GATE_NAMES)}"
            if len(moved) == 2:
                phrase = f"the {moved[0]} and {moved[1]} {gates} are exchanged"
            if moved:
                prefix = "" if target == "all" else f"{target}:"
                yield Edit("gate_order", prefix + ",".join(order), phrase)


_ORDERS = tuple(_orders())
_ARRANGED = {
    "transposed": "is transposed, gate by gate",
    "reshaped": "is reshaped, gate by gate, where it should be transposed",
    "rows_reshaped_zrn": "is reshaped from [3H, {k}] to [{k}, 3H], not transposed",
    "rows_reshaped_rzn": "is reshaped from [3H, {k}] (reset gate first) to [{k}, 3H], not transposed",
    "columns_reshaped_zrn": "is reshaped from [{k}, 3H] to [3H, {k}], not transposed",
    "columns_reshaped_rzn": "is reshaped from [{k}, 3H] (reset gate first) to [3H, {k}], not transposed",
}
_KERNELS = (
    *(Edit("kernel", value, f"the kernel {how.format(k='I')}") for value, how in _ARRANGED.items()),
    Edit(
        "kernel",
        "halves_exchanged",
        "the layer takes the two directions below it in the order backward, forward",
    ),
)
_RECURRENT_KERNELS = tuple(
    Edit("recurrent_kernel", value, f"the recurrent kernel {how.format(k='H')}")
    for value, how in _ARRANGED.items()
    if value != "reshaped"  # of a square array that is its transpose
)
_BIASES = (
    Edit("biases", "summed", "the input and recurrent biases are summed into one"),
    Edit("biases", "recurrent_dropped", "the recurrent bias is dropped"),
    Edit("biases", "candidate_recurrent_dropped", "the candidate's recurrent bias is dropped"),
    Edit("biases", "dropped", "the biases are dropped"),
    Edit("biases", "input_dropped", "the input bias is dropped"),
    Edit("biases", "exchanged", "the input and recurrent biases are exchanged"),
)
_OPPOSITE = Edit(
    "directions", "exchanged", "the weights of the forward and backward directions are exchanged"
)
_RESET_BEFORE = Edit(
    "reset_after",
    "false",
    "the reset gate is applied before the recurrent product, not after it (Keras reset_after, "
    "ONNX linear_before_reset)",
)
_RESET_AFTER = Edit(
    "reset_after",
    "true",
    "the reset gate is applied after the recurrent product, not before it (Keras reset_after, "
    "ONNX linear_before_reset)",
)
_ABSENT = (
    Edit("absent_gate", RESET, "the reset gate is left out, as if r were 1"),
    Edit("absent_gate", UPDATE, "the update gate is left out: the new state is the candidate"),
)
_TAKES = Edit("update_gate", "takes", "the update gate takes the candidate where it should keep the state")
_UNCLIPPED = Edit("clip", "none", "the pre-activations are not clipped")
_GATE_ACTIVATIONS = (SIGMOID, hard_sigmoid(0.2), hard_sigmoid(1 / 6), TANH)
_CANDIDATE_ACTIVATIONS = (
    TANH,
    SIGMOID,
    Activation("relu"),
    Activation("affine", 1.0, 0.0),
    Activation("softsign"),
    Activation("scaled_tanh", 1.7159, 2 / 3),
)


def _activations(axis: Axis, at: Site, known: Sequence[Activation]) -> Iterator[Edit]:
    def of(direction: GRUDirection) -> Activation:
        found: Activation = getattr(direction, axis)
        return found

    own = of(at.direction)
    there = () if at.opposite is None else (of(at.opposite),)
    for other in dict.fromkeys((*known, own, *there)):
        parameters = [value for value in (other.alpha, other.beta) if value is not None]
        value = ":".join([other.name, *map(repr, parameters)])
        phrase = f"the {axis.replace('_', ' ')} is {other}"
        yield Edit(axis, value, phrase if other == own else f"{phrase}, not {own}")


def _does_something(at: Site, edit: Edit) -> bool:
    """Whether the edit fits the shapes and changes a number or a setting."""
    try:
        after = edited(at, (edit,))
    except ValueError:  # transposed or cut where it is not square or even
        return False
    if (after.layer.reset_after, after.layer.clip) != (at.layer.reset_after, at.layer.clip):
        return True
    one, other = at.direction, after.direction
    here, there = ([side.activation(gate) for gate in GATE_NAMES] for side in (one, other))
    if here != there:
        return True
    parts = ("input_weight", "recurrent_weight", "input_bias", "recurrent_bias")
    return any(not _alike(getattr(one, part), getattr(other, part)) for part in parts)


def _same_biases(one: GRUDirection, other: GRUDirection) -> bool:
    same_input = _alike(one.input_bias, other.input_bias)
    return same_input and _alike(one.recurrent_bias, other.recurrent_bias)


def _alike(one: Gates[Array | None] | None, other: Gates[Array | None] | None) -> bool:
    """Whether two arrays are the same numbers; an absent bias is zeros."""
    zero = np.zeros(())
    for gate in (UPDATE, RESET, CANDIDATE):
        here, there = (gates and gates[gate] for gates in (one, other))
        a, b = (zero if array is None else array for array in (here, there))
        if not np.all(a == b):
            return False
    return True
