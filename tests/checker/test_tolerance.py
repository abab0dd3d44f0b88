"""The user's own tolerance, against numpy's allclose on the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grubridge.checker.findings import Side, Tolerance, Tolerated
from grubridge.checker.judge import Element
from grubridge.checker.tolerance import tolerated
from grubridge.checker.verdict import Verdict
from grubridge.errors import ProbeError
from grubridge.reference import run
from grubridge.spec import Array
from grubridge.traces import DirectionTrace, Place, Probe, Trace
from tests.zoo import make_spec

SIDES = Side("a", "pytorch"), Side("b", "onnxruntime")
SPEC = make_spec("both", sizes=(3, 4), directions="both", seed=7)
PROBE = Probe(np.random.default_rng(0).standard_normal((2, 6, 3)), lengths=np.array([6, 4]))
EXACT = run(SPEC, PROBE)


def _moved(change: Array | float) -> Trace:
    place: Place = (0, "backward")
    made = EXACT.places[place]
    return replace(EXACT, places={**EXACT.places, place: replace(made, hidden=made.hidden + change)})


def _apply(other: Trace, atol: float, rtol: float) -> Tolerated:
    return tolerated(EXACT, other, PROBE, SIDES, Tolerance(atol, rtol))


@pytest.mark.parametrize(("atol", "rtol"), [(1e-3, 0.0), (1e-5, 1e-3), (0.0, 1e-2), (2e-3, 1e-2)])
@pytest.mark.parametrize("size", [1e-6, 1e-4, 9e-4, 1.1e-3, 1e-2])
def test_it_says_what_allclose_says(atol: float, rtol: float, size: float) -> None:
    noise = size * np.random.default_rng(1).uniform(-1, 1, EXACT.places[0, "backward"].hidden.shape)
    noise[1, 4:] = 0  # past the end of the second sequence
    other = _moved(noise)
    same = all(
        np.allclose(other.places[place].hidden, EXACT.places[place].hidden, atol=atol, rtol=rtol)
        for place in EXACT.places
    )

    found = _apply(other, atol, rtol)

    assert found.verdict is (Verdict.EQUIVALENT if same else Verdict.DIFFERENT)
    assert (found.largest <= 1) is same


def test_it_says_how_many_are_beyond_it_and_which_is_furthest() -> None:
    change = np.zeros((2, 6, 4))
    change[0, 2, 3], change[1, 1, 0], change[0, 5, 1], change[1, 5, 2] = 0.002, -0.004, 0.0005, 9.0

    found = _apply(_moved(change), 1e-3, 0)

    assert (found.beyond, found.numbers) == (2, 2 * (6 + 4) * 4)
    assert found.worst is not None
    assert (found.worst.layer, found.worst.direction) == (0, "backward")
    assert found.worst.element == Element(1, 1, 0)
    assert found.worst.difference == pytest.approx(0.004)
    assert found.worst.accepted == 1e-3


def test_steps_past_the_end_do_not_count() -> None:
    change = np.zeros((2, 6, 4))
    change[1, 4:] = 5.0

    assert _apply(_moved(change), 1e-9, 0).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_different(value: float) -> None:
    assert _apply(_moved(value), 1e3, 1.0).verdict is Verdict.DIFFERENT


def test_what_is_missing_or_of_another_shape_is_inconclusive() -> None:
    forward = {place: made for place, made in EXACT.places.items() if place[1] == "forward"}
    made = EXACT.places[0, "forward"]
    cut = replace(made, hidden=made.hidden[:, :5])
    shorter: dict[Place, DirectionTrace] = {**EXACT.places, (0, "forward"): cut}

    assert _apply(replace(EXACT, places=forward), 1, 1).verdict is Verdict.INCONCLUSIVE
    assert _apply(replace(EXACT, places=shorter), 1, 1).verdict is Verdict.INCONCLUSIVE
    nothing = replace(EXACT, places={})
    assert tolerated(nothing, nothing, PROBE, SIDES, Tolerance(1, 1)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("numbers", [(-1.0, 0.0), (0.0, float("nan")), (float("inf"), 0.0)])
def test_numbers_that_are_no_tolerance_are_refused(numbers: tuple[float, float]) -> None:
    with pytest.raises(ProbeError, match="must be 0 or more, and finite"):
        Tolerance(*numbers)
