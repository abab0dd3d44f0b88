"""What two specs say of themselves before anything runs."""

from __future__ import annotations

import pytest

from grubridge.checker.structure import shapes
from tests.zoo import make_spec

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
