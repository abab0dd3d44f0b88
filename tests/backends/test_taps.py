"""Spare units show the gates of any kernel that computes the equations, whatever its activations."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from grubridge.backends import taps
from grubridge.backends.taps import Steps, Tap, direction_trace, observed
from grubridge.reference import cell, one_step
from grubridge.reference.taps import plan_taps
from grubridge.spec import Activation, Array, Gates, GRUDirection, GRULayer, hard_sigmoid
from tests.zoo import make_spec

GATES = (
    Activation("sigmoid"),
    Activation("tanh"),
    Activation("softsign"),
    Activation("scaled_tanh", 0.9, 1.25),
    hard_sigmoid(0.2),
)
Step = Callable[[Array, Array], Array]
CANDIDATES = (
    *GATES,
    Activation("affine", 0.7, 0.3),
    Activation("elu", 0.7),
    Activation("leaky_relu", 0.1),
    Activation("relu"),
    Activation("softplus"),
    Activation("thresholded_relu", 0.4),
)


def _kernel(layer: GRULayer) -> taps.Kernel:
    """The equations in the place of a runtime: all that they return is h'."""

    def load(direction: GRUDirection) -> Step:
        numbers = cell(replace(layer, forward=direction), direction)

        def step(x: Array, h: Array) -> Array:
            with np.errstate(invalid="ignore"):  # a runtime says nothing of NaN
                return one_step(numbers, x, h)[1]

        return step

    return load


def _rows(direction: GRUDirection) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(9, direction.input_size)), rng.normal(size=(9, direction.hidden_size))


def _assert_observed(layer: GRULayer, tolerance: float = 1e-9) -> None:
    direction = layer.forward
    assert direction is not None
    x, h = _rows(direction)
    expected, _ = one_step(cell(layer, direction), x, h)

    gates = observed(Tap(direction, layer.clip, _kernel(layer)), x, h)

    for gate, values in expected.items():
        assert np.ptp(values) > 0.05, gate
        np.testing.assert_allclose(gates[gate], values, rtol=0, atol=tolerance, err_msg=gate)


def _told(gate: Activation, candidate: Activation, clip: float | None) -> bool:
    """Clipped to 0.75, r of both signs cannot keep the argument above thresholded_relu's jump at 0.4."""
    both_signs = gate.name not in {"sigmoid", "hard_sigmoid"}
    return not (clip and both_signs and candidate.name == "thresholded_relu")


ALL = [case for case in product(GATES, CANDIDATES, (None, 0.75)) if _told(*case)]


@pytest.mark.parametrize(("gate", "candidate", "clip"), ALL, ids=str)
def test_every_gate_is_read_exactly(gate: Activation, candidate: Activation, clip: float | None) -> None:
    for reset_after in (True, False):
        spec = make_spec("taps", activations=((gate, candidate),), reset_after=reset_after, clip=clip)
        _assert_observed(spec.layers[0])


@pytest.mark.parametrize("biases", ["none", "input", "split"])
def test_biases_or_none(biases: str) -> None:
    for reset_after in (True, False):
        _assert_observed(make_spec("taps", biases=biases, reset_after=reset_after).layers[0])


def test_units_and_rows_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make_spec("taps", sizes=(5, 11)).layers[0]
    sizes: list[tuple[int, int]] = []

    def load(direction: GRUDirection) -> Step:
        step = _kernel(layer)(direction)

        def noted(x: Array, h: Array) -> Array:
            sizes.append(h.shape)
            result: Array = step(x, h)
            return result

        return noted

    monkeypatch.setattr(
        taps, "_LARGEST_WEIGHT", 3 * 4 * 20**2
    )  # float32, up to 20 units at once: 3 spare ones
    monkeypatch.setattr(taps, "_LARGEST_BATCH", 3 * 8 * 20 * 4)  # four float64 rows of them
    assert layer.forward is not None
    x, h = _rows(layer.forward)
    gates = observed(Tap(layer.forward, None, load), x, h)

    expected, _ = one_step(cell(layer, layer.forward), x, h)
    assert sizes == [(rows, units) for units in (17, 20, 20, 20) for rows in (4, 4, 1)]
    for gate, values in expected.items():
        np.testing.assert_allclose(gates[gate], values, rtol=0, atol=1e-9)


