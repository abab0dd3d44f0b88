"""What two specs say of themselves before anything runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grubridge.checker.structure import largest_weight_change, shapes
from grubridge.spec import Gates, GRUSpec, split_biases, sum_biases
from tests.zoo import make_spec, member

SIDES = ("a", "b")


@pytest.mark.parametrize(
    ("left", "right", "detail"),
    [
        ({}, {"sizes": (5, 7, 7)}, "a has 1 layer, b has 2 layers"),
        ({}, {"sizes": (5, 8)}, "layer 0 of a is 5 -> 7 forward; of b, 5 -> 8 forward"),
        ({}, {"directions": "both"}, "layer 0 of a is 5 -> 7 forward; of b, 5 -> 7 forward and backward"),
        ({"directions": "backward"}, {}, "layer 0 of a is 5 -> 7 backward; of b, 5 -> 7 forward"),
    ],
)
def test_other_shapes_are_named(left: dict[str, object], right: dict[str, object], detail: str) -> None:
    one, other = make_spec("one", **left), make_spec("other", **right)  # type: ignore[arg-type]
    found = shapes(one, other, SIDES)

    assert found == detail
    assert shapes(one, one, SIDES) is None


@pytest.mark.parametrize(
    "name", ["no_bias", "input_bias_only", "candidate_recurrent_bias", "reset_before_split_bias"]
)
def test_other_kinds_of_the_same_biases_are_no_change(name: str) -> None:
    spec = member(name)
    assert largest_weight_change(spec, _split(spec)) == 0
    if not spec.layers[0].reset_after:
        layer, _ = sum_biases(spec.layers[0])
        assert 0 <= largest_weight_change(spec, replace(spec, layers=(layer,))) < 1e-7


def test_one_changed_number_is_seen() -> None:
    spec = member("reset_after")
    direction = next(spec.directions())[2]
    bias = direction.recurrent_bias
    assert bias is not None
    assert bias.candidate is not None
    moved = replace(
        direction, recurrent_bias=Gates(bias.update, bias.reset, bias.candidate + np.float32(0.5))
    )
    other = replace(spec, layers=(replace(spec.layers[0], forward=moved),))

    assert largest_weight_change(spec, other) == pytest.approx(0.5, abs=1e-6)


def _split(spec: GRUSpec) -> GRUSpec:
    layer, _ = split_biases(spec.layers[0])
    return replace(spec, layers=(layer,))
