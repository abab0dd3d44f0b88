"""What is not finite: never a pass, whatever it does to values and bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grubridge.checker.probe import random_probe
from grubridge.checker.verdict import Verdict
from grubridge.reference import run
from grubridge.spec import SIGMOID, Activation, Gates, GRUDirection
from grubridge.traces import Probe
from tests.checker.holding import FORWARD, changed_at, held, inputs_for, verdict_of
from tests.low_precision import run_rounded
from tests.zoo import make_spec, member, with_number


def test_nan_for_a_finite_value_is_different() -> None:
    spec = member("reset_after")
    probe = random_probe([spec], seed=3, batch=2, steps=8, lengths=[8, 6])
    trace = run_rounded(spec, probe)
    hidden = trace.places[FORWARD].hidden.copy()
    hidden[0, 3:] = np.nan
    hidden[1, 4, 2] = np.inf
    (found, *_) = held(spec, changed_at(trace, FORWARD, hidden=hidden), probe)

    assert found.verdict is Verdict.DIFFERENT
    assert found.max_abs == np.inf
    assert found.first_bad_time == 3


def test_nan_among_the_weights_is_inconclusive() -> None:
    spec = member("reset_after")
    direction = next(spec.directions())[2]
    update = direction.input_weight.update.copy()
    update[2, 1] = np.nan
    broken = replace(direction, input_weight=replace(direction.input_weight, update=update))
    spec = replace(spec, layers=(replace(spec.layers[0], forward=broken),))
    probe = inputs_for(spec)
    found = held(spec, run_rounded(spec, probe), probe)

    assert verdict_of(found) is Verdict.INCONCLUSIVE
    assert "follow from NaN or infinity" in found[0].reason


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e38])
@pytest.mark.parametrize("kind", ["reset_after", "reset_before"])
def test_a_weight_beyond_all_bounds_never_passes_for_another(kind: str, number: float) -> None:
    """An infinite weight makes rounding bounds infinite, below which everything would be."""
    good = member(kind)
    probe = random_probe([good], seed=3, batch=2, steps=8)
    honest = run_rounded(good, probe)
    for name, array in good.arrays():
        spoiled = with_number(good, name, (1,) * array.ndim, number)
        with np.errstate(all="ignore"):
            its_own = run_rounded(spoiled, probe)
        for equations, trace in ((spoiled, honest), (good, its_own)):
            assert verdict_of(held(equations, trace, probe)) is not Verdict.EQUIVALENT, name
        assert verdict_of(held(spoiled, its_own, probe)) is not Verdict.DIFFERENT, name


@pytest.mark.parametrize("kind", ["reset_after", "reset_before"])
@pytest.mark.parametrize("gate", ["update", "reset"])
@pytest.mark.parametrize("number", [np.inf, -np.inf])
def test_a_gate_that_is_forced_by_an_infinite_bias_is_judged(kind: str, gate: str, number: float) -> None:
    good = member(kind)
    probe = inputs_for(good)
    forced = with_number(good, f"layer 0 forward input_bias.{gate}", (1,), number)

    assert verdict_of(held(forced, run_rounded(forced, probe), probe)) is Verdict.EQUIVALENT
    assert verdict_of(held(forced, run_rounded(good, probe), probe)) is Verdict.DIFFERENT
    assert verdict_of(held(good, run_rounded(forced, probe), probe)) is Verdict.DIFFERENT


def test_overflow_of_an_honest_run_is_inconclusive() -> None:
    """A candidate without a limit: the exact value of the last step does not fit into float16."""
    shut = Activation("affine", 0.0, 0.0)  # z = 0: h' is the candidate
    spec = make_spec(
        "steep", dtype="float16", sizes=(2, 1), activations=((shut, Activation("relu")),), seed=7
    )
    weight = next(spec.directions())[2].input_weight.candidate.astype(np.float64)
    x = np.zeros((1, 3, 2))
    x[0, 2] = 60_000 * np.sign(weight) / np.abs(weight).sum()
    probe = Probe(x)
    hidden = run(spec, probe).places[FORWARD].hidden.copy()
    assert hidden[0, 2, 0] == pytest.approx(60_000, rel=1e-3)
    hidden[0, 2] = np.inf
    trace = replace(changed_at(run(spec, probe), FORWARD, hidden=hidden, gates=None), dtype="float16")
    (found,) = held(spec, trace, probe)

    assert found.verdict is Verdict.INCONCLUSIVE
    assert "1 values follow from NaN or infinity, or overflow by themselves" in found.reason


def test_nothing_that_can_be_judged_is_inconclusive() -> None:
    """Every pre-activation lies on the jump of the activation."""
    spec = make_spec(
        "jump", sizes=(2, 1), activations=((SIGMOID, Activation("thresholded_relu", 0.25)),), seed=7
    )
    direction = next(spec.directions())[2]
    zeros = direction.input_weight.map(np.zeros_like), direction.recurrent_weight.map(np.zeros_like)
    quarter = np.full(1, 0.25, np.float32)
    flat = GRUDirection(
        *zeros, Gates(quarter, quarter, quarter), candidate_activation=direction.candidate_activation
    )
    spec = replace(spec, layers=(replace(spec.layers[0], forward=flat),))
    probe = inputs_for(spec)
    found = {c.quantity: c for c in held(spec, run_rounded(spec, probe), probe)}

    assert found["update"].verdict is Verdict.EQUIVALENT
    assert found["hidden"].verdict is Verdict.INCONCLUSIVE
    assert found["hidden"].reason == "layer 0 forward hidden: no value could be judged"
    assert found["hidden"].max_abs is None
