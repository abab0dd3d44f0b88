"""The bounds against real roundings: never exceeded by an honest runtime, and not far above what it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from grubridge.reference import cell, one_step
from grubridge.reference.arithmetic import UNIT_ROUNDOFF, ActivationErrors, Arithmetic, arithmetic_of
from grubridge.reference.rounding import Interval, Quantity, deviations, one_step_bounds
from grubridge.spec import (
    CANDIDATE,
    RESET,
    UPDATE,
    Activation,
    Array,
    Gates,
    GRUDirection,
    GRULayer,
    GRUSpec,
    split,
)
from grubridge.traces import Probe, Trace, previous_state
from tests.low_precision import run_rounded
from tests.zoo import ZOO, make_spec

SIGMOID = Activation("sigmoid")
MEASURED_PYTORCH = ActivationErrors(1.9, 1.9, 1.25)
ACTIVATIONS = (
    Activation("affine", 0.7, 0.1),
    Activation("elu", 0.8),
    Activation("hard_sigmoid", 0.3, 0.4),
    Activation("leaky_relu", 0.05),
    Activation("relu"),
    Activation("scaled_tanh", 1.3, 0.6),
    Activation("sigmoid"),
    Activation("softplus"),
    Activation("softsign"),
    Activation("tanh"),
    Activation("thresholded_relu", 0.3),
)


def _probe(spec: GRUSpec, dtype: str, *, batch: int = 3, steps: int = 16, scale: float = 1.0) -> Probe:
    rng = np.random.default_rng(5)
    narrow = "float32" if dtype == "float64" else dtype
    one = spec.astype(narrow)  # numpy_dtype by way of the spec
    x = (scale * rng.standard_normal((batch, steps, spec.input_size))).astype(one.dtype).astype(np.float64)
    states = {
        (index, name): rng.uniform(-1, 1, (batch, d.hidden_size)).astype(one.dtype).astype(np.float64)
        for index, name, d in spec.directions()
    }
    return Probe(x, states)


def _judged(
    spec: GRUSpec, trace: Trace, how: Arithmetic, *, in_order: bool = False
) -> Iterator[tuple[Quantity, Array, Interval]]:
    """Yield (quantity, |error| [N, H], bounds) of every direction and quantity."""
    for index, name, direction in spec.directions():
        seen = trace.places[index, name]
        hidden = seen.hidden.astype(np.float64)
        rows = hidden.shape[0] * hidden.shape[1]
        previous = previous_state(name, hidden, seen.initial_state, None)
        bounds = one_step_bounds(
            cell(spec.layers[index], direction),
            seen.x.astype(np.float64).reshape(rows, -1),
            previous.reshape(rows, -1),
            how,
            deviations=deviations(rows, direction.hidden_size),
            in_order=in_order,
        )
        assert seen.gates is not None
        received: dict[Quantity, Array] = {"hidden": hidden, **dict(seen.gates.items())}
        for quantity, values in received.items():
            error = np.abs(values.astype(np.float64).reshape(rows, -1) - bounds[quantity].value)
            yield quantity, error, bounds[quantity]


def _ratios(spec: GRUSpec, trace: Trace, how: Arithmetic) -> dict[str, float]:
    """Largest error over bound of every quantity, statistical and worst."""
    found: dict[str, float] = {}
    for quantity, error, interval in _judged(spec, trace, how):
        for kind, bound in (("statistical", interval.statistical), ("worst", interval.worst)):
            key = f"{quantity} {kind}"
            found[key] = max(found.get(key, 0), float(np.max(np.where(error > 0, error / bound, 0))))
    return found


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_no_false_alarm_in_any_order_of_summation(spec: GRUSpec, dtype: str) -> None:
    spec = spec.astype(dtype)
    for seed in range(4):
        trace = run_rounded(spec, _probe(spec, dtype), dtype, seed)
        ratios = _ratios(spec, trace, arithmetic_of("numpy", dtype))
        assert max(ratios.values()) <= 1, (seed, ratios)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("candidate", ACTIVATIONS, ids=str)
def test_no_false_alarm_with_any_activation(candidate: Activation, reset_after: bool, dtype: str) -> None:  # noqa: FBT001
    for gate in (SIGMOID, Activation("hard_sigmoid", 0.2, 0.5), Activation("softsign")):
        spec = make_spec(
            "any", activations=((gate, candidate),), reset_after=reset_after, dtype=dtype, seed=3
        )
        trace = run_rounded(spec, _probe(spec, dtype, steps=6), dtype)
        ratios = _ratios(spec, trace, arithmetic_of("numpy", dtype))
        assert max(ratios.values()) <= 1, (str(gate), ratios)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("hidden_size", [1, 8, 64])
def test_no_false_alarm_at_any_size(hidden_size: int, scale: float) -> None:
    spec = make_spec("any", sizes=(20, hidden_size), seed=hidden_size)
    for seed in range(4):
        trace = run_rounded(spec, _probe(spec, "float32", scale=scale), "float32", seed)
        assert max(_ratios(spec, trace, arithmetic_of("numpy", "float32")).values()) <= 1


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_bound_is_within_ten_times_of_the_largest_error(dtype: str, reset_after: bool) -> None:  # noqa: FBT001
    spec = make_spec("any", sizes=(20, 64), reset_after=reset_after, seed=8).astype(dtype)
    how = arithmetic_of("numpy", dtype)
    trace = run_rounded(spec, _probe(spec, dtype), dtype)

    for quantity, error, interval in _judged(spec, trace, how):
        assert np.median(interval.statistical) <= 10 * np.max(error), quantity


def test_float64_run_is_judged_within_its_own_rounding() -> None:
    """The reference rounds in float64 too, so a float64 runtime needs twice the room."""
    how = arithmetic_of("numpy", "float64")
    for spec in (
        make_spec("after", dtype="float64", seed=1),
        make_spec("before", dtype="float64", reset_after=False),
    ):
        trace = run_rounded(spec, _probe(spec, "float64"), "float64")
        ratios = _ratios(spec, trace, how)
        assert max(ratios.values()) <= 1
        assert ratios["hidden statistical"] > 0.02
        single = run_rounded(spec, _probe(spec, "float64"), "float32")
        assert _ratios(spec, single, how)["hidden worst"] > 1e4


@pytest.mark.parametrize(("biases", "scale"), [("split", 1.0), ("none", 0.0)])  # the latter decays to nothing
def test_state_kept_wider_than_the_output_needs_the_rounding_of_the_output(biases: str, scale: float) -> None:
    """ONNX Runtime runs float16 models in float32 and rounds what it returns."""
    spec = make_spec("any", dtype="float16", biases=biases, sizes=(5, 8), seed=2)
    inside = run_rounded(spec, _probe(spec, "float16", steps=40, scale=scale), "float32")
    seen = inside.places[0, "forward"]
    assert seen.gates is not None
    rounded = replace(
        seen, hidden=seen.hidden.astype(np.float16), gates=seen.gates.map(lambda g: g.astype(np.float16))
    )
    trace = replace(inside, dtype="float16", places={(0, "forward"): rounded})
    wide = arithmetic_of("onnxruntime", "float16")

    assert max(_ratios(spec, trace, wide).values()) <= 1
    narrow = replace(wide, output=0.0, output_underflow=0.0)
    assert _ratios(spec, trace, narrow)["hidden worst"] > 10


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sums_in_float32_are_still_rounded_once(dtype: str) -> None:
    spec = make_spec("any", sizes=(20, 64), seed=8).astype(dtype)
    trace = run_rounded(spec, _probe(spec, dtype, scale=10), dtype, accumulator="float32")
    how = replace(arithmetic_of("numpy", dtype), accumulator=2.0**-24)

    assert max(_ratios(spec, trace, how).values()) <= 1
    exact_products = replace(how, unit=2.0**-24, underflow=0.0)
    assert _ratios(spec, trace, exact_products)["update statistical"] > 100


def test_bound_of_float64_holds_the_rounding_of_the_reference_as_well() -> None:
    """A thousand times the unit is half a thousand times the bound: the reference has its share of it."""
    spec = make_spec("any", sizes=(5, 7), dtype="float64", seed=1)
    x, previous = np.ones((1, 5)), np.zeros((1, 7))
    numbers = cell(spec.layers[0], next(spec.directions())[2])
    fine = arithmetic_of("numpy", "float64")
    coarse = replace(fine, unit=fine.unit * 1024, accumulator=fine.accumulator * 1024)
    bounds = [
        one_step_bounds(numbers, x, previous, how, deviations=7.0)["hidden"].statistical
        for how in (fine, coarse)
    ]

    np.testing.assert_allclose(bounds[1] / bounds[0], 512, rtol=2e-3)


def test_beyond_the_clip_only_the_clip_is_rounded() -> None:
    spec = make_spec("any", clip=0.75, seed=14)
    x, previous = np.full((1, 5), 1e6), np.zeros((1, 7))
    bounds = one_step_bounds(
        cell(spec.layers[0], next(spec.directions())[2]),
        x,
        previous,
        arithmetic_of("numpy", "float32"),
        deviations=7.0,
    )

    assert np.max(bounds["update"].statistical) < 10 * 2.0**-24
    assert np.max(bounds["update"].worst) < 10 * 2.0**-24


def test_terms_that_climb_and_cancel_need_the_natural_order() -> None:
    """Partial sums that reach 100 times the total round far more than in a random order."""
    terms = 512
    spec = make_spec("any", sizes=(terms, 4), seed=4)
    rng = np.random.default_rng(0)
    sign = np.where(np.arange(terms) < terms // 2, 1.0, -1.0)

    def climbing(weight: Array) -> Array:
        return (sign * (0.2 + 0.02 * rng.random(weight.shape))).astype(np.float32)

    layer = spec.layers[0]
    assert layer.forward is not None
    direction = replace(layer.forward, input_weight=layer.forward.input_weight.map(climbing))
    x = (1 + 0.1 * rng.standard_normal((200, terms))).astype(np.float32)
    weight = direction.input_weight.update
    bias = (direction.input_bias or direction.input_weight).update.astype(np.float32)
    previous = np.zeros((200, 4))
    how = arithmetic_of("numpy", "float32")
    made = [
        one_step_bounds(
            cell(layer, direction),
            x.astype(np.float64),
            previous,
            how,
            deviations=deviations(200, 4),
            in_order=ordered,
        )["update"]
        for ordered in (False, True)
    ]
    first = np.broadcast_to(bias, (200, 4))[..., None]
    sums = np.add.accumulate(np.concatenate([first, x[:, None] * weight], axis=-1), axis=-1, dtype=np.float32)
    recurrent = (layer.forward.recurrent_bias or layer.forward.recurrent_weight).update
    assert recurrent is not None
    z = 1 / (1 + np.exp(-(sums[..., -1] + recurrent)))
    error = np.abs(z - made[0].value)

    assert np.max(error / made[0].statistical) > 1
    assert np.max(error / made[1].statistical) <= 1
    assert np.max(error / made[1].worst) <= 1


def test_no_judgement_at_a_jump() -> None:
    """At the threshold of thresholded_relu the last bit decides between 0.3 and 0."""
    jump = Activation("thresholded_relu", 0.3)
    spec = make_spec("any", biases="none", sizes=(1, 1), activations=((SIGMOID, jump),), seed=6)
    layer, direction = spec.layers[0], next(spec.directions())[2]
    weight = float(direction.input_weight.candidate[0, 0])
    x = np.array([[0.3 / weight], [1.0 / weight], [0.1 / weight]])
    bounds = one_step_bounds(
        cell(layer, direction), x, np.zeros((3, 1)), arithmetic_of("numpy", "float32"), deviations=7.0
    )

    assert np.isinf(bounds["hidden"].statistical[:, 0]).tolist() == [True, False, False]
    assert np.isinf(bounds["candidate"].worst[:, 0]).tolist() == [True, False, False]


def test_values_are_the_equations() -> None:
    for spec in ZOO:
        probe = _probe(spec, "bfloat16", batch=2, steps=3)
        _, name, direction = next(spec.directions())
        numbers = cell(spec.layers[0], direction)
        x, previous = probe.x.reshape(6, -1), np.tile(probe.initial_state[0, name], (3, 1))
        bounds = one_step_bounds(numbers, x, previous, arithmetic_of("numpy", "float32"), deviations=7.0)
        gates, hidden = one_step(numbers, x, previous)
        assert np.array_equal(bounds["hidden"].value, hidden)
        assert all(np.array_equal(bounds[gate].value, value) for gate, value in gates.items())


def test_rounded_factors_of_products_widen_the_bound_to_tf32() -> None:
    """A run with inputs of matrix products rounded to TF32 fits its own arithmetic and no other."""
    spec = make_spec("any", sizes=(20, 16), seed=9)
    probe = _probe(spec, "float32")

    def tf32(a: Array) -> Array:
        bits = a.astype(np.float32).view(np.int32)
        return ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(np.float32).astype(np.float64)

    direction = next(spec.directions())[2]
    rounded = replace(
        direction,
        input_weight=direction.input_weight.map(lambda w: tf32(w).astype(np.float32)),
        recurrent_weight=direction.recurrent_weight.map(lambda w: tf32(w).astype(np.float32)),
    )
    x = probe.x.reshape(-1, 20)
    previous = np.tile(probe.initial_state[0, "forward"], (16, 1))
    gates, _ = one_step(cell(spec.layers[0], rounded), tf32(x), tf32(previous))
    plain = arithmetic_of("pytorch", "float32")
    numbers = cell(spec.layers[0], direction)
    for how, fits in ((plain, False), (replace(plain, product_input=2.0**-11), True)):
        bounds = one_step_bounds(numbers, x, previous, how, deviations=deviations(len(x), 16))["update"]
        assert bool((np.abs(gates.update - bounds.value) <= bounds.statistical).all()) is fits


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("hidden_size", [1, 16, 200])
def test_pytorch_stays_within_the_bounds(torch: ModuleType, hidden_size: int, dtype: str) -> None:
    torch.manual_seed(hidden_size)
    kind = getattr(torch, dtype)
    layer = torch.nn.GRU(12, hidden_size, batch_first=True, dtype=kind)
    x = torch.randn(3, 20, 12).to(kind)
    start = (torch.rand(1, 3, hidden_size) * 2 - 1).to(kind)
    with torch.no_grad():
        hidden = layer(x, start)[0].double().numpy()

    def gates(name: str) -> Gates[Array]:
        return split(getattr(layer, name).detach().double().numpy(), (RESET, UPDATE, CANDIDATE), 0)

    biases = gates("bias_hh_l0")
    direction = GRUDirection(
        gates("weight_ih_l0"),
        gates("weight_hh_l0"),
        gates("bias_ih_l0"),
        Gates(biases.update, biases.reset, biases.candidate),
    )
    previous = np.concatenate([start[0].double().numpy()[:, None], hidden[:, :-1]], axis=1)
    bounds = one_step_bounds(
        cell(GRULayer(direction, None, reset_after=True), direction),
        x.double().numpy().reshape(60, 12),
        previous.reshape(60, hidden_size),
        arithmetic_of("pytorch", dtype, errors=MEASURED_PYTORCH if dtype == "float32" else None),
        deviations=deviations(60, hidden_size),
    )["hidden"]
    error = np.abs(hidden.reshape(60, hidden_size) - bounds.value)

    assert np.max(error / bounds.statistical) <= 1
    assert np.max(error / bounds.worst) <= 1
    room = (
        10 if dtype != "float64" else 30
    )  # unmeasured activations, and the rounding of the reference itself
    assert np.median(bounds.statistical) <= room * np.max(error)


def test_units_are_those_of_the_formats() -> None:
    for name, unit in UNIT_ROUNDOFF.items():
        dtype = make_spec("any", dtype=name).dtype
        one = np.ones((), dtype)
        assert one + dtype.type(2 * unit) > one
        assert one + dtype.type(unit) == one  # a tie, which goes to even
