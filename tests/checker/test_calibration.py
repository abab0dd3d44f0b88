"""Calibrations: measured once for what a run needs, kept, and never taken for what they are not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from grubridge.backends import pytorch
from grubridge.backends.launch import Job, run_jobs
from grubridge.checker.calibration import Calibration, Constants
from grubridge.checker.calibration import calibration as module
from grubridge.checker.plan import PlannedRun, Subject
from grubridge.checker.result import CheckedArtifact
from grubridge.conversion import read
from grubridge.errors import BackendError, CannotRunError, GRUBridgeError
from grubridge.files.machine import machine
from grubridge.formats.base import StackEntry
from grubridge.layouts.description import CellLayout
from grubridge.layouts.document import to_json
from grubridge.layouts.toml import load
from grubridge.reference import run as run_reference
from grubridge.reference.arithmetic import ActivationErrors
from grubridge.spec import GATE_NAMES, SIGMOID, TANH, Activation, GRUSpec, Layout, hard_sigmoid
from grubridge.traces import Trace
from tests.zoo import make_spec

PLAIN = make_spec("plain")
GENERIC = ActivationErrors(5.0, 5.0, 10.0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRUBRIDGE_CACHE", str(tmp_path / "cache"))


def _ran(job: Job, *, tanh_off: float = 0.0, device: str = "cpu") -> Trace:
    """An exact runtime whose states are rounded once; its tanh is off by some units, relative."""
    spec = read(job.artifact.path)
    made = run_reference(spec, job.probe)
    place = made.places[0, "forward"]
    hidden = place.hidden.copy()
    hidden[:, 0, 2::3] *= 1 + tanh_off * 2.0**-24
    seen = replace(place, hidden=hidden.astype(spec.dtype), gates=None)
    return replace(
        made, backend=job.backend, device=device, dtype=spec.dtype.name, places={(0, "forward"): seen}
    )


def _planned(backend: str, spec: GRUSpec, layout: CellLayout | None = None) -> PlannedRun:
    """A run of `spec` by a runtime's own GRU, or as a layout describes it."""
    address = {} if layout is None else {"layout": to_json(layout)}
    entry = StackEntry("gru", address, Layout(GATE_NAMES, "output"), lambda: spec)
    about = CheckedArtifact("file", "file", "pytorch", "gru", spec.dtype.name, None)
    subject = Subject(about, spec, entry)
    return PlannedRun(subject, "file", backend, subject.artifact, ())


def _calibrated(
    folder: Path, runs: Sequence[tuple[str, GRUSpec]], outcomes: Sequence[GRUBridgeError] = (), **how: float
) -> tuple[Calibration, list[Job]]:
    folder.mkdir(exist_ok=True)
    calibration = Calibration("auto", folder)
    jobs = calibration.jobs([_planned(*run) for run in runs])
    calibration.learn(outcomes or [_ran(job, **how) for job in jobs])  # type: ignore[arg-type]
    for path in folder.iterdir():
        path.unlink()
    return calibration, jobs


def _constants(calibration: Calibration, backend: str = "pytorch", spec: GRUSpec = PLAIN) -> Constants:
    return calibration.constants(_planned(backend, spec), spec.dtype.name, "cpu")


def test_first_check_measures_and_the_next_ones_find_it_kept(tmp_path: Path) -> None:
    runs = [("pytorch", PLAIN), ("onnxruntime", PLAIN), ("pytorch", make_spec("other", seed=4))]
    first, jobs = _calibrated(tmp_path / "files", runs, tanh_off=3.0)
    again, no_jobs = _calibrated(tmp_path / "files", runs)

    assert [job.backend for job in jobs] == ["pytorch", "onnxruntime"]
    assert [job.device for job in jobs] == ["auto", "auto"]
    assert no_jobs == []
    measured, cached = _constants(first), _constants(again)
    assert (measured.origin, cached.origin) == ("measured here", "cached")
    assert measured.errors == cached.errors
    assert 1.25 * 3 <= measured.errors.candidate <= 1.25 * 4.1
    assert max(measured.errors.update, measured.errors.reset) <= 1.25 * 1.1


