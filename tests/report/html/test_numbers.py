"""Numbers as a page writes them, and what it gives its script."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from grubridge.report.html.axes import Linear, Log, path
from grubridge.report.html.data import in_script, packed
from grubridge.report.html.numbers import figure, ratio, signed
from tests.report.html.pages import unpacked


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 3, "0"),
        (1.0, 3, "1.00"),
        (0.9985941052436829, 7, "0.9985941"),
        (-0.000123456, 3, "-0.000123"),
        (0.0000123456, 3, "1.23e-5"),
        (1.92e-7, 3, "1.92e-7"),
        (9.996e-7, 3, "1.00e-6"),
        (1234.5, 2, "1234"),
        (12345.0, 2, "1.2e4"),
        (math.inf, 3, "infinite"),
        (-math.inf, 3, "-infinite"),
        (math.nan, 3, "NaN"),
        (None, 3, "none"),
    ],
)
def test_figure(value: float | None, digits: int, text: str) -> None:
    assert figure(value, digits) == text


def test_ratios_and_differences_in_words() -> None:
    assert [ratio(value) for value in (None, 0.0, 0.25, 1.0, 1.2e7, math.inf)] == [
        "not judged",
        "exact",
        "0.25 of the bound",
        "1.0 of the bound",
        "1.2e7 times the bound",
        "infinitely above the bound",
    ]
    assert [signed(value) for value in (0.0, 0.5, -0.5)] == ["0", "+0.5000", "-0.5000"]


def test_a_logarithmic_scale_holds_everything_it_was_made_for() -> None:
    scale = Log.around([3e-8, 0.0, 2.0, math.inf])

    assert (scale.first, scale.last) == (-8, 1)
    assert [scale.at(value) for value in (0.0, 1e-8, 10.0, math.inf, math.nan)] == [0, 0, 100, 100, 100]
    assert scale.at(10**-3.5) == pytest.approx(50)
    assert [mark.text for mark in scale.decades()] == ["1e-8", "1e-6", "1e-4", "0.01", "1"]
    assert Log.around([]) == Log(-1, 0)


@pytest.mark.parametrize(
    ("last", "marks"),
    [(0, ["0"]), (3, ["0", "1", "2", "3"]), (23, ["0", "10", "23"]), (9999, ["0", "5000", "9999"])],
)
def test_steps_are_marked_at_whole_numbers_both_ends_among_them(last: int, marks: list[str]) -> None:
    assert [mark.text for mark in Linear(0, last).steps()] == marks


def test_paths_grow_upwards() -> None:
    assert path([(0, 0), (50, 100), (100, 12.5)]) == "M0 100 50 0 100 87.5"
    assert path([]) == ""


def test_nothing_ends_the_script_that_holds_data() -> None:
    hostile = {"</script><script>": "<!-- & \u2028\u2029 -->", "é": 1.5, "##[error]": "##["}
    text = in_script(hostile)

    assert not set("<>&\u2028\u2029").intersection(text)
    assert text.isascii()
    assert "##[" not in text
    assert json.loads(text) == hostile


@pytest.mark.parametrize("kind", ["float64", "float32", "int64"])
def test_packed_numbers_are_the_same_bits(kind: str) -> None:
    numbers = np.array([[0.0, 1.5, -2.25], [1e-7, 3.3, 70000.0]]).astype(kind)
    if kind == "int64":
        numbers = np.abs(numbers)

    np.testing.assert_array_equal(unpacked(packed(numbers)), numbers.ravel())


def test_small_indices_take_two_bytes() -> None:
    assert packed(np.array([0, 65535]))["type"] == "u2"
    assert packed(np.array([0, 65536]))["type"] == "u4"
