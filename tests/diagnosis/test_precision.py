"""The precision ladder: roundings against published formats, and the true rung among those that explain."""

import numpy as np
import pytest

from benchmarks.wrong_runs import PRECISIONS, run_wrongly
from grubridge.diagnosis.explain import explain
from grubridge.diagnosis.precision import LADDER, bounds
from grubridge.diagnosis.steps import Seen, gather, typical_steps
from grubridge.reference import cell
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.reference.rounding import deviations
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Probe
from tests.zoo import make_spec

HOW = arithmetic_of("numpy", "float32")
RUNGS = {rung.edit.value: rung for rung in LADDER}
LAST = 2.0**-10  # of TF32's fraction of 10 bits


@pytest.mark.parametrize(
    ("rung", "rounded"),
    [
        ("tf32_nearest_even", [1 + 2 * LAST, 1 + 2 * LAST, 1 + LAST, -(1 + 2 * LAST), 0]),
        ("tf32_nearest_away", [1 + 2 * LAST, 1 + 3 * LAST, 1 + LAST, -(1 + 2 * LAST), 0]),
        ("tf32_truncated", [1 + LAST, 1 + 2 * LAST, 1, -(1 + LAST), 0]),
    ],
)
def test_tf32_as_it_is_defined(rung: str, rounded: list[float]) -> None:
    values = np.array([1 + 1.5 * LAST, 1 + 2.5 * LAST, 1 + 0.75 * LAST, -(1 + 1.5 * LAST), 0])

    assert RUNGS[rung].on_factor(values).tolist() == rounded


def test_one_scale_of_int8_for_a_kernel_a_gate_or_a_unit() -> None:
    kernel = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5))
    for rung, axes in (("int8_kernels", (0, 1, 2)), ("int8_gates", (1, 2)), ("int8_units", (2,))):
        steps = RUNGS[rung].on_kernel(kernel) / np.abs(kernel).max(axis=axes, keepdims=True) * 127
        assert np.abs(steps - np.rint(steps)).max() < 1e-9
        assert np.abs(RUNGS[rung].on_kernel(kernel) - kernel).max() <= 0.5 / 127


def test_no_scale_of_int8_holds_infinity() -> None:
    kernel = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5))
    kernel[1, 2, 3] = np.inf
    quantised = RUNGS["int8_gates"].on_kernel(kernel)

    assert not np.isfinite(quantised[1]).any()
    assert np.isfinite(quantised[[0, 2]]).all()


def _probe(spec: GRUSpec) -> Probe:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((4, 12, spec.input_size)).astype(np.float32)
    start = rng.uniform(-1, 1, (4, spec.layers[0].hidden_size)).astype(np.float32)
    return Probe(x, {(0, "forward"): start})


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("name", PRECISIONS)
def test_the_true_precision_explains(name: str, *, reset_after: bool) -> None:
    spec = make_spec("s", sizes=(30, 64), reset_after=reset_after)
    probe = _probe(spec)
    trace = run_wrongly(spec, probe, {"precision": name})

    (found,) = explain(spec, trace, probe, HOW, [(0, "forward")])

    assert f"precision={name}" in [edit for one in (found, *found.ties) for edit in one.edits]
    assert {one.cause for one in (found, *found.ties)} == {"precision"}
    assert not found.convention


def _headroom(spec: GRUSpec, hidden: Array, probe: Probe, name: str) -> float:
    layer = spec.layers[0]
    assert layer.forward is not None
    seen = Seen("forward", probe.x, probe.initial_state[0, "forward"], hidden, None, None, None)
    rows = gather(seen, typical_steps(seen, 1000))
    width = deviations(len(rows), layer.hidden_size)
    expected = bounds(cell(layer, layer.forward), rows, HOW, RUNGS[name], deviations=width)
    return float((np.abs(rows.hidden - expected.value) / expected.statistical).max())


def test_a_wrong_precision_does_not_explain() -> None:
    spec = make_spec("s", sizes=(30, 64))
    probe = _probe(spec)
    trace = run_wrongly(spec, probe, {"precision": "tf32_truncated"})
    hidden = trace.places[0, "forward"].hidden

    assert _headroom(spec, hidden, probe, "tf32_truncated") < 1
    for name in ("tf32_nearest_even", "bfloat16_products", "float16_weights", "int8_kernels"):
        assert _headroom(spec, hidden, probe, name) > 30


def test_a_product_on_the_border_of_two_rounded_values_may_be_either() -> None:
    """With r * h as good as between two values, a runtime rounds either way; the sum moves by 2^-10 of it."""
    spec = make_spec("s", sizes=(3, 100), reset_after=False)
    x = np.random.default_rng(1).standard_normal((40, 50, 3)).astype(np.float32)
    probe = Probe(x, {(0, "forward"): np.zeros((40, 100), np.float32)})
    trace = run_wrongly(spec, probe, {"precision": "tf32_nearest_even"})

    assert _headroom(spec, trace.places[0, "forward"].hidden, probe, "tf32_nearest_even") < 1