def test_everything_that_changes_a_kernel_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make_spec("before", reset_after=False)
    soft = make_spec("soft", activations=((SIGMOID, Activation("softplus")),))
    runs = [("onnxruntime", spec) for spec in (PLAIN, before, soft)]
    _, jobs = _calibrated(tmp_path / "files", runs)
    assert len(jobs) == 3
    assert _calibrated(tmp_path / "files", runs)[1] == []

    single = PLAIN.astype("bfloat16")
    assert len(_calibrated(tmp_path / "files", [("pytorch", PLAIN), ("pytorch", single)])[1]) == 2
    monkeypatch.setattr(pytorch, "version", lambda: "torch 99.0")
    assert len(_calibrated(tmp_path / "files", [("pytorch", PLAIN)])[1]) == 1
    monkeypatch.setattr(module, "machine", lambda: machine() + "\nanother GPU")
    assert len(_calibrated(tmp_path / "files", [("pytorch", PLAIN)])[1]) == 1
    assert len(Calibration("cpu", tmp_path / "files").jobs([_planned("pytorch", PLAIN)])) == 1


def test_constants_of_another_device_are_not_used(tmp_path: Path) -> None:
    calibration, _ = _calibrated(tmp_path / "files", [("pytorch", PLAIN)], tanh_off=3.0)

    assert calibration.constants(_planned("pytorch", PLAIN), "float32", "cuda:0") == Constants(
        GENERIC, "generic"
    )
    assert calibration.constants(_planned("pytorch", PLAIN), "float64", "cpu") == Constants(
        GENERIC, "generic"
    )
    assert calibration.constants(_planned("keras", PLAIN), "float32", "cpu") == Constants(GENERIC, "generic")


def test_wrong_function_gets_generic_constants_and_is_not_kept(tmp_path: Path) -> None:
    """A runtime with a wrong tanh must not be allowed for: 0.005% is 800 units."""
    calibration, _ = _calibrated(tmp_path / "files", [("pytorch", PLAIN)], tanh_off=800.0)
    found = _constants(calibration)

    assert (found.errors, found.origin) == (GENERIC, "generic")
    (remark,) = found.remarks
    assert remark.startswith("candidate gate: tanh is off by 4.77e-05 at ")
    assert len(_calibrated(tmp_path / "files", [("pytorch", PLAIN)])[1]) == 1


@pytest.mark.parametrize("failure", [BackendError, lambda words: CannotRunError(words, "no such GRU")])
def test_failed_calibration_gets_generic_constants_and_is_not_kept(
    tmp_path: Path, failure: type[GRUBridgeError]
) -> None:
    path = tmp_path / "files" / "calibration-0.pt"
    calibration, _ = _calibrated(
        tmp_path / "files", [("pytorch", PLAIN)], [failure(f"{path}: pytorch failed: it crashed")]
    )

    remark = "its activations could not be measured: pytorch failed: it crashed"
    assert _constants(calibration) == Constants(GENERIC, "generic", (remark,))
    assert len(_calibrated(tmp_path / "files", [("pytorch", PLAIN)])[1]) == 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"device": "cpu"},
        {"device": "cpu", "errors": {"update": 1.0, "reset": 1.0}},
        {"device": "cpu", "errors": {"update": 1.0, "reset": 1.0, "candidate": 1e9}},
        {"device": "cpu", "errors": {"update": 0.0, "reset": 1.0, "candidate": 1.0}},
        {"device": "cpu", "errors": {"update": float("nan"), "reset": 1.0, "candidate": 1.0}},
        {"device": "cpu", "errors": {"update": "2", "reset": 1.0, "candidate": 1.0}},
    ],
)
def test_kept_value_that_no_measurement_gives_is_measured_anew(tmp_path: Path, value: object) -> None:
    _calibrated(tmp_path / "files", [("pytorch", PLAIN)])
    (path,) = (tmp_path / "cache").iterdir()
    stored = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**stored, "value": value}), encoding="utf-8")

    assert len(_calibrated(tmp_path / "files", [("pytorch", PLAIN)])[1]) == 1


def test_straight_functions_need_no_constants_and_no_calibration(tmp_path: Path) -> None:
    straight = make_spec("straight", activations=((hard_sigmoid(0.2), Activation("relu")),))
    half = make_spec("half", activations=((hard_sigmoid(0.2), TANH),))
    calibration, jobs = _calibrated(tmp_path / "files", [("onnxruntime", straight), ("onnxruntime", half)])

    assert _constants(calibration, "onnxruntime", straight) == Constants(GENERIC, "not needed")
    assert _constants(calibration, "onnxruntime", half).origin == "measured here"
    assert len(jobs) == 1  # of (sigmoid, tanh), which is the kernel's tanh too


