"""What two specs say of themselves before anything runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grubridge.checker.structure import conventions, largest_weight_change, shapes
from grubridge.spec import Activation, Gates, GRUSpec, split_biases, sum_biases
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

    assert found is not None
    assert (found.cause, found.detail) == ("structure", detail)
    assert shapes(one, one, SIDES) is None


def test_settings_that_differ_are_named() -> None:
    one = make_spec("one", seed=1)
    relu = make_spec("two", seed=1, activations=((Activation("sigmoid"), Activation("relu")),))
    other = replace(relu, layers=(replace(relu.layers[0], reset_after=False, clip=2.5),))

    assert {cause.cause: cause.detail for cause in conventions(one, other, SIDES)} == {
        "reset mode": (
            "layer 0: reset gate applied after the recurrent product in a, "
            "reset gate applied before the recurrent product in b"
        ),
        "clip": "layer 0: None in a, 2.5 in b",
        "candidate activation": "layer 0: forward tanh in a, forward relu in b",
    }
    assert conventions(one, one, SIDES) == ()


def test_rounded_weights_are_told_with_their_largest_change() -> None:
    one = member("bidirectional")
    half = one.astype("float16")
    change = max(
        float(np.max(np.abs(wide.astype(np.float64) - narrow.astype(np.float64))))
        for (_, wide), (_, narrow) in zip(one.arrays(), half.arrays(), strict=True)
        if not _.endswith(("bias.update", "bias.reset"))
    )
    (cause,) = conventions(one, half, SIDES)

    assert cause.cause == "precision"
    assert cause.detail.startswith(
        "a stores its weights in float32, b in float16; the numbers differ by up to "
    )
    assert float(cause.detail.split()[-1]) >= change * 0.9
    assert conventions(one, one.astype("float64"), SIDES) == ()


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
