"""Whether two specs are one function, decided by their numbers alone: a proof for every input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grubridge.checker.structure import shapes
from grubridge.spec import RESET, UPDATE, Direction, GRUSpec
from grubridge.spec.normal import NormalDirection, normal_form
from grubridge.traces import Place

from .permutation import UnitPermutation, unit_permutation
from .remarks import Side, remarks
from .tensors import Difference, difference, pairs

__all__ = ["Proof", "TensorDifference", "prove"]


@dataclass(frozen=True)
class TensorDifference:
    """One tensor, or one setting, in which two normal forms differ.

    Args:
        layer: index of the layer.
        direction: of reading.
        tensor: e.g. "recurrent_weight.reset" [H, H], "bias.update (sum)" [H], "initial_state" [H], "reset
            mode", "update gate", "reset gate", "clip", "gate activation", "candidate activation".
        max_abs: the largest |difference| of two finite numbers; None for a setting, or where none are finite.
        unit: where that is, 0 to H - 1: the row; None for a setting.
        column: likewise; None for a setting or a vector.
        count: of numbers that differ; NaN and infinity differ from everything. 1 for a setting.
        total: of numbers in the tensor.
        detail: both values there, and what turns one side's numbers into the other's.
        rounded: whether the numbers of one side are those of the other, rounded to its dtype.
    """

    layer: int
    direction: Direction
    tensor: str
    max_abs: float | None
    unit: int | None
    column: int | None
    count: int
    total: int
    detail: str
    rounded: bool = False


@dataclass(frozen=True)
class Proof:
    """What the numbers of two specs prove.

    Args:
        equal: the two are the same function of real numbers: equal hidden states in every layer for every
            input and initial state. False is no proof of the contrary.
        same_output: the last layer's hidden states are proved equal, inner units being in another order at
            most.
        remarks: what is stored in different ways and computes the same, or is absent on one side.
        differences: of the normal forms, by layer, settings first, then the largest first.
        permutation: the orders of hidden units that explain all differences; () when there are none.
    """

    equal: bool
    same_output: bool
    remarks: tuple[str, ...]
    differences: tuple[TensorDifference, ...]
    permutation: tuple[UnitPermutation, ...]


def prove(left: GRUSpec, right: GRUSpec, sides: tuple[str, str] = ("the first", "the second")) -> Proof:
    """Compare the normal forms of two specs.

    Args:
        left: one spec.
        right: the other, of the same layers, directions and sizes.
        sides: what remarks and details call the two.

    Raises:
        ValueError: when the two have different shapes, so that no input fits both.
    """
    unlike = shapes(left, right, sides)
    if unlike is not None:
        raise ValueError(unlike)
    here, there = Side(sides[0], left, _normal_forms(left)), Side(sides[1], right, _normal_forms(right))
    found = sorted(
        (one for place in here.forms for one in _differences(place, here, there)),
        key=lambda one: (one.layer, one.max_abs is not None, -(one.max_abs or 0.0)),
    )
    only_numbers = all(one.unit is not None for one in found)
    permutation = unit_permutation(here.forms, there.forms) if found and only_numbers else ()
    last = len(left.layers) - 1
    inner = bool(permutation) and all(one.layer < last for one in permutation)
    return Proof(not found, not found or inner, remarks(here, there), tuple(found), permutation)


def _normal_forms(spec: GRUSpec) -> dict[Place, NormalDirection]:
    return {
        (index, name): normal_form(spec.layers[index], direction)
        for index, name, direction in spec.directions()
    }


def _differences(place: Place, left: Side, right: Side) -> Iterator[TensorDifference]:
    one, other = left.forms[place], right.forms[place]
    for setting, here, there in _settings(one, other):
        detail = f"{here} in {left.name}, {there} in {right.name}"
        yield TensorDifference(*place, setting, None, None, None, 1, 1, detail)
    for pair in pairs(one, other):
        found = difference(pair, (left.spec.dtype, right.spec.dtype))
        if found is not None:
            unit, column = found.index if len(found.index) == 2 else (*found.index, None)
            size = pair.left.high.size
            detail = _detail(found, size, left, right)
            rounded = found.rounded is not None
            yield TensorDifference(
                *place, pair.name, found.max_abs, unit, column, found.count, size, detail, rounded
            )


def _settings(one: NormalDirection, other: NormalDirection) -> Iterator[tuple[str, str, str]]:
    if not one.reset_modes & other.reset_modes:
        here, there = ("after" if True in modes.reset_modes else "before" for modes in (one, other))
        yield "reset mode", f"reset {here} the product", f"reset {there} the product"
    for gate in (UPDATE, RESET):
        if (gate in one.absent_gates) != (gate in other.absent_gates):
            here, there = (f"no {gate} gate" if gate in side.absent_gates else gate for side in (one, other))
            yield f"{gate} gate", here, there
    if one.clip != other.clip:
        here, there = ("no clip" if side.clip is None else f"clip {side.clip!r}" for side in (one, other))
        yield "clip", here, there
    for part in ("gate_activation", "candidate_activation"):
        activations = getattr(one, part), getattr(other, part)
        if activations[0] != activations[1]:
            yield part.replace("_", " "), str(activations[0]), str(activations[1])


def _detail(found: Difference, size: int, left: Side, right: Side) -> str:
    here, there = (f"{value:.9g}" for value in found.values)
    if here == there:
        here, there = (f"{value:.17g}" for value in found.values)
    told = [f"{here} in {left.name}, {there} in {right.name}"]
    if found.not_finite:
        told.append(f"{found.not_finite} of {size} are NaN or infinite")
    if found.rounded is not None:
        exact, rounded = (left, right) if found.rounded == "left" else (right, left)
        told.append(f"{rounded.name} has the numbers of {exact.name} rounded to {rounded.spec.dtype.name}")
    return "; ".join(told)