def test_constants_of_a_stack_are_the_largest_of_its_directions(tmp_path: Path) -> None:
    pairs = ((SIGMOID, TANH), (SIGMOID, Activation("scaled_tanh", 1.5, 0.5)))
    spec = make_spec("mixed", directions="both", activations=pairs)
    calibration, jobs = _calibrated(tmp_path / "files", [("onnxruntime", spec)], tanh_off=3.0)
    found = _constants(calibration, "onnxruntime", spec)

    assert len(jobs) == 2
    assert found.origin == "measured here"
    assert found.errors.reset == 5.0  # scaled_tanh does not show r
    assert found.errors.candidate >= 1.25 * 3


def test_what_a_format_cannot_hold_is_not_measured(tmp_path: Path) -> None:
    spec = make_spec("other", activations=((SIGMOID, Activation("elu", 0.3)),))
    calibration, jobs = _calibrated(tmp_path / "files", [("keras", spec)])

    assert jobs == []
    assert _constants(calibration, "keras", spec) == Constants(GENERIC, "generic")


def test_float16_of_onnx_runtime_is_measured_in_float32(tmp_path: Path) -> None:
    spec = PLAIN.astype("float16")
    calibration, (job,) = _calibrated(tmp_path / "files", [("onnxruntime", spec)], tanh_off=3.0)

    assert job.probe.x.max() == pytest.approx(256, abs=1)
    assert _constants(calibration, "onnxruntime", spec).origin == "measured here"
    assert calibration.constants(_planned("onnxruntime", spec), "float16", "cuda").errors == ActivationErrors(
        2.5, 2.5, 2.5
    )


@pytest.mark.parametrize(
    ("backend", "framework", "largest"),
    [
        # the largest errors that were seen, on CPUs of several kinds
        ("pytorch", "torch", ActivationErrors(2.5, 2.5, 2.0)),
        ("keras", "keras", ActivationErrors(3.5, 3.5, 7.0)),
        ("onnxruntime", "onnxruntime", ActivationErrors(4.0, 8.0, 12.0)),
    ],
)
def test_frameworks_are_measured(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str, framework: str, largest: ActivationErrors
) -> None:
    imported: ModuleType = request.getfixturevalue(framework)
    assert imported.__name__ == framework
    runs = [(backend, PLAIN), (backend, PLAIN.astype("float16"))]
    calibration = Calibration("cpu", tmp_path)
    calibration.learn(run_jobs(calibration.jobs([_planned(*run) for run in runs])))
    found = _constants(calibration, backend)

    assert found.origin == "measured here", found
    for gate in ("update", "reset", "candidate"):
        assert 1.25 <= getattr(found.errors, gate) <= getattr(largest, gate), gate
    half = _constants(calibration, backend, PLAIN.astype("float16"))
    assert half.origin == "measured here", half
    if backend == "onnxruntime":
        assert half.errors == found.errors
        assert found.errors.candidate > 5.0  # the tanh of its GRU, not its operator Tanh
        assert found.errors.reset > found.errors.update
    else:
        assert np.max([half.errors.update, half.errors.reset, half.errors.candidate]) <= 2.5


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("layout", ["d2l", "concat-xh"])
def test_a_described_cell_is_measured_as_it_runs(tmp_path: Path, layout: str) -> None:
    """By the ordinary operators, in either reset mode, not by the kernel of nn.GRU."""
    before = make_spec("before", reset_after=False)
    run = _planned("pytorch", before, load(layout))
    calibration = Calibration("cpu", tmp_path)
    (job,) = calibration.jobs([run])
    calibration.learn(run_jobs([job]))

    assert job.artifact.address["layout"]["update"] == load(layout).update
    found = calibration.constants(run, "float32", "cpu")
    assert found.origin == "measured here", found
    for gate, largest in (("update", 3.5), ("reset", 2.5), ("candidate", 2.0)):
        assert 1.25 <= getattr(found.errors, gate) <= largest, gate
    own_kernel = calibration.constants(_planned("pytorch", before), "float32", "cpu")
    assert own_kernel == Constants(GENERIC, "generic")


def test_a_described_cell_of_a_format_without_a_writer_gets_generic_constants(tmp_path: Path) -> None:
    run = _planned("keras", PLAIN, load("d2l"))
    calibration = Calibration("cpu", tmp_path)

    assert calibration.jobs([run]) == []
    assert calibration.constants(run, "float32", "cpu") == Constants(GENERIC, "generic")
