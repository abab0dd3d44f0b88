"""z * h_{t-1} + (1 - z) * n gives back h_t, or the gates are not those of the run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grubridge.checker.probe import random_probe
from grubridge.diagnosis.recomposition import recomposition
from grubridge.reference import run
from grubridge.spec import Array, Gates, GRUSpec
from grubridge.traces import Probe, Trace
from tests.low_precision import run_rounded
from tests.zoo import ZOO, member


def _probe(spec: GRUSpec) -> Probe:
    return random_probe([spec], seed=5, batch=3, steps=9)


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_the_equations_gates_give_their_states_back_exactly(spec: GRUSpec) -> None:
    probe = _probe(spec)
    trace = run(spec, probe)

    for place in trace.places:
        found = recomposition(spec, trace, place, probe.lengths)
        assert found is not None
        assert (found.max_abs, found.headroom) == (0, 0)


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_rounded_gates_do_so_within_the_bound(spec: GRUSpec) -> None:
    probe = _probe(spec)
    trace = run_rounded(spec, probe, spec.dtype.name, seed=1)

    for place in trace.places:
        found = recomposition(spec, trace, place, probe.lengths)
        assert found is not None
        assert found.max_abs > 0
        assert 0 < found.headroom < 1


SPEC = member("two_layers_bidirectional")


def _with(trace: Trace, gates: Gates[Array] | None) -> Trace:
    made = replace(trace[1, "backward"], gates=gates)
    return replace(trace, places={**trace.places, (1, "backward"): made})


@pytest.mark.parametrize("mistake", ["swapped", "one number", "shifted in time"])
def test_gates_of_another_run_do_not(mistake: str) -> None:
    probe = _probe(SPEC)
    trace = run_rounded(SPEC, probe, "float32", seed=1)
    gates = trace[1, "backward"].gates
    assert gates is not None
    candidate = gates.candidate.copy()
    candidate[1, 0, 2] += np.float32(1e-4)
    wrong = {
        "swapped": Gates(gates.reset, gates.update, gates.candidate),
        "one number": replace(gates, candidate=candidate),
        "shifted in time": gates.map(lambda gate: np.roll(gate, 1, axis=1)),
    }

    found = recomposition(SPEC, _with(trace, wrong[mistake]), (1, "backward"), probe.lengths)

    assert found is not None
    assert found.headroom > 1


def test_steps_past_an_end_do_not_count() -> None:
    probe = _probe(SPEC)
    assert probe.lengths is not None
    trace = run_rounded(SPEC, probe, "float32", seed=1)
    made = trace[0, "forward"]
    hidden = made.hidden.copy()
    for row, length in enumerate(probe.lengths):
        hidden[row, length:] = 77
    spoilt = replace(trace, places={(0, "forward"): replace(made, hidden=hidden)})

    found = recomposition(SPEC, spoilt, (0, "forward"), probe.lengths)
    counted = recomposition(SPEC, spoilt, (0, "forward"))

    assert found is not None
    assert counted is not None
    assert found.headroom < 1 < counted.headroom


def test_states_that_are_not_numbers_are_not_waved_through() -> None:
    probe = _probe(SPEC)
    trace = run_rounded(SPEC, probe, "float32", seed=1)
    made = trace[0, "forward"]
    hidden = made.hidden.copy()
    hidden[0, 0, 0] = np.nan
    spoilt = replace(trace, places={(0, "forward"): replace(made, hidden=hidden)})

    found = recomposition(SPEC, spoilt, (0, "forward"), probe.lengths)

    assert found is not None
    assert np.isinf(found.headroom)


def test_no_gates_no_recomposition() -> None:
    probe = _probe(SPEC)

    assert recomposition(SPEC, _with(run(SPEC, probe), None), (1, "backward"), probe.lengths) is None
