"""The filter against runs whose one wrong weight is known, and against runs that have none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from grubridge.checker.probe import designed_probe
from grubridge.diagnosis.matched_filter import Filtered, MatchedFilter
from grubridge.reference import Cell, cell, one_step, run
from grubridge.reference.arithmetic import Arithmetic, arithmetic_of
from grubridge.reference.inputs import Steps, steps_of
from grubridge.spec import SIGMOID, TANH, Activation, Array, GRUSpec, hard_sigmoid
from grubridge.traces import Place, Probe, Trace
from tests.faults import Fault, with_fault
from tests.low_precision import run_rounded
from tests.zoo import make_spec

HERE: Place = (0, "forward")
HOW = arithmetic_of("numpy", "float32")
AFTER = {
    *((gate, part) for gate in ("update", "reset") for part in ("bias", "input_weight", "recurrent_weight")),
    *(("candidate", part) for part in ("input_bias", "recurrent_bias", "input_weight", "recurrent_weight")),
}
BEFORE = {
    (gate, part)
    for gate in ("update", "reset", "candidate")
    for part in ("bias", "input_weight", "recurrent_weight")
}
PAIRS = (
    (SIGMOID, TANH),
    (hard_sigmoid(0.2), TANH),
    (Activation("hard_sigmoid", -0.3, 0.4), Activation("leaky_relu", -0.4)),
    (SIGMOID, Activation("elu", -0.8)),
    (Activation("softsign"), Activation("softsign")),
    (SIGMOID, Activation("softplus")),
    (SIGMOID, Activation("scaled_tanh", -1.3, 0.6)),
    (Activation("affine", 0.3, 0.4), Activation("relu")),
)


def _filter(
    spec: GRUSpec, trace: Trace, probe: Probe, how: Arithmetic = HOW
) -> dict[tuple[str, str], Filtered]:
    steps = steps_of(spec, trace, probe, HERE)
    assert steps is not None
    return {(part.gate, part.part): part for part in MatchedFilter(_cell(spec), steps, how).parts()}


def _cell(spec: GRUSpec) -> Cell:
    direction = spec.layers[0].forward
    assert direction is not None
    return cell(spec.layers[0], direction)


def _largest(parts: Mapping[Any, Filtered]) -> float:
    return max(float(part.score.max()) for part in parts.values())


def _strongest(parts: dict[tuple[str, str], Filtered]) -> tuple[str, str, int, int]:
    gate, part = max(parts, key=lambda key: float(parts[key].deviations.max()))
    deviations = parts[gate, part].deviations
    unit, column = np.unravel_index(int(deviations.argmax()), deviations.shape)
    return gate, part, int(unit), int(column)


def _faults(parts: dict[tuple[str, str], Filtered], times: float) -> Iterator[Fault]:
    """One of every gate and part, `times` what is said to be detectable."""
    rng = np.random.default_rng(0)
    for (gate, part), answer in parts.items():
        unit, column = (int(rng.integers(size)) for size in answer.score.shape)
        change = times * float(answer.detectable[unit, column])
        yield Fault(gate, part, unit, column if part.endswith("weight") else None, change)


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("hidden_size", [2, 16])
def test_no_false_alarm(hidden_size: int, dtype: str, reset_after: bool) -> None:  # noqa: FBT001
    for seed in range(3):
        spec = make_spec(
            "any", sizes=(5, hidden_size), reset_after=reset_after, dtype=dtype, seed=hidden_size + seed
        )
        probe = designed_probe([spec], seed)
        parts = _filter(spec, run_rounded(spec, probe, dtype, seed), probe, arithmetic_of("numpy", dtype))

        assert set(parts) == (AFTER if reset_after else BEFORE)
        assert 0.01 < _largest(parts) < 0.8


@pytest.mark.parametrize("clip", [None, 0.9])
@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("activations", PAIRS, ids=str)
def test_a_change_is_seen_where_it_is_and_as_large_as_it_is(
    activations: tuple[Activation, Activation],
    reset_after: bool,  # noqa: FBT001
    clip: float | None,
) -> None:
    spec = make_spec(
        "any", sizes=(4, 6), reset_after=reset_after, clip=clip, activations=(activations,), seed=5
    )
    probe = designed_probe([spec], 0)
    honest = _filter(spec, run_rounded(spec, probe), probe)
    assert _largest(honest) < 0.8
    for fault in _faults(honest, times=10):
        wrong, put = with_fault(spec, HERE, fault)
        found = _filter(spec, run_rounded(wrong, probe), probe)

        assert _strongest(found) == (put.gate, put.part, put.unit, put.column or 0)
        change = found[put.gate, put.part].change[put.unit, put.column or 0]
        assert change == pytest.approx(put.change, rel=0.12)


@pytest.mark.parametrize("reset_after", [True, False])
def test_what_is_said_to_be_detectable_is_where_detection_sets_in(reset_after: bool) -> None:  # noqa: FBT001
    """Of float64 runs, whose changes are not rounded: none at half of it, all at one and a half."""
    spec = make_spec("any", sizes=(4, 6), reset_after=reset_after, dtype="float64", seed=6)
    probe = designed_probe([spec], 1)
    noise = run_rounded(spec, probe).places[HERE].hidden - run(spec, probe).places[HERE].hidden
    seen = {
        times: [
            _largest(_filter(spec, _plus(run(with_fault(spec, HERE, fault)[0], probe), noise), probe)) > 1
            for fault in _faults(_filter(spec, run(spec, probe), probe), times)
        ]
        for times in (0.5, 1.5)
    }

    assert not any(seen[0.5])
    assert all(seen[1.5])


def _plus(trace: Trace, noise: Array) -> Trace:
    there = trace.places[HERE]
    return replace(trace, places={HERE: replace(there, hidden=there.hidden + noise)})


@pytest.mark.parametrize("reset_after", [True, False])
def test_an_activation_that_is_off_the_same_way_everywhere_is_no_weight(reset_after: bool) -> None:  # noqa: FBT001
    """Where weights are all but zero the arguments are the biases: a bias that is off looks alike."""
    numbers = _scaled(_cell(make_spec("any", sizes=(4, 6), reset_after=reset_after, seed=7)), 1e-4)
    found = _largest(_off(numbers, update=np.ones_like, candidate=np.ones_like))

    assert 0.3 < found <= 1


@pytest.mark.parametrize(("hidden_size", "factor"), [(6, 8.0), (64, 30.0)])
def test_reset_gate_that_is_off_the_same_way_is_no_weight(hidden_size: int, factor: float) -> None:
    """Before the product, the reset gate of one unit, whose arguments are all alike, reaches all units."""
    numbers = _cell(make_spec("any", sizes=(4, hidden_size), reset_after=False, seed=7))
    numbers = _scaled(numbers, math.sqrt(6 / hidden_size))
    w, u = numbers.input_weight, numbers.recurrent_weight
    first = np.arange(hidden_size) == 0
    idle = np.where(first, 1e-4, 1.0)[:, None]
    numbers = replace(
        numbers,
        input_weight=replace(w, reset=w.reset * idle),
        recurrent_weight=replace(u, reset=u.reset * idle, candidate=u.candidate * np.where(first, factor, 1)),
    )

    assert 0.05 < _largest(_off(numbers, reset=lambda r: first * np.ones_like(r))) < 0.6


def test_saturated_activations_that_are_off_are_no_weights() -> None:
    """Some tanh exceed 1 by several units where they saturate, wherever that is."""
    numbers = _scaled(_cell(make_spec("any", sizes=(4, 6), seed=7)), 8.0)

    assert _largest(_off(numbers, candidate=lambda n: np.abs(n) > 0.996)) < 0.8


def _scaled(numbers: Cell, factor: float) -> Cell:
    return replace(
        numbers,
        input_weight=numbers.input_weight.map(lambda w: w * factor),
        recurrent_weight=numbers.recurrent_weight.map(lambda w: w * factor),
    )


Where = Callable[[Array], Array]


def _off(
    numbers: Cell,
    update: Where = np.zeros_like,
    reset: Where = np.zeros_like,
    candidate: Where = np.zeros_like,
) -> dict[tuple[str, str], Filtered]:
    """Filter exact steps but for gates that are off, there, by all that the arithmetic allows for."""
    rng = np.random.default_rng(0)
    x, h = rng.standard_normal((2048, 4)), rng.uniform(-1, 1, (2048, len(numbers.input_bias.update)))
    gates, _ = one_step(numbers, x, h)
    z = gates.update + HOW.update_error * HOW.unit * update(gates.update)
    r = gates.reset + HOW.reset_error * HOW.unit * reset(gates.reset)
    u, c = numbers.recurrent_weight.candidate, numbers.recurrent_bias.candidate
    recurrent = r * (h @ u.T + c) if numbers.layer.reset_after else (r * h) @ u.T + c
    n = np.tanh(x @ numbers.input_weight.candidate.T + numbers.input_bias.candidate + recurrent)
    n = n * (1 + HOW.candidate_error * HOW.unit * candidate(n))
    steps = Steps(x, h, z * h + (1 - z) * n)
    return {(part.gate, part.part): part for part in MatchedFilter(numbers, steps, HOW).parts()}


def test_weights_that_nothing_depends_on_cannot_be_seen() -> None:
    """An input that is always 0, and a unit whose update gate is 1 whatever comes."""
    spec = make_spec("any", sizes=(4, 6), seed=8)
    wrong, _ = with_fault(spec, HERE, Fault("update", "input_bias", 2, None, 200.0))
    probe = designed_probe([spec], 0)
    x = probe.x.copy()
    x[:, :, 3] = 0
    probe = replace(probe, x=x)
    parts = _filter(wrong, run_rounded(wrong, probe), probe)

    unseen = parts["update", "input_weight"].detectable
    assert np.isinf(unseen[:, 3]).all()
    assert np.isfinite(np.delete(unseen[:, :3], 2, axis=0)).all()
    for part in parts.values():
        assert np.isinf(part.detectable[2]).all()
        assert (part.score[2] == 0).all()
        assert (part.change[2] == 0).all()


def test_zeros_that_stay_zeros_do_not_blind_the_filter() -> None:
    """A state of 0 has no rounding at all in a model without weights: such a row weighs beyond float32."""
    spec = make_spec("any", sizes=(4, 6), seed=8)
    layer = spec.layers[0]
    assert layer.forward is not None
    parts = {
        name: getattr(layer.forward, name).map(np.zeros_like)
        for name in ("input_weight", "recurrent_weight", "input_bias", "recurrent_bias")
    }
    zero = replace(spec, layers=(replace(layer, forward=replace(layer.forward, **parts)),))
    probe = designed_probe([zero], 0)
    seen = _filter(zero, run_rounded(zero, probe), probe)
    assert all(np.isfinite(part.score).all() for part in seen.values())
    assert all((part.detectable > 0).all() for part in seen.values())

    change = float(3 * seen["candidate", "input_weight"].detectable[2, 1])
    wrong, _ = with_fault(zero, HERE, Fault("candidate", "input_weight", 2, 1, change))
    assert _strongest(_filter(zero, run_rounded(wrong, probe), probe)) == ("candidate", "input_weight", 2, 1)


def test_a_unit_of_huge_weights_does_not_hide_another() -> None:
    spec = make_spec("any", sizes=(4, 6), seed=8, reset_after=False)
    huge, _ = with_fault(spec, HERE, Fault("candidate", "recurrent_weight", 1, 2, 1e25))
    probe = designed_probe([huge], 0)
    seen = _filter(huge, run_rounded(huge, probe), probe)
    assert all(np.isfinite(part.score).all() for part in seen.values())
    assert np.isinf(seen["reset", "bias"].detectable[2]).all()

    change = float(3 * seen["reset", "bias"].detectable[4, 0])
    wrong, _ = with_fault(huge, HERE, Fault("reset", "input_bias", 4, None, change))
    found = _filter(huge, run_rounded(wrong, probe), probe)
    assert _strongest(found) == ("reset", "bias", 4, 0)
    assert _largest(found) > 1


def test_rows_that_are_not_finite_are_left_out() -> None:
    spec = make_spec("any", sizes=(4, 6), seed=9)
    probe = designed_probe([spec], 0)
    trace = run_rounded(spec, probe)
    trace.places[HERE].hidden[:5] = np.nan
    parts = _filter(spec, trace, probe)

    assert 0.01 < _largest(parts) < 0.8
    assert all(np.isfinite(part.detectable).all() for part in parts.values())
