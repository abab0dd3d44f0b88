"""Cells without an update or a reset gate: what they compute, what is refused, and a bias in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from grubridge.errors import InvalidSpecError, UnsupportedFeatureError
from grubridge.reference import run
from grubridge.spec import (
    CANDIDATE,
    ONE,
    RESET,
    SIGMOID,
    TANH,
    UPDATE,
    ZERO,
    Activation,
    Capabilities,
    Gate,
    GRUDirection,
    GRUSpec,
    hard_sigmoid,
    saturated,
    unsupported,
)
from grubridge.spec.normal import normal_form
from grubridge.traces import Probe
from tests.zoo import make_spec


def _lacking(*gates: Gate, **how: object) -> GRUSpec:
    spec = make_spec("cell", **how)  # type: ignore[arg-type]
    direction = _forward(spec)
    for gate in gates:
        direction = direction.without(gate)
    return replace(spec, layers=(replace(spec.layers[0], forward=direction),))


def _forward(spec: GRUSpec) -> GRUDirection:
    direction = spec.layers[0].forward
    assert direction is not None
    return direction


def _probe(spec: GRUSpec) -> Probe:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 6, spec.input_size))
    return Probe(x, {(0, "forward"): rng.uniform(-1, 1, (2, spec.layers[0].hidden_size))})


def _by_hand(spec: GRUSpec, probe: Probe, absent: Sequence[Gate]) -> np.ndarray:
    """The equations as a textbook has them for the ablated cells, written out."""
    d, after = _forward(spec), spec.layers[0].reset_after
    assert d.input_bias is not None
    w, u, b = d.input_weight, d.recurrent_weight, d.input_bias

    def sigmoid(a: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-a)))

    h, made = probe.initial_state[0, "forward"], []
    for t in range(probe.steps):
        x = probe.x[:, t]
        recurrent = h @ u.candidate.T
        if RESET not in absent:
            r = sigmoid(x @ w.reset.T + h @ u.reset.T + b.reset)
            recurrent = r * recurrent if after else (r * h) @ u.candidate.T
        n = np.tanh(x @ w.candidate.T + recurrent + b.candidate)
        if UPDATE in absent:
            h = n
        else:
            z = sigmoid(x @ w.update.T + h @ u.update.T + b.update)
            h = z * h + (1 - z) * n
        made.append(h)
    return np.stack(made, 1)


@pytest.mark.parametrize("absent", [(UPDATE,), (RESET,), (UPDATE, RESET)], ids="+".join)
@pytest.mark.parametrize("reset_after", [True, False], ids=["after", "before"])
def test_the_equations_leave_the_gate_out(absent: tuple[Gate, ...], *, reset_after: bool) -> None:
    how = {"reset_after": reset_after, "biases": "input", "dtype": "float64"}
    full, spec = make_spec("cell", **how), _lacking(*absent, **how)  # type: ignore[arg-type]
    probe = _probe(spec)

    made = run(spec, probe)[0, "forward"]

    np.testing.assert_allclose(made.hidden, _by_hand(full, probe, absent), rtol=0, atol=1e-15)
    assert made.gates is not None
    for gate, value in ((UPDATE, 0.0), (RESET, 1.0)):
        assert (made.gates[gate] == value).all() == (gate in absent)


def test_an_absent_gate_has_no_arrays_and_a_constant_for_its_function() -> None:
    d = _forward(_lacking(UPDATE))

    assert [name for name, _ in d.arrays() if name.endswith(UPDATE)] == []
    assert len(list(d.arrays())) == 8
    assert [d.activation(gate) for gate in (UPDATE, RESET, CANDIDATE)] == [ZERO, SIGMOID, TANH]
    assert _forward(_lacking(RESET)).activation(RESET) == ONE
    assert d.astype(np.dtype("float64")).absent_gates == {UPDATE}


def test_what_stands_in_the_place_of_an_absent_gate_must_be_zeros() -> None:
    d = _forward(make_spec("cell"))

    with pytest.raises(InvalidSpecError, match=r"input_weight\.reset must be zeros, for that gate is absent"):
        replace(d, absent_gates=frozenset({RESET}))
    with pytest.raises(InvalidSpecError, match=r"only the update and .* received \['candidate'\]"):
        replace(d, absent_gates=frozenset({CANDIDATE}))


def test_an_absent_update_gate_cannot_be_flipped() -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"under affine\(0, 0\)"):
        _forward(_lacking(UPDATE)).complement_update()


def test_without_a_reset_gate_either_reset_mode_is_the_other() -> None:
    spec = _lacking(RESET, dtype="float64")
    layer = spec.layers[0]
    before = replace(spec, layers=(replace(layer, reset_after=False),))

    after_form, before_form = (normal_form(one.layers[0], _forward(one)) for one in (spec, before))

    assert after_form.reset_modes == before_form.reset_modes == {True, False}
    assert after_form.absent_gates == {RESET}
    assert not after_form.reset_bias.high.any()
    np.testing.assert_array_equal(after_form.bias.candidate.high, before_form.bias.candidate.high)
    probe = _probe(spec)
    np.testing.assert_allclose(
        run(spec, probe)[0, "forward"].hidden, run(before, probe)[0, "forward"].hidden, rtol=0, atol=1e-15
    )


def test_a_format_of_full_grus_refuses_and_says_what_to_do() -> None:
    (reason,) = unsupported(_lacking(UPDATE, RESET), Capabilities(), "PyTorch")

    assert reason == (
        "it has no reset and no update gate, and PyTorch knows full GRUs only; a bias can hold the gate: ask "
        "for that with --saturate"
    )
    assert unsupported(_lacking(UPDATE), Capabilities(absent_gates=True), "a layout") == ()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("biases", ["none", "input", "split", "candidate"])
def test_a_held_gate_is_the_absent_one_to_less_than_any_runtime_computes(dtype: str, biases: str) -> None:
    spec = _lacking(UPDATE, RESET, dtype=dtype, biases=biases)
    probe = _probe(spec)

    held, notes = saturated(spec)

    assert _forward(held).absent_gates == frozenset()
    one, other = (run(each, probe)[0, "forward"] for each in (spec, held))
    np.testing.assert_allclose(one.hidden, other.hidden, rtol=0, atol=1e-15)
    assert other.gates is not None
    assert 0 < other.gates.update.max() < 4e-44
    assert (other.gates.reset == 1).all()
    least = f"exactly 0 in {dtype} in PyTorch, Keras and ONNX Runtime"
    assert notes == (
        "the source has no reset gate: a bias of 100 holds it, so that r is exactly 1 in every runtime",
        "the source has no update gate: a bias of -100 holds it, so that z is "
        + ("3.7e-44 instead of 0" if dtype == "float64" else least),
    )


def test_a_hard_sigmoid_is_held_exactly() -> None:
    spec = _lacking(UPDATE, activations=((hard_sigmoid(0.2), TANH),))

    held, notes = saturated(spec)

    made = run(held, _probe(spec))[0, "forward"]
    assert made.gates is not None
    assert (made.gates.update == 0).all()
    assert notes[0].endswith("so that z is exactly 0 in float32 in PyTorch, Keras and ONNX Runtime")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"activations": ((TANH, TANH),)}, "no bias brings the update gate to 0 under tanh"),
        ({"clip": 2.0}, "clipped to 2, the update gate stays 0.12 from 0"),
        (
            {"activations": ((Activation("hard_sigmoid", 0.001, 0.5), TANH),)},
            "with a bias of -100, the update gate stays 0.4 from 0",
        ),
    ],
    ids=["tanh", "clip", "flat"],
)
def test_a_gate_that_cannot_be_held_is_refused(how: dict[str, object], reason: str) -> None:
    with pytest.raises(UnsupportedFeatureError) as refusal:
        saturated(_lacking(UPDATE, **how))

    assert list(refusal.value.features) == [reason]


def test_a_full_gru_has_nothing_to_saturate() -> None:
    with pytest.raises(UnsupportedFeatureError, match="the GRU has both gates; leave --saturate out"):
        saturated(make_spec("cell"))