def test_a_step_past_the_end_has_no_gates() -> None:
    layer = make_spec("taps").layers[0]
    direction = layer.forward
    assert direction is not None
    rng = np.random.default_rng(6)
    steps = Steps(
        rng.normal(size=(2, 3, 5)),
        rng.normal(size=(2, 7)),
        rng.normal(size=(2, 3, 7)),
        "backward",
        np.array([3, 1]),
        gates=True,
    )

    made, notes = direction_trace(steps, Tap(direction, None, _kernel(layer)), pytest.fail)

    assert (made.gate_source, notes) == ("observed", ())
    assert made.gates is not None
    assert not any(values[1, 1:].any() for _, values in made.gates.items())
    # a backward direction starts at the last step of each sequence
    last, _ = one_step(cell(layer, direction), steps.x[[0, 1], [2, 0]], steps.start)
    np.testing.assert_allclose(made.gates.reset[[0, 1], [2, 0]], last.reset, rtol=0, atol=1e-9)


REASONS = {
    "unbounded": "a state made by relu and tanh does not show them",
    "flat": "a state made by sigmoid and affine(0, 0.2), clipped to 2 does not show them",
    "large": "a kernel wider than its 7 units would take too much memory",
    "told": "because it is Tuesday",
}


@pytest.mark.parametrize("case", REASONS)
def test_what_cannot_be_read_is_replayed_and_says_why(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = {
        "unbounded": (Activation("relu"), Activation("tanh")),
        "flat": (Activation("sigmoid"), Activation("affine", 0.0, 0.2)),
    }.get(case, (Activation("sigmoid"), Activation("tanh")))
    layer = make_spec("taps", activations=(pair,), clip=2.0 if case == "flat" else None).layers[0]
    if case == "large":
        monkeypatch.setattr(taps, "_LARGEST_WEIGHT", 3 * 4 * 9**2)
    assert layer.forward is not None
    x, start, hidden = (np.full(shape, 0.5) for shape in ((1, 2, 5), (1, 7), (1, 2, 7)))
    steps = Steps(x, start, hidden, "forward", None, gates=True)
    replayed = Gates(*(np.full((1, 2, 7), value) for value in (0.1, 0.2, 0.3)))
    tap = REASONS[case] if case == "told" else Tap(layer.forward, layer.clip, _kernel(layer))

    made, notes = direction_trace(steps, tap, lambda: replayed)

    assert made.gates is replayed
    assert made.gate_source == "replayed"
    assert notes == (
        f"the gates are replayed by ordinary operators, not read out of the kernel: {REASONS[case]}",
    )


def test_usual_activations_need_neither_offset_nor_division() -> None:
    plan = plan_taps(Activation("sigmoid"), Activation("tanh"), None)

    assert plan is not None
    assert (plan.rest, plan.offset) == (0, 0)
    assert plan.off < 1e-100
    assert plan.scale == 2.0**-6


def test_a_row_without_numbers_leaves_the_others_alone() -> None:
    layer = make_spec("taps", dtype="float16").layers[0]
    direction = layer.forward
    assert direction is not None
    x, h = (rows.astype(np.float16) for rows in _rows(direction))
    h[2, 3], h[5, 0] = np.nan, np.inf

    gates = observed(Tap(direction, None, _kernel(layer)), x, h)

    right = np.delete(np.arange(9), [2, 5])
    expected, _ = one_step(cell(layer, direction), x[right].astype(float), h[right].astype(float))
    for gate, values in expected.items():
        np.testing.assert_allclose(gates[gate][right], values, rtol=0, atol=2e-3)
        assert np.isnan(gates[gate][2]).all()
