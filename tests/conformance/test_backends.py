"""Every runtime, with every spec of the zoo that its format holds: inside the rounding bound, gates too."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import grubridge
from grubridge.artifacts import open_artifact
from grubridge.backends.registry import BACKENDS
from grubridge.checker.carry_out import Conditions, Task, carry_out
from grubridge.checker.executed import Probes
from grubridge.checker.outcome import Outcome
from grubridge.checker.plan import Subject, plan_group
from grubridge.checker.probe import designed_probe, random_probe
from grubridge.checker.result import CheckedArtifact
from grubridge.checker.verdict import Verdict
from grubridge.formats.registry import adapter
from grubridge.spec import GRUSpec, unsupported
from tests.zoo import ZOO

QUANTITIES = {"hidden", "update", "reset", "candidate"}
NOT_RUN_BY_ONNXRUNTIME = {"float64", "bfloat16"}


def _fitting(backend: str) -> list[GRUSpec]:
    target = adapter(BACKENDS[backend].formats[0])
    return [
        spec
        for spec in ZOO
        if not unsupported(spec, target.CAPABILITIES, target.NAME)
        and not (backend == "onnxruntime" and spec.dtype.name in NOT_RUN_BY_ONNXRUNTIME)
    ]


def _outcomes(backend: str, folder: Path) -> dict[str, Outcome]:
    """Every fitting spec as a file, run by one process of the runtime, held against the zoo's own spec."""
    tasks: list[Task] = []
    specs = _fitting(backend)
    target = adapter(BACKENDS[backend].formats[0])
    for number, spec in enumerate(specs):
        path = folder / f"{spec.name}{target.SUFFIXES[0]}"
        grubridge.write(spec, path)
        about = CheckedArtifact(spec.name, str(path), target.NAME, spec.name, spec.dtype.name, None)
        subject = Subject(about, spec, open_artifact(path).select())
        probes = Probes(random_probe([spec], seed=number, batch=4, steps=24), designed_probe([spec], number))
        tasks.append(Task(plan_group([subject], [backend], folder), probes))
    outcomes = carry_out(tasks, Conditions("cpu"), folder)
    return {spec.name: outcome for spec, outcome in zip(specs, outcomes, strict=True)}


@pytest.mark.parametrize(
    ("backend", "framework"), [("keras", "keras"), ("onnxruntime", "onnxruntime"), ("pytorch", "torch")]
)
def test_inside_the_bound(
    backend: str, framework: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    assert isinstance(request.getfixturevalue(framework), ModuleType)

    outcomes = _outcomes(backend, tmp_path)

    assert len(outcomes) >= 7
    for name, outcome in outcomes.items():
        assert outcome.by_the_bound is Verdict.EQUIVALENT, (name, outcome.diagnosis, outcome.comparisons)
        assert {comparison.quantity for comparison in outcome.comparisons} == QUANTITIES, name
        headrooms = [comparison.headroom or 0.0 for comparison in outcome.comparisons]
        assert 0 < min(headrooms) <= max(headrooms) <= 1, name
        assert [seen.verdict for seen in outcome.sensitivity] == [Verdict.EQUIVALENT], name
        assert [(ran.backend, ran.native) for ran in outcome.runs if ran.backend != "reference"] == [
            (backend, True)
        ], name
