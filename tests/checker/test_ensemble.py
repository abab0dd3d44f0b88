"""How far a free run may come from the equations: honest runs stay within it, wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from grubridge.checker.ensemble import FOLLOWED, MEMBERS, envelope, student
from grubridge.checker.probe import random_probe
from grubridge.live.pytorch import from_module
from grubridge.reference import equations, run
from grubridge.reference.activations import evaluate
from grubridge.reference.arithmetic import UNIT_ROUNDOFF, arithmetic_of
from grubridge.spec import Activation, Array, Direction, GRUDirection, GRULayer, GRUSpec
from grubridge.traces import Probe, Trace, valid_steps
from tests.low_precision import run_rounded
from tests.zoo import ZOO, make_spec

FLOAT32 = arithmetic_of("recorded", "float32")


def _shares(spec: GRUSpec, probe: Probe, trace: Trace, dtype: str = "float32") -> dict[Direction, Array]:
    """Error over reach of every valid step, by direction of the top layer."""
    how = arithmetic_of("recorded", dtype)
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    found: dict[Direction, Array] = {}
    for name, expected in envelope(spec, probe, how, probe.x.size).items():
        hidden = trace[len(spec.layers) - 1, name].hidden.astype(np.float64)
        found[name] = (np.abs(hidden - expected.value) / expected.reach)[valid]
    return found


def test_quantile_of_student() -> None:
    """Against the quantiles of scipy.stats.t.isf(1e-9 / outputs / 2, 16)."""
    for outputs, exact in ((1, 12.60987), (1000, 19.942934), (1_000_000, 31.045739)):
        assert exact <= student(outputs) <= 1.08 * exact
    assert MEMBERS == 16


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_honest_runs_stay_within(spec: GRUSpec) -> None:
    probe = random_probe([spec], seed=1, batch=3, steps=12)
    for seed in (0, 1, None):
        trace = run_rounded(spec, probe, spec.dtype.name, seed=seed)
        for shares in _shares(spec, probe, trace, spec.dtype.name).values():
            assert shares.max() <= 1


def test_one_direction_of_reading_does_not_hear_of_the_padding() -> None:
    spec = make_spec("both", sizes=(3, 5), directions="both", seed=3)
    probe = random_probe([spec], seed=1, batch=3, steps=9, lengths=[9, 4, 1])
    valid = valid_steps(3, 9, probe.lengths)
    for expected in envelope(spec, probe, FLOAT32, 100).values():
        assert np.isfinite(expected.reach[valid]).all()
        assert np.isinf(expected.reach[~valid]).all()
    loud = replace(probe, x=np.where(valid[..., None], probe.x, 1e3))
    for name, expected in envelope(spec, loud, FLOAT32, 100).items():
        quiet = envelope(spec, probe, FLOAT32, 100)[name]
        assert np.array_equal(quiet.value, expected.value)
        assert np.array_equal(quiet.reach, expected.reach)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_activations_that_always_err_to_one_side_stay_within(
    monkeypatch: pytest.MonkeyPatch, signs: tuple[int, int], *, positive: bool
) -> None:
    """The largest errors that are allowed for, at every step and in every unit with the same sign.

    Positive weights let them all add up.
    """
    spec = make_spec("long", sizes=(4, 32, 32), seed=6)
    if positive:
        spec = _weights(spec, lambda w: np.abs(w) / 4)
    probe = random_probe([spec], seed=2, batch=2, steps=64)
    expected = envelope(spec, probe, FLOAT32, 1000)["forward"]
    unit, (gates, candidate) = UNIT_ROUNDOFF["float32"], signs

    def err(activation: Activation, a: Array) -> Array:
        right = evaluate(activation, a)
        if activation.name == "sigmoid":
            return right + gates * FLOAT32.update_error * unit
        return right * (1 + candidate * FLOAT32.candidate_error * unit)

    monkeypatch.setattr(equations, "evaluate", err)
    off = np.abs(run(spec, probe)[1, "forward"].hidden - expected.value)

    assert off.max() > 10 * unit
    assert (off / expected.reach).max() < 0.7


def test_chaotic_runs_are_followed_for_a_while_only() -> None:
    """Two right runs come 1 apart; what is followed of them agrees."""
    spec = _weights(make_spec("chaotic", sizes=(3, 64), seed=6), lambda w: 2 * w)
    probe = random_probe([spec], seed=1, batch=2, steps=400, lengths=[400, 400])
    one, other = (run_rounded(spec, probe, seed=seed)[0, "forward"].hidden for seed in (0, 1))
    expected = envelope(spec, probe, FLOAT32, one.size)["forward"]
    followed = np.isfinite(expected.reach)

    assert np.abs(one - other).max() > 1
    assert 5 < followed[0, :, 0].sum() < 300
    assert not followed[:, -1].any()
    assert expected.reach[followed].max() < FOLLOWED
    assert (np.diff(followed.astype(int), axis=1) <= 0).all()  # never again, once lost
    for hidden in (one, other):
        assert (np.abs(hidden - expected.value) / expected.reach).max() <= 1


def test_what_is_lost_below_is_lost_above() -> None:
    wild = _weights(make_spec("wild", sizes=(3, 64), seed=6), lambda w: 1.5 * w)
    tame = make_spec("tame", sizes=(64, 4), seed=7)
    stack = replace(wild, layers=wild.layers + tame.layers)
    probe = random_probe([wild], seed=1, batch=1, steps=300)
    lower = np.isfinite(envelope(wild, probe, FLOAT32, 1000)["forward"].reach).all(axis=2)
    upper = np.isfinite(envelope(stack, probe, FLOAT32, 1000)["forward"].reach).all(axis=2)

    assert 10 < upper.sum() < 250
    assert upper.sum() <= lower.sum()


def test_pytorch_stays_within_and_one_weight_does_not(torch: ModuleType) -> None:
    torch.manual_seed(0)
    module = torch.nn.GRU(6, 32, 2, batch_first=True, bidirectional=True)
    spec = from_module(module)
    x = torch.randn(3, 40, 6)
    probe = Probe(x.numpy().astype(np.float64))
    expected = envelope(spec, probe, FLOAT32, 1000)

    def share() -> float:
        made = module(x)[0].detach().numpy()
        halves = zip(expected.values(), np.split(made, 2, axis=-1), strict=True)
        return max(float((np.abs(half - one.value) / one.reach).max()) for one, half in halves)

    assert share() < 0.2
    with torch.no_grad():
        module.weight_hh_l0[70, 3] += 1e-3
    assert share() > 5


def test_many_sequences_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec("parts", sizes=(3, 5), directions="both", seed=3)
    probe = random_probe([spec], seed=1, batch=5, steps=6)
    whole = envelope(spec, probe, FLOAT32, 100)
    monkeypatch.setattr("grubridge.checker.ensemble._NUMBERS", MEMBERS * 6 * 10 * 2)
    for name, expected in envelope(spec, probe, FLOAT32, 100).items():
        assert np.allclose(expected.value, whole[name].value, rtol=0, atol=1e-14)
        known = np.isfinite(expected.reach)
        assert np.array_equal(known, np.isfinite(whole[name].reach))
        quotient = expected.reach[known] / whole[name].reach[known]
        assert 0.2 < quotient.min() < quotient.max() < 5


def _weights(spec: GRUSpec, change: Callable[[Array], Array]) -> GRUSpec:
    def changed(direction: GRUDirection) -> GRUDirection:
        kernel, recurrent = direction.input_weight.map(change), direction.recurrent_weight.map(change)
        return replace(direction, input_weight=kernel, recurrent_weight=recurrent)

    def layer(one: GRULayer) -> GRULayer:
        made = {name: changed(direction) for name, direction in one.directions()}
        return replace(one, forward=made.get("forward"), backward=made.get("backward"))

    return replace(spec, layers=tuple(map(layer, spec.layers)))
