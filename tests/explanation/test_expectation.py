"""Where expected values come from: mistakes made by the frameworks themselves, or worked out here by hand."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge import ReadHints
from grubridge.explanation.expectation import Expectation, expected_number
from grubridge.spec import Array

RNG = np.random.default_rng(3)
WEIGHTS = {
    "kernel": RNG.uniform(-1, 1, (2, 6)),
    "recurrent_kernel": RNG.uniform(-1, 1, (2, 6)),
    "bias": RNG.uniform(-1, 1, (2, 6)),
}
X = RNG.standard_normal((4, 2))


def _found(value: float, digits: int = 8, **options: Any) -> Expectation:
    text = f"{value:.{digits}f}"
    (found,) = grubridge.explain(WEIGHTS, options.pop("x", X), expect=[text], **options).expectations
    return found


def _mistakes(found: Expectation) -> set[tuple[str, ...]]:
    return {match.mistakes for match in found.matches}


def _hand(
    kernel: Array | None = None,
    x: Array = X,
    start: float = 0.0,
    new: Callable[[Array, Array, Array], Array] = lambda z, h, n: z * h + (1 - z) * n,
    f: Callable[[Array], Array] = np.tanh,
    g: Callable[[Array], Array] = lambda a: 1 / (1 + np.exp(-a)),
) -> tuple[Array, dict[str, Array]]:
    """Calculate a Keras GRU by hand; returns the last state and everything of the last step."""
    w = WEIGHTS["kernel"] if kernel is None else kernel
    u, (b, c) = WEIGHTS["recurrent_kernel"], WEIGHTS["bias"]
    h = np.full(2, start)
    for row in x:
        taken, kept = row @ w + b, h @ u + c
        arguments = {"z": taken[:2] + kept[:2], "r": taken[2:4] + kept[2:4]}
        z, r = g(arguments["z"]), g(arguments["r"])
        arguments["n"] = taken[4:] + r * kept[4:]
        n = f(arguments["n"])
        seen = {"z": z, "r": r, "n": n, "h": h, **{f"argument of {name}": a for name, a in arguments.items()}}
        h = new(z, h, n)
    return h, seen


def test_the_right_value_of_any_unit() -> None:
    right, _ = _hand()

    for unit in (0, 1):
        found = _found(right[unit])
        assert found.right
        assert [(match.mistakes, match.quantity) for match in found.matches] == [((), f"h[{unit}]")]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"x": X.sum(0, keepdims=True)}, "the inputs are summed and fed as one step"),
        ({"x": X.mean(0, keepdims=True)}, "the mean of the inputs is fed as one step"),
        ({"x": X[::-1]}, "the sequence is fed in reverse"),
        ({"x": X[1:]}, "the first input is left out"),
        (
            {"x": X[-1:]},
            "the state is not carried from step to step, as if only this step's input had been fed",
        ),
        ({"x": np.vstack([np.zeros(2), X])}, "a step of zeros is fed before the others"),
        ({"x": np.vstack([X, np.zeros(2)])}, "a step of zeros is fed after the others"),
        ({"start": 1.0}, "the state starts at ones"),
        ({"f": lambda a: a}, "the candidate's tanh is left out"),
        ({"g": lambda a: a}, "the activation of the gates is left out"),
        (
            {"g": lambda a: np.clip(0.2 * a + 0.5, 0, 1)},
            "the gate activation is hard_sigmoid(0.2, 0.5), not sigmoid",
        ),
        (
            {"new": lambda z, h, n: (1 - z) * h + z * n},
            "the update gate takes the candidate where it should keep the state",
        ),
        ({"new": lambda z, h, n: z * h + n}, "the new state is z*h + n, without (1 - z)"),
        ({"new": lambda z, h, n: (1 - z) * n}, "the new state is (1 - z)*n, without z*h"),
        (
            {
                "kernel": np.hstack(
                    [WEIGHTS["kernel"][:, 2:4], WEIGHTS["kernel"][:, :2], WEIGHTS["kernel"][:, 4:]]
                )
            },
            "the update and reset gates of the kernel alone are exchanged",
        ),
    ],
)
def test_single_mistakes(how: dict[str, Any], said: str) -> None:
    wrong, _ = _hand(**how)

    for unit in (0, 1):
        found = _found(wrong[unit], unit=unit)
        assert not found.right
        assert (said,) in _mistakes(found)
        assert all(len(mistakes) <= 1 for mistakes in _mistakes(found))
        assert found.by_chance < 0.01


def test_a_port_to_keras_without_reset_after(keras: ModuleType) -> None:
    """Biases dropped and the reset gate before the product: two mistakes at once, made by Keras."""
    gru = keras.layers.GRU(2, reset_after=False, use_bias=False, dtype="float64")
    gru.build((None, 4, 2))
    gru.set_weights([WEIGHTS["kernel"], WEIGHTS["recurrent_kernel"]])

    found = _found(np.asarray(gru(X[None]))[0, 1], digits=10)

    assert _mistakes(found) == {
        (
            "the biases are dropped",
            (
                "the reset gate is applied before the recurrent product, not after it (Keras reset_after, "
                "ONNX linear_before_reset)"
            ),
        )
    }


@pytest.mark.parametrize("name", ["z", "r", "n", "argument of z", "argument of r", "argument of n"])
def test_a_gate_taken_for_the_state(name: str) -> None:
    _, seen = _hand()

    found = _found(seen[name][1])

    expected = f"the {name}[1]" if name.startswith("argument") else f"{name}[1]"
    assert [(match.mistakes, match.quantity) for match in found.matches] == [((), expected)]
    assert not found.right


def test_states_of_other_steps_and_units() -> None:
    states = [_hand(x=X[: stop + 1])[0] for stop in range(4)]

    assert _found(states[0][1], step=2).matches[0].quantity == "h[1] 2 steps earlier"
    assert _found(states[3][0], step=2).matches[0].quantity == "h[0] 1 step later"
    assert _found(states[2][0], step=2).right
    assert _found(states[3][1], unit=0).matches[0].quantity == "h[1], another unit"
    assert _found(float(np.sum(states, axis=0)[1])).matches[0].quantity == "the sum of h[1] over the steps"
    assert _found(float(states[3].mean())).matches[0].quantity == "the mean of h over the units"
    assert _found(float(np.tanh(states[3][0]))).matches[0].quantity == "tanh(h[0])"


def test_z_that_takes_is_told_as_the_file_means_it() -> None:
    rng = np.random.default_rng(0)
    names = ("update_gate", "reset_gate", "candidate")
    weights = {f"{name}.weight": rng.standard_normal((2, 4)) for name in names}
    x = rng.standard_normal((1, 2))
    z = 1 / (1 + np.exp(-weights["update_gate.weight"][0, :2] @ x[0]))
    n = np.tanh(weights["candidate.weight"][0, :2] @ x[0])
    hints = ReadHints(layout="concat-xh")

    values = (np.tanh(z * n), z, z * n, np.tanh((1 - z) * n), np.log(z / (1 - z)))
    story = grubridge.explain(weights, x, hints=hints, expect=[f"{value:.10f}" for value in values])

    right, gate, state, flipped, argument = story.expectations
    assert [(match.mistakes, match.quantity) for match in argument.matches] == [((), "the argument of z[0]")]
    assert right.right
    assert right.matches[0].quantity == "tanh(h[0])"
    assert gate.matches[0].quantity == "z[0]"
    assert state.matches[0].quantity == "h[0]"
    assert not state.right
    assert ("the update gate keeps the state where it should take the candidate",) in _mistakes(flipped)
    assert story.steps[0].units[0].update is not None
    assert story.steps[0].units[0].update.value == pytest.approx(z, rel=1e-14)


def test_nothing_known() -> None:
    found = _found(0.123456789, digits=9)

    assert found.matches == ()
    assert found.nearest is not None
    assert 1e-9 < abs(found.nearest.value - 0.123456789) < 0.1


def test_few_digits_agree_by_chance() -> None:
    found = _found(0.4, digits=1)

    assert len(found.matches) > 1
    assert found.by_chance > 0.5


def test_pairs_are_not_tried_on_long_sequences() -> None:
    x = np.random.default_rng(0).standard_normal((300, 2))

    assert not _found(0.123456789, x=x).pairs
    assert "one at a time" in grubridge.render(grubridge.explain(WEIGHTS, x, expect=["9.25"], step=299))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("-0.70691", (-0.706905, -0.7069199), (-0.7069049, -0.7069201)),  # rounded, or cut off
        ("0.5", (0.45, 0.5999), (0.4499, 0.6001)),
        ("0", (-0.99, 0.99), (-1.01, 1.01)),
        ("-0.46279538", (-0.46279558, -0.46279518), (-0.4628, -0.4627)),  # a float32's rounding
        ("0.462795379999", (0.4627953799995,), (0.46279538001,)),
        ("1e-3", (0.0006, 0.0019), (0.0004, 0.0021)),
    ],
)
def test_agreement_within_the_digits_given(
    text: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    value, low, high = expected_number(text)

    assert value == float(text)
    assert all(low <= number <= high for number in inside)
    assert not any(low <= number <= high for number in outside)
