"""What a GRU that shows its activations tells of them: errors that were put in are found, in their units."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType

import ml_dtypes
import numpy as np
import pytest

from grubridge.checker.calibration.activation_errors import Measured, largest_error, measure
from grubridge.checker.calibration.activation_taps import (
    arguments,
    is_approximated,
    tapped_probe,
    tapped_spec,
)
from grubridge.reference.arithmetic import UNIT_ROUNDOFF
from grubridge.spec import SIGMOID, TANH, Activation, Array, Gates
from grubridge.traces import DirectionTrace, GateSource

DTYPES = ("float32", "float16", "bfloat16", "float64")
Function = Callable[[Array], Array]


def _sigmoid(a: Array) -> Array:
    e = np.exp(-np.abs(a))
    value: Array = np.where(a >= 0, 1, e) / (1 + e)
    return value


def _off_by(units: float, dtype: str = "float32") -> Function:
    """A sigmoid with an error; it still is 0 far on the left, where the calibration shuts a gate."""
    return lambda a: _sigmoid(a) + np.where(np.abs(a) < 50, units * UNIT_ROUNDOFF[dtype], 0)


def _hard(a: Array) -> Array:
    return np.clip(0.2 * a + 0.5, 0, 1)


def _kernel(
    update: Function,
    reset: Function,
    candidate: Function,
    dtype: str = "float32",
    *,
    reset_after: bool = True,
    gates: tuple[Gates[Function], GateSource] | None = None,
    named: tuple[Activation, Activation] = (SIGMOID, TANH),
) -> DirectionTrace:
    """One step of the calibration, each function rounded once, by a runtime with these functions."""
    kind = np.dtype(dtype if dtype != "bfloat16" else ml_dtypes.bfloat16)

    def rounded(a: Array) -> Array:
        with np.errstate(over="ignore"):
            return a.astype(kind).astype(np.float64)

    probe = tapped_probe(dtype)
    x, h = probe.x[:, 0], probe.initial_state[0, "forward"]
    (layer,) = tapped_spec(*named, reset_after=reset_after, dtype=dtype).layers
    assert layer.forward is not None
    assert layer.forward.input_bias is not None
    w, u = (
        weight.map(lambda m: m.astype(np.float64).T)
        for weight in (layer.forward.input_weight, layer.forward.recurrent_weight)
    )
    b = layer.forward.input_bias.map(lambda v: v.astype(np.float64))
    z_of, r_of, n_of = x @ w.update + h @ u.update + b.update, x @ w.reset + b.reset, x @ w.candidate
    with np.errstate(all="ignore"):
        z, r = rounded(update(z_of)), rounded(reset(r_of))
        recurrent = rounded(r * (h @ u.candidate)) if reset_after else rounded(r * h) @ u.candidate
        n_of = n_of + b.candidate + recurrent
        n = rounded(candidate(n_of))
        hidden = rounded(rounded(z * h) + rounded((1 - z) * n))
        told: Gates[Array] | None = None
        source: GateSource = "replayed"
        if gates is not None:
            functions, source = gates
            told = Gates(
                rounded(functions.update(z_of))[:, None],
                rounded(functions.reset(r_of))[:, None],
                rounded(functions.candidate(n_of))[:, None],
            )
    return DirectionTrace(x[:, None], h, hidden[:, None], told, source)


def _found(made: DirectionTrace, dtype: str = "float32") -> tuple[float, float, float]:
    measured = measure(made, SIGMOID, TANH, dtype)
    assert measured.remarks == ()
    assert measured.errors is not None
    return measured.errors.update / 1.25, measured.errors.reset / 1.25, measured.errors.candidate / 1.25


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_right_functions_rounded_once_err_by_one(dtype: str, reset_after: bool) -> None:  # noqa: FBT001
    found = _found(_kernel(_sigmoid, _sigmoid, np.tanh, dtype, reset_after=reset_after), dtype)

    assert all(1 <= error <= 1.1 for error in found)


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_errors_put_in_are_found(dtype: str, reset_after: bool) -> None:  # noqa: FBT001
    """Rounding adds 1 unit of what is near 1, the line that shows r at most another."""
    u = UNIT_ROUNDOFF[dtype]
    made = _kernel(
        _off_by(6, dtype),
        lambda a: _sigmoid(a) - 9 * u * np.sin(a) ** 2,
        lambda a: np.tanh(a) * (1 + np.where(np.abs(a) > 1e-2, 4 * u, 0)),
        dtype,
        reset_after=reset_after,
    )
    update, reset, candidate = _found(made, dtype)

    assert 5.9 <= update <= 7.1
    assert 8.9 <= reset <= 11.1
    assert 3.9 <= candidate <= 5.1


def test_error_in_a_single_unit_is_found() -> None:
    """The last unit of a vector may be computed in another way than the others."""
    made = _kernel(_sigmoid, _sigmoid, np.tanh)
    made.hidden[:, 0, 36] += 7 * 2.0**-24  # the last unit that shows z
    update, reset, candidate = _found(made)

    assert 6.5 <= update <= 8.1
    assert max(reset, candidate) <= 1.1


def test_replayed_gates_count_and_observed_ones_do_not() -> None:
    worse = Gates[Function](_off_by(5), _off_by(3), lambda a: np.tanh(a) * (1 + 8 * 2.0**-24))
    found = {
        source: _found(_kernel(_sigmoid, _sigmoid, np.tanh, gates=(worse, source)))
        for source in ("replayed", "observed")
    }
    np.testing.assert_allclose(found["replayed"], (5.5, 3.5, 8.5), atol=0.6)
    assert max(found["observed"]) <= 1.1


@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_sigmoid_is_not_calibrated_into_a_sigmoid(dtype: str) -> None:
    """They are 0.0759 apart at 2.5, which is 20 units of bfloat16."""
    measured = measure(_kernel(_hard, _hard, np.tanh, dtype), SIGMOID, TANH, dtype)

    assert measured.errors is None
    assert len(measured.remarks) == 2
    for kind, remark in zip(("update", "reset"), measured.remarks, strict=True):
        said = re.fullmatch(
            rf"{kind} gate: sigmoid is off by (\S+) at (\S+); it behaves like hard_sigmoid\(0.2, 0.5\)",
            remark,
        )
        assert said is not None, remark
        assert float(said[1]) == pytest.approx(0.0759, rel=0.01)
        assert abs(float(said[2])) == pytest.approx(2.5, abs=0.03)


def test_function_that_is_no_known_one_is_not_calibrated() -> None:
    made = _kernel(_sigmoid, _sigmoid, lambda a: np.where(a > 50, np.nan, np.tanh(a)))
    measured = measure(made, SIGMOID, TANH, "float32")

    assert measured.errors is None
    (remark,) = measured.remarks
    assert remark.startswith("candidate gate: tanh is off by nan at ")


@pytest.mark.parametrize("dtype", DTYPES)
def test_largest_error_is_a_limit(dtype: str) -> None:
    limit = largest_error(dtype)
    below, above = (
        measure(_kernel(_off_by(-error, dtype), _sigmoid, np.tanh, dtype), SIGMOID, TANH, dtype)
        for error in (limit - 1.5, limit + 1.5)
    )
    assert below.errors is not None
    assert below.errors.update > 1.25 * (limit - 2.1)
    assert above.errors is None


def _float32(name: str) -> Function:
    functions: dict[str, Function] = {
        "sigmoid": _sigmoid,
        "tanh": np.tanh,
        "elu": lambda a: np.where(a >= 0, a, 0.7 * np.expm1(np.minimum(a, 0))),
        "softplus": lambda a: np.logaddexp(0, a),
        "scaled_tanh": lambda a: 1.7 * np.tanh(0.6 * a),
    }
    return functions[name]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("candidate", ["sigmoid", "tanh", "elu", "softplus", "scaled_tanh"])
@pytest.mark.parametrize("gate", ["sigmoid", "tanh", "elu", "softplus", "scaled_tanh"])
def test_every_pair_of_functions_can_be_shown(gate: str, candidate: str, dtype: str) -> None:
    parameters: dict[str, tuple[float, ...]] = {"elu": (0.7,), "scaled_tanh": (1.7, 0.6)}
    named = Activation(gate, *parameters.get(gate, ())), Activation(candidate, *parameters.get(candidate, ()))
    functions = _float32(gate), _float32(gate), _float32(candidate)
    measured = measure(_kernel(*functions, dtype, named=named), *named, dtype)

    assert measured.remarks == ()
    assert measured.errors is not None
    assert measured.errors.update <= 1.25 * 2
    assert measured.errors.candidate <= 1.25 * 2
    # where the candidate is no line near 0, nothing is seen of r
    generic = 5.0 if dtype in {"float32", "float64"} else 2.5
    assert measured.errors.reset <= (1.25 * 2 if candidate == "tanh" else max(1.25 * 2, generic))


def test_only_functions_that_a_machine_approximates_need_a_constant() -> None:
    approximated = (
        SIGMOID, TANH, Activation("elu", 0.3), Activation("softplus"), Activation("scaled_tanh", 1.0, 2.0)
    )  # fmt: skip
    exact = (
        Activation("relu"), Activation("softsign"), Activation("hard_sigmoid", 0.2, 0.5),
        Activation("leaky_relu", 0.1), Activation("affine", 2.0, 1.0), Activation("thresholded_relu", 1.0),
    )  # fmt: skip
    assert all(is_approximated(function) for function in approximated)
    assert not any(is_approximated(function) for function in exact)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arguments_are_of_all_magnitudes_in_every_unit(dtype: str) -> None:
    a = arguments(dtype)

    assert a.size >= 66_000
    assert np.array_equal(a, a.astype(dtype).astype(np.float64))
    assert {0.0, 20.0, -20.0, 100.0, -100.0} <= set(a.ravel().tolist())
    for unit in range(a.shape[1]):
        octaves = np.floor(np.log2(np.abs(a[:, unit][a[:, unit] != 0])))
        for sign in (1, -1):
            own = octaves[np.sign(a[:, unit][a[:, unit] != 0]) == sign]
            assert set(range(-14, 8)) <= set(own.astype(int).tolist())


@pytest.mark.parametrize(("dtype", "values"), [("float16", 63_488), ("bfloat16", 65_280)])
def test_arguments_of_sixteen_bits_are_all_there_are(dtype: str, values: int) -> None:
    a = arguments(dtype)
    zero_is_there_twice = 1

    assert len(np.unique(a)) == values - zero_is_there_twice


def test_states_of_another_shape_tell_nothing() -> None:
    made = _kernel(_sigmoid, _sigmoid, np.tanh)
    short = DirectionTrace(made.x, made.initial_state, made.hidden[:, :, :5], None, "replayed")

    assert measure(short, SIGMOID, TANH, "float32") == Measured(
        None, ("it returned hidden states of the shape [5100, 1, 5]",)
    )


def test_pytorch_s_own_functions_are_what_is_measured(torch: ModuleType) -> None:
    """Its sigmoid and its tanh by themselves err as much as those of a GRU that is made of them."""
    a = arguments("float32")
    tensor = torch.from_numpy(a).float()
    sigmoid = np.abs(torch.sigmoid(tensor).double().numpy() - _sigmoid(a)).max() * 2.0**24
    gru = torch.nn.GRU(13, 39, batch_first=True)
    layer = tapped_spec(SIGMOID, TANH, reset_after=True, dtype="float32").layers[0].forward
    assert layer is not None
    assert layer.input_bias is not None
    w, u, b = layer.input_weight, layer.recurrent_weight, layer.input_bias
    with torch.no_grad():
        for parameter, gates in ((gru.weight_ih_l0, w), (gru.weight_hh_l0, u), (gru.bias_ih_l0, b)):
            parameter.copy_(torch.from_numpy(np.concatenate([gates.reset, gates.update, gates.candidate])))
        gru.bias_hh_l0.zero_()
        probe = tapped_probe("float32")
        start = probe.initial_state[0, "forward"]
        hidden = gru(torch.from_numpy(probe.x).float(), torch.from_numpy(start).float()[None])[0].numpy()
    update, reset, candidate = _found(DirectionTrace(probe.x, start, hidden, None, "replayed"))

    assert update == pytest.approx(sigmoid, abs=0.02)
    assert reset == pytest.approx(sigmoid, abs=0.1)
    assert 1 <= candidate <= 1.6
