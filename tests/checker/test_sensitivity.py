"""What a check says that it would have seen, it sees; and it sees nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import grubridge
from grubridge.artifacts import open_artifact
from grubridge.backends.base import Artifact
from grubridge.backends.launch import Job, run_jobs
from grubridge.backends.registry import BACKENDS
from grubridge.checker.probe import designed_probe
from grubridge.checker.sensitivity import Sensed, sense
from grubridge.diagnosis.matched_filter import MatchedFilter
from grubridge.formats.registry import adapter
from grubridge.reference import cell
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.reference.inputs import steps_of
from grubridge.spec import GRUSpec
from grubridge.traces import Place, Probe, Trace
from tests.faults import Fault, random_fault, with_fault
from tests.low_precision import run_rounded
from tests.mistakes import MISTAKES
from tests.zoo import ZOO, make_spec


def _sensed(spec: GRUSpec, wrong: GRUSpec | None = None, seed: int = 0) -> Sensed:
    probe, dtype = designed_probe([spec], seed), spec.dtype.name
    return sense(spec, run_rounded(wrong or spec, probe, dtype, seed), probe, arithmetic_of("numpy", dtype))


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_nothing_is_seen_in_an_honest_run(spec: GRUSpec) -> None:
    sensed = _sensed(spec)

    assert sensed.changes == ()
    assert [(one.layer, one.direction) for one in sensed.places] == [(i, n) for i, n, _ in spec.directions()]
    assert all(one.score < 0.8 and one.rows == 2048 for one in sensed.places)
    numbers = [array for name, array in spec.arrays() if not name.endswith("initial_state")]
    assert sensed.total.weights == sum(array.size for array in numbers)
    assert sum(seen.weights for one in sensed.places for seen in one.arrays.values()) == sensed.total.weights


@pytest.mark.parametrize("reset_after", [True, False])
def test_figures_of_a_float32_run(reset_after: bool) -> None:  # noqa: FBT001
    total = _sensed(make_spec("any", sizes=(8, 32), reset_after=reset_after, seed=3)).total

    assert 5e-8 < total.median < 8e-7
    assert total.median < total.most < 5e-6
    shares = list(total.coverage.values())
    assert list(total.coverage) == [1e-5, 1e-4, 1e-3, 1e-2]
    assert shares == sorted(shares)
    assert shares[2] > 0.98


def test_figures_are_those_of_the_filter() -> None:
    spec = make_spec("any", sizes=(4, 7), seed=3)
    probe, how = designed_probe([spec], 0), arithmetic_of("numpy", "float32")
    trace = run_rounded(spec, probe)
    (place,) = sense(spec, trace, probe, how).places
    steps = steps_of(spec, trace, probe, (0, "forward"))
    assert steps is not None
    numbers = cell(spec.layers[0], next(spec.directions())[2])
    for part in MatchedFilter(numbers, steps, how).parts():
        names = ("input_bias", "recurrent_bias") if part.part == "bias" else (part.part,)
        ordered = np.sort(part.detectable.ravel())
        for name in names:
            seen = place.arrays[f"{name}.{part.gate}"]
            assert (seen.weights, seen.median) == (ordered.size, ordered[(ordered.size - 1) // 2])
            assert seen.most == ordered[-1]


def test_figures_are_of_the_precision() -> None:
    single = make_spec("any", sizes=(5, 8), seed=3)
    by_dtype = {
        name: _sensed(single.astype(name)).total.median for name in ("bfloat16", "float16", "float64")
    }
    expected = _sensed(single).total.median

    assert by_dtype["bfloat16"] / expected == pytest.approx(2.0**16, rel=0.6)
    assert by_dtype["float16"] / expected == pytest.approx(2.0**13, rel=0.6)
    assert by_dtype["float64"] / expected == pytest.approx(2.0**-29, rel=0.6)


def test_most_is_the_change_that_is_seen_in_99_of_100_and_median_in_half() -> None:
    """Of float64 specs, so that the change is what it is said to be."""
    spec = make_spec("any", sizes=(4, 6), dtype="float64", seed=4)
    total = _sensed(spec.astype("float32")).total
    how, probe = arithmetic_of("numpy", "float32"), designed_probe([spec.astype("float32")], 0)
    seen: dict[float, int] = {}
    arrays = [(name.split(" ")[-1], array) for name, array in spec.arrays()]
    rng = np.random.default_rng(0)
    sizes = np.array([array.size for _, array in arrays], np.float64)
    for change in (total.median, total.most):
        for _ in range(60):
            name, array = arrays[rng.choice(len(arrays), p=sizes / sizes.sum())]
            part, gate = name.split(".")
            unit = int(rng.integers(array.shape[0]))
            column = int(rng.integers(array.shape[1])) if array.ndim == 2 else None
            wrong, _ = with_fault(spec, (0, "forward"), Fault(gate, part, unit, column, change))
            # runs of float64 stand for roundings that happen to be nothing
            found = sense(spec, run_rounded(wrong, probe, "float64"), probe, how)
            seen[change] = seen.get(change, 0) + (len(found.changes) > 0)

    assert 18 <= seen[total.median] <= 42
    assert seen[total.most] >= 57


@pytest.mark.parametrize("reset_after", [True, False])
def test_changed_weight_is_named_far_below_the_bound_of_a_step(reset_after: bool) -> None:  # noqa: FBT001
    spec = make_spec("any", sizes=(5, 8, 6), directions="both", reset_after=reset_after, seed=1)
    place: Place = (1, "backward")
    wrong, fault = random_fault(spec, place, 3, 1e-3)
    sensed = _sensed(spec, wrong)

    (change,) = sensed.changes
    assert (change.layer, change.direction, change.gate) == (*place, fault.gate)
    assert (change.part, change.unit, change.column) == (fault.part, fault.unit, fault.column)
    assert change.change == pytest.approx(fault.change, rel=0.1)
    assert change.explains
    assert max(one.score for one in sensed.places) == change.score


def test_two_changed_weights_are_not_explained_by_one() -> None:
    spec = make_spec("any", sizes=(5, 8), seed=2)
    once, _ = with_fault(spec, (0, "forward"), Fault("update", "input_weight", 3, 1, 2e-6))
    twice, _ = with_fault(once, (0, "forward"), Fault("candidate", "recurrent_weight", 4, 2, 1e-6))

    (change,) = _sensed(spec, twice).changes
    assert not change.explains


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_seen_and_not_explained_by_a_weight(name: str) -> None:
    spec = make_spec("right", sizes=(5, 7), directions="both", initial_state=True, seed=30)
    changes = _sensed(spec, MISTAKES[name](spec)).changes

    assert changes
    assert not any(change.explains for change in changes)


def test_weights_of_a_place_that_did_not_run_cannot_be_seen() -> None:
    spec = make_spec("any", sizes=(4, 5), directions="both", seed=2)
    probe, how = designed_probe([spec], 0), arithmetic_of("numpy", "float32")
    trace = run_rounded(spec, probe)
    half = replace(trace, places={(0, "forward"): trace.places[0, "forward"]})
    whole, sensed = sense(spec, trace, probe, how), sense(spec, half, probe, how)

    assert [one.direction for one in sensed.places] == ["forward"]
    assert sensed.total.weights == whole.total.weights
    assert np.isinf(sensed.total.most)
    assert sensed.total.coverage[1e-2] == pytest.approx(whole.total.coverage[1e-2] / 2, abs=0.02)
    nothing = sense(spec, replace(trace, places={}), probe, how).total
    assert np.isinf(nothing.median)
    assert set(nothing.coverage.values()) == {0.0}


def test_weights_that_are_zero_have_no_relative_change() -> None:
    spec = make_spec("any", sizes=(4, 5), seed=2)
    forward = spec.layers[0].forward
    assert forward is not None
    pruned = replace(forward, input_weight=forward.input_weight.map(np.zeros_like))
    spec = replace(spec, layers=(replace(spec.layers[0], forward=pruned),))
    (place,) = _sensed(spec).places

    assert set(place.arrays["input_weight.update"].coverage.values()) == {0.0}
    assert place.arrays["input_weight.update"].median < 1e-5
    assert place.arrays["recurrent_weight.update"].coverage[1e-2] == 1


SETTINGS = ((0.02, 1.0), (0.3, 0.0), (1.0, 5.0), (4.0, 1.0))
"""Factors of all weights, and of all biases."""


@pytest.mark.parametrize("backend", ["pytorch", "onnxruntime", "keras"])
def test_frameworks(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """No alarm over hard settings, and a weight off by twice what is detectable in its like is found."""
    request.getfixturevalue({"pytorch": "torch"}.get(backend, backend))
    modes = (True,) if backend == "pytorch" else (True, False)
    right = [_scaled(*setting, reset_after=mode) for mode in modes for setting in SETTINGS]
    probes = [designed_probe([spec], 1) for spec in right]
    wrong: list[GRUSpec] = []
    faults: list[Fault] = []
    for spec, probe, trace in zip(right, probes, _run(backend, right, probes, tmp_path), strict=True):
        how = arithmetic_of(trace.backend, trace.dtype, trace.device)
        (place,) = sense(spec, trace, probe, how).places
        assert place.score < 0.8
        twice = 2 * place.arrays["recurrent_weight.update"].most
        made = with_fault(spec, (0, "forward"), Fault("update", "recurrent_weight", 3, 5, twice))
        wrong.append(made[0])
        faults.append(made[1])
    traces = _run(backend, wrong, probes, tmp_path)
    for spec, probe, trace, fault in zip(right, probes, traces, faults, strict=True):
        how = arithmetic_of(trace.backend, trace.dtype, trace.device)
        (change,) = sense(spec, trace, probe, how).changes
        found = (change.gate, change.part, change.unit, change.column)
        assert found == (fault.gate, fault.part, fault.unit, fault.column)
        assert change.change == pytest.approx(fault.change, rel=0.3)
        assert change.explains


def _scaled(weights: float, biases: float, *, reset_after: bool) -> GRUSpec:
    spec = make_spec("any", sizes=(3, 24), biases="input", reset_after=reset_after, seed=11)
    d = spec.layers[0].forward
    assert d is not None
    assert d.input_bias is not None
    scaled = replace(
        d,
        input_weight=d.input_weight.map(lambda w: w * np.float32(weights)),
        recurrent_weight=d.recurrent_weight.map(lambda w: w * np.float32(weights)),
        input_bias=d.input_bias.map(lambda b: b * np.float32(biases)),
    )
    return replace(spec, layers=(replace(spec.layers[0], forward=scaled),))


def _run(backend: str, specs: list[GRUSpec], probes: list[Probe], folder: Path) -> list[Trace]:
    target = adapter(BACKENDS[backend].formats[0])
    jobs = []
    for spec, probe in zip(specs, probes, strict=True):
        path = folder / f"{len(list(folder.iterdir()))}{target.SUFFIXES[0]}"
        grubridge.write(spec, path)
        jobs.append(
            Job(backend, Artifact(str(path), target.NAME, open_artifact(path).select().address), probe)
        )
    traces = [outcome for outcome in run_jobs(jobs) if isinstance(outcome, Trace)]
    assert len(traces) == len(specs)
    return traces


def test_a_state_that_is_no_number_has_no_headroom_left() -> None:
    spec = make_spec("nan", sizes=(3, 4), seed=5)
    probe = designed_probe([spec], 0)
    trace = run_rounded(spec, probe)
    made = trace.places[0, "forward"]
    hidden = made.hidden.copy()
    hidden[7, 0, 2] = np.nan
    broken = replace(trace, places={(0, "forward"): replace(made, hidden=hidden)})
    how = arithmetic_of("pytorch", "float32")

    assert sense(spec, trace, probe, how).places[0].headroom <= 1
    assert sense(spec, broken, probe, how).places[0].headroom == np.inf
