"""Probes aimed at a known difference of two models: what saturates for ordinary inputs shows there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grubridge.checker.aim import aimed
from grubridge.checker.probe import designed_probe
from grubridge.checker.verdict import Verdict
from grubridge.spec import SIGMOID, Activation, GRUSpec
from tests.checker.holding import held, verdict_of
from tests.low_precision import run_rounded
from tests.zoo import ZOO, make_spec, member, with_number

PLACE = (2, 1)


def _times(spec: GRUSpec, factor: float) -> GRUSpec:
    for name, array in spec.arrays():
        for place in np.ndindex(array.shape):
            spec = with_number(spec, name, place, float(array[place]) * factor)
    return spec


def _saturated(kind: str) -> tuple[GRUSpec, GRUSpec]:
    """Weights a hundred times as large, one of them off by a hundredth."""
    one = _times(member(kind), 100)
    name = "layer 0 forward recurrent_weight.candidate"
    weight = float(dict(one.arrays())[name][PLACE])
    return one, with_number(one, name, PLACE, 1.01 * weight)


def _clipped() -> tuple[GRUSpec, GRUSpec]:
    """A clip that ordinary inputs do not reach."""
    one = make_spec("open", sizes=(5, 7), activations=((SIGMOID, Activation("relu")),), seed=3)
    return one, replace(one, layers=(replace(one.layers[0], clip=50.0),))


PAIRS = {
    "saturated, reset after": _saturated("reset_after"),
    "saturated, reset before": _saturated("reset_before"),
    "clip": _clipped(),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_models_that_differ_for_few_inputs_are_told_apart(pair: str) -> None:
    one, other = PAIRS[pair]
    plain = designed_probe([one, other], 0)
    probe = aimed(plain, [one, other], 0)

    assert probe.x.shape == plain.x.shape
    assert verdict_of(held(one, run_rounded(other, probe), probe)) is Verdict.DIFFERENT
    assert verdict_of(held(one, run_rounded(one, probe), probe)) is Verdict.EQUIVALENT


def test_the_aim_is_needed() -> None:
    one, other = PAIRS["clip"]
    plain = designed_probe([one, other], 0)

    assert verdict_of(held(one, run_rounded(other, plain), plain)) is Verdict.EQUIVALENT


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_rows_are_exact_and_as_many_as_before(spec: GRUSpec) -> None:
    name, array = next(spec.arrays())
    other = with_number(spec, name, (1,) * array.ndim, 0.75)
    plain = designed_probe([spec, other, spec, other], 0)
    probe = aimed(plain, [spec, other, spec, other], 0)
    kept = np.all(probe.x == plain.x, axis=(1, 2))

    assert probe.x.shape == plain.x.shape
    assert 0.7 < kept.mean() < 0.8
    assert probe.initial_state.keys() == plain.initial_state.keys()
    for numbers in (probe.x, *probe.initial_state.values()):
        assert len(numbers) == plain.batch
        assert np.array_equal(numbers, numbers.astype(spec.dtype).astype(np.float64))


def test_many_models_leave_most_rows_to_all_weights() -> None:
    spec = member("reset_after")
    name, array = next(spec.arrays())
    others = [with_number(spec, name, (1,) * array.ndim, number / 100) for number in range(100)]
    plain = replace(designed_probe([spec], 0), x=np.ones((32, 1, spec.input_size)), initial_state={})
    probe = aimed(plain, [spec, *others], 0)

    assert probe.batch == plain.batch
    assert np.array_equal(probe.x[:24], plain.x[:24])


def test_what_is_proved_equal_sets_no_aim() -> None:
    spec = member("reset_after")
    plain = designed_probe([spec, spec], 0)

    assert aimed(plain, [spec, spec], 0) is plain
    assert aimed(plain, [spec], 0) is plain


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_no_trouble(number: float) -> None:
    spec = member("reset_after")
    name, array = next(spec.arrays())
    other = with_number(spec, name, (1,) * array.ndim, number)
    probe = aimed(designed_probe([spec, other], 0), [spec, other], 0)

    assert np.isfinite(probe.x).all()
