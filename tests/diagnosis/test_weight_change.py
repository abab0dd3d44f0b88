"""One wrong weight is found in an ordinary trace, and what is not one wrong weight is not taken for one."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from grubridge.checker.probe import random_probe
from grubridge.diagnosis.weight_change import localise
from grubridge.live.pytorch import to_module
from grubridge.reference import cell
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.reference.inputs import steps_of
from grubridge.reference.rounding import deviations, one_step_bounds
from grubridge.spec import GRUSpec
from grubridge.traces import DirectionTrace, Place, Probe, Trace
from tests.faults import Fault, random_fault, with_fault
from tests.low_precision import run_rounded
from tests.mistakes import MISTAKES
from tests.zoo import make_spec

HOW = arithmetic_of("numpy", "float32")


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("relative", [1e-2, 1.0, -2.0])
def test_wrong_weight_is_found_by_unit_gate_and_column(relative: float, reset_after: bool) -> None:  # noqa: FBT001
    spec = make_spec("any", sizes=(5, 8, 6), directions="both", reset_after=reset_after, seed=1)
    probe = random_probe([spec], seed=0, batch=6, steps=20)
    places: list[Place] = [(index, name) for index, name, _ in spec.directions()]
    for seed, place in enumerate(places * 3):
        wrong, fault = random_fault(spec, place, seed, relative)
        found = localise(spec, run_rounded(wrong, probe, seed=seed), probe, place, HOW)

        assert found is not None
        assert (found.layer, found.direction, found.gate) == (*place, fault.gate)
        assert (found.part, found.unit, found.column) == (fault.part, fault.unit, fault.column)
        assert found.change == pytest.approx(fault.change, rel=1e-3)
        assert found.explains
        assert found.score > 1


def test_right_places_of_a_stack_have_no_score() -> None:
    spec = make_spec("any", sizes=(5, 8, 6), seed=1)
    probe = random_probe([spec], seed=0, batch=6, steps=20)
    wrong, _ = random_fault(spec, (0, "forward"), 0, 1.0)
    above = localise(spec, run_rounded(wrong, probe), probe, (1, "forward"), HOW)

    assert above is not None
    assert above.score < 1


def test_bias_is_found_and_called_what_can_be_told() -> None:
    spec = make_spec("any", sizes=(5, 8), seed=2)
    probe = random_probe([spec], seed=0, batch=6, steps=20)
    for gate, part, called in (
        ("update", "input_bias", "bias"),
        ("update", "recurrent_bias", "bias"),
        ("reset", "recurrent_bias", "bias"),
        ("candidate", "input_bias", "input_bias"),
        ("candidate", "recurrent_bias", "recurrent_bias"),
    ):
        wrong, fault = with_fault(spec, (0, "forward"), Fault(gate, part, 3, None, 0.01))
        found = localise(spec, run_rounded(wrong, probe), probe, (0, "forward"), HOW)

        assert found is not None
        assert (found.gate, found.part, found.unit, found.column) == (gate, called, 3, None)
        assert found.change == pytest.approx(fault.change, rel=1e-3)
        assert found.explains


@pytest.mark.parametrize("name", MISTAKES)
def test_other_mistakes_are_not_explained_by_a_weight(name: str) -> None:
    spec = make_spec("right", sizes=(5, 7), directions="both", initial_state=True, seed=30)
    probe = random_probe([spec], seed=0, batch=6, steps=20)
    found = localise(spec, run_rounded(MISTAKES[name](spec), probe), probe, (0, "forward"), HOW)

    assert found is not None
    assert found.score > 1
    assert not found.explains


def test_two_wrong_weights_are_not_explained_by_one() -> None:
    spec = make_spec("any", sizes=(5, 8), seed=2)
    probe = random_probe([spec], seed=0, batch=6, steps=20)
    once, _ = with_fault(spec, (0, "forward"), Fault("update", "input_weight", 3, 1, 0.01))
    twice, _ = with_fault(once, (0, "forward"), Fault("candidate", "recurrent_weight", 4, 2, 0.01))
    found = localise(spec, run_rounded(twice, probe), probe, (0, "forward"), HOW)

    assert found is not None
    assert not found.explains


def test_nothing_to_look_at() -> None:
    spec = make_spec("any", sizes=(5, 8), seed=2)
    probe = random_probe([spec], seed=0, batch=2, steps=3)
    trace = run_rounded(spec, probe)

    assert localise(spec, replace(trace, places={}), probe, (0, "forward"), HOW) is None
    assert localise(spec, trace, replace(probe, x=probe.x[:, :2], lengths=None), (0, "forward"), HOW) is None


def test_of_a_long_trace_some_steps_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grubridge.diagnosis.weight_change._ELEMENTS", 200 * 8)
    rows: list[int] = []

    def counted(n: int, hidden_size: int) -> float:
        rows.append(n)
        return deviations(n, hidden_size)

    monkeypatch.setattr("grubridge.diagnosis.matched_filter.deviations", counted)
    spec = make_spec("any", sizes=(5, 8), seed=2)
    probe = random_probe([spec], seed=0, batch=2, steps=500)
    wrong, fault = random_fault(spec, (0, "forward"), 0, 0.1)
    found = localise(spec, run_rounded(wrong, probe), probe, (0, "forward"), HOW)

    assert found is not None
    assert (found.part, found.unit, found.column) == (fault.part, fault.unit, fault.column)
    assert 100 < rows[0] <= 200


def test_in_runs_of_pytorch(torch: ModuleType) -> None:
    """At least 99 of 100 single weights that the bound of one step shows, over sizes and inputs."""
    how = arithmetic_of("pytorch", "float32")
    shown = right = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        sizes = (int(rng.choice([1, 3, 16])), int(rng.choice([8, 32])))
        spec = make_spec("any", sizes=sizes, seed=seed)
        probe = random_probe([spec], seed=seed, batch=4, steps=24, lengths=[24] * 4)
        wrong, fault = random_fault(spec, (0, "forward"), seed, float(rng.choice([1e-3, 1e-2, 1e-1])))
        trace = _run(torch, wrong, probe)
        if not _shows(spec, trace, probe):
            continue
        found = localise(spec, trace, probe, (0, "forward"), how)
        assert found is not None
        shown += 1
        place = (found.gate, found.part, found.unit, found.column)
        right += place == (fault.gate, fault.part, fault.unit, fault.column)

    assert shown > 60
    assert right >= 0.99 * shown


def _shows(spec: GRUSpec, trace: Trace, probe: Probe) -> bool:
    """Whether one step is off by more than its bound."""
    steps, direction = steps_of(spec, trace, probe, (0, "forward")), spec.layers[0].forward
    assert steps is not None
    assert direction is not None
    how, width = arithmetic_of("pytorch", "float32"), deviations(*steps.hidden.shape)
    numbers = cell(spec.layers[0], direction)
    bound = one_step_bounds(numbers, steps.x, steps.previous, how, deviations=width)["hidden"]
    return bool((np.abs(steps.hidden - bound.value) > bound.statistical).any())


def _run(torch: ModuleType, spec: GRUSpec, probe: Probe) -> Trace:
    start = probe.initial_state[0, "forward"].astype(np.float32)
    x = torch.from_numpy(probe.x.astype(np.float32))
    with torch.no_grad():
        hidden, _ = to_module(spec)(x, torch.from_numpy(start)[None])
    made = DirectionTrace(probe.x, start, hidden.numpy(), None, "observed")
    return Trace("pytorch", "", "cpu", "float32", native=True, places={(0, "forward"): made})
