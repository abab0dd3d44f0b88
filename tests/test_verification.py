"""verify from files to verdict, with simulated runtimes: what is paired, run, compared and concluded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.conversion import convert, write
from grubridge.errors import (
    BackendError,
    CannotRunError,
    DeviceError,
    FileFormatError,
    GRUBridgeError,
    MissingDependencyError,
    ProbeError,
    UnknownFormatError,
)
from grubridge.formats.base import ReadHints
from grubridge.spec import GRUSpec
from grubridge.verification import verify, verify_conversion
from tests.mistakes import MISTAKES
from tests.simulated import Runtimes
from tests.zoo import make_spec, member

RIGHT = make_spec("right", sizes=(4, 5, 5), directions="both", seed=40)


def _written(folder: Path, name: str, spec: GRUSpec = RIGHT) -> Path:
    write(spec, folder / name)
    return folder / name


def _edges(report: CheckReport) -> list[tuple[str, str, str]]:
    found = [(one.edge, Path(str(one.left)).name, Path(str(one.right)).name) for one in report.comparisons]
    return list(dict.fromkeys(found))


def test_two_files_of_one_model_are_equivalent(runtimes: Runtimes, tmp_path: Path) -> None:
    one, other = _written(tmp_path, "a.pt"), _written(tmp_path, "b.onnx")
    report = verify(one, other)

    assert report.verdict is Verdict.EQUIVALENT
    assert _edges(report) == [
        ("read", "a.pt on pytorch", "a.pt"),
        ("read", "b.onnx on onnxruntime", "b.onnx"),
        ("end-to-end", "a.pt on pytorch", "b.onnx on onnxruntime"),
    ]
    assert [str(one.right) for one in report.comparisons[:1]] == [f"equations of {one}"]
    assert [run.backend for run in report.runs] == ["reference", "pytorch", "onnxruntime"]
    assert report.diagnosis == ()
    assert [(drift.left.backend, drift.right.backend) for drift in report.drift] == [
        (None, "pytorch"),
        ("pytorch", "onnxruntime"),
    ]
    assert all(0 < drift.max_abs < 1e-5 for drift in report.drift)
    assert runtimes.inputs[0].probe.lengths is not None
    assert report.artifacts[0].sha256 is not None


@pytest.mark.parametrize("mistake", [name for name in MISTAKES if name != "initial state dropped"])
def test_every_known_mistake_between_two_files_is_different(
    runtimes: Runtimes, tmp_path: Path, mistake: str
) -> None:
    one, other = _written(tmp_path, "a.onnx"), _written(tmp_path, "b.onnx", MISTAKES[mistake](RIGHT))
    report = verify(one, other)

    assert report.verdict is Verdict.DIFFERENT
    wrong = {one.edge for one in report.comparisons if one.verdict is Verdict.DIFFERENT}
    assert wrong == {"end-to-end"}
    assert runtimes.inputs


def test_dropped_learned_state_is_different(runtimes: Runtimes, tmp_path: Path) -> None:
    spec = member("initial_state")
    one = _written(tmp_path, "a.onnx", spec)
    other = _written(tmp_path, "b.onnx", MISTAKES["initial state dropped"](spec))
    report = verify(one, other)

    assert report.verdict is Verdict.DIFFERENT
    assert {one.first_bad_time for one in report.comparisons if one.first_bad_time is not None} > {0}
    assert runtimes.inputs[0].probe.initial_state == {}
    assert report.probe is not None
    assert report.probe.initial_state == "learned"


def test_one_changed_weight_is_different(runtimes: Runtimes, tmp_path: Path) -> None:
    direction = next(RIGHT.directions())[2]
    weight = direction.recurrent_weight.reset.copy()
    weight[3, 1] *= np.float32(1.01)
    changed = replace(direction, recurrent_weight=replace(direction.recurrent_weight, reset=weight))
    other = replace(RIGHT, layers=(replace(RIGHT.layers[0], forward=changed), RIGHT.layers[1]))
    report = verify(_written(tmp_path, "a.pt"), _written(tmp_path, "b.pt", other))

    assert report.verdict is Verdict.DIFFERENT
    wrong = {(c.layer, c.direction, c.quantity) for c in report.comparisons if c.verdict is Verdict.DIFFERENT}
    assert (0, "forward", "reset") in wrong
    assert {place[:2] for place in wrong} == {(0, "forward")}
    assert len(runtimes.inputs) == 2


def test_designed_steps_that_fail_are_told(runtimes: Runtimes, tmp_path: Path) -> None:
    runtimes.fails_designed["onnxruntime"] = BackendError("onnxruntime failed: out of memory")
    other = tmp_path / "b.onnx"
    report = verify(_written(tmp_path, "a.pt"), _written(tmp_path, "b.onnx"))

    assert report.verdict is Verdict.EQUIVALENT
    assert dict(report.left_out) == {f"the designed steps of {other}": "onnxruntime failed: out of memory"}
    assert {str(one.left) for one in report.sensitivity} == {f"{tmp_path / 'a.pt'} on pytorch"}


def test_misread_file_is_blamed_on_the_read_edge(runtimes: Runtimes, tmp_path: Path) -> None:
    runtimes.misreads["pytorch"] = "update and reset exchanged"
    report = verify(_written(tmp_path, "a.pt"), _written(tmp_path, "b.onnx"))

    wrong = {(one.edge, one.left.backend) for one in report.comparisons if one.verdict is Verdict.DIFFERENT}
    assert report.verdict is Verdict.DIFFERENT
    assert wrong == {("read", "pytorch")}


@pytest.mark.parametrize("narrow_first", [False, True])
def test_half_precision_twin_is_different_and_says_so(
    runtimes: Runtimes,
    tmp_path: Path,
    narrow_first: bool,  # noqa: FBT001
) -> None:
    paths = [_written(tmp_path, "a.onnx"), _written(tmp_path, "half.pt", RIGHT.astype("float16"))]
    report = verify(*(reversed(paths) if narrow_first else paths))

    assert report.verdict is Verdict.DIFFERENT
    assert [cause.cause for cause in report.diagnosis] == ["precision"]
    assert "half.pt" in report.diagnosis[0].detail
    assert "float16" in report.diagnosis[0].detail
    assert {one.edge for one in report.comparisons if one.verdict is Verdict.DIFFERENT} == {"end-to-end"}
    assert runtimes.inputs


def test_wider_twin_of_the_same_numbers_is_equivalent(runtimes: Runtimes, tmp_path: Path) -> None:
    half = RIGHT.astype("float16")
    report = verify(
        _written(tmp_path, "half.pt", half), _written(tmp_path, "wide.pt", half.astype("float32"))
    )

    assert report.verdict is Verdict.EQUIVALENT
    assert {job.backend for job in runtimes.inputs} == {"pytorch"}


def test_other_shapes_are_different_without_a_run(runtimes: Runtimes, tmp_path: Path) -> None:
    report = verify(_written(tmp_path, "a.pt"), _written(tmp_path, "b.pt", member("reset_after")))

    assert report.verdict is Verdict.DIFFERENT
    assert [cause.cause for cause in report.diagnosis] == ["structure"]
    assert (report.runs, report.comparisons, report.probe) == ((), (), None)
    assert runtimes.inputs == []


def test_other_reset_mode_still_runs(runtimes: Runtimes, tmp_path: Path) -> None:
    wrong = MISTAKES["reset before, not after"](RIGHT)
    report = verify(_written(tmp_path, "a.onnx"), _written(tmp_path, "b.onnx", wrong))

    assert report.verdict is Verdict.DIFFERENT
    assert [cause.cause for cause in report.diagnosis] == ["reset after"]
    assert len(runtimes.inputs) == 2


def test_one_file_runs_through_every_runtime_that_can_hold_it(
    runtimes: Runtimes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grubridge.checker.plan.available", lambda name: True)
    spec = member("reset_before")
    report = verify(_written(tmp_path, "a.onnx", spec))

    assert report.verdict is Verdict.EQUIVALENT
    assert _edges(report) == [
        ("read", "a.onnx on onnxruntime", "a.onnx"),
        ("write", "a.onnx", "a.onnx as keras on keras"),
    ]
    assert list(report.left_out) == ["pytorch"]
    assert "the reset gate is applied before the recurrent product" in report.left_out["pytorch"]
    assert not Path(runtimes.inputs[1].artifact.path).exists()


def test_chosen_runtime_runs_a_copy_beside_two_files(
    runtimes: Runtimes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grubridge.checker.plan.require", lambda name: name)
    monkeypatch.setattr("grubridge.checker.plan.available", lambda name: True)
    one, other = _written(tmp_path, "a.pt"), _written(tmp_path, "b.safetensors")
    report = verify(one, other, backends=["pytorch", "onnxruntime"])

    assert report.verdict is Verdict.EQUIVALENT
    assert [edge for edge, *_ in _edges(report)] == ["read", "read", "end-to-end", "write"]
    assert [job.artifact.format for job in runtimes.inputs] == ["pytorch", "safetensors", "onnx"]


def test_file_that_was_not_to_run_leaves_the_check_open(
    runtimes: Runtimes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grubridge.checker.plan.require", lambda name: name)
    monkeypatch.setattr("grubridge.checker.plan.available", lambda name: True)
    report = verify(_written(tmp_path, "a.pt"), backends=["onnxruntime"])

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "add --backend pytorch" in report.diagnosis[0].detail
    assert [job.backend for job in runtimes.inputs] == ["onnxruntime"]


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (MissingDependencyError("needs torch: pip install 'grubridge[torch]'", "torch"), "not run"),
        (BackendError("torch failed: out of memory"), "failed"),
        (CannotRunError("torch cannot run it: no such kernel", "no such kernel"), "not run"),
    ],
)
def test_file_that_no_runtime_can_run_leaves_the_check_open(
    runtimes: Runtimes, tmp_path: Path, failure: GRUBridgeError, cause: str
) -> None:
    runtimes.fails["pytorch"] = failure
    report = verify(_written(tmp_path, "a.pt"), _written(tmp_path, "b.onnx"))

    assert report.verdict is Verdict.INCONCLUSIVE
    assert [(one.cause, one.detail) for one in report.diagnosis] == [(cause, str(failure))]
    assert ("end-to-end", "a.pt", "b.onnx on onnxruntime") in _edges(report)


def test_device_that_a_files_own_runtime_lacks_is_an_error(runtimes: Runtimes, tmp_path: Path) -> None:
    runtimes.fails["pytorch"] = DeviceError("a.pt: pytorch has no device 'cuda'", "no device 'cuda'")

    with pytest.raises(DeviceError, match="no device 'cuda'"):
        verify(_written(tmp_path, "a.pt"), _written(tmp_path, "b.onnx"), device="cuda")
    report = verify(tmp_path / "b.onnx", backends=["onnxruntime", "pytorch"], device="cuda")
    assert report.left_out["pytorch"] == "no device 'cuda'"


def test_difference_stands_though_a_file_did_not_run(runtimes: Runtimes, tmp_path: Path) -> None:
    runtimes.fails["pytorch"] = BackendError("failed")
    wrong = MISTAKES["update and reset exchanged"](RIGHT)
    report = verify(_written(tmp_path, "a.pt"), _written(tmp_path, "b.onnx", wrong))

    assert report.verdict is Verdict.DIFFERENT


def test_further_runtime_without_such_a_kernel_is_left_out(
    runtimes: Runtimes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grubridge.checker.plan.available", lambda name: name != "keras")
    runtimes.fails["onnxruntime"] = CannotRunError("onnxruntime cannot run it", "no float64 GRU")
    report = verify(_written(tmp_path, "a.pt", RIGHT.astype("float64")))

    assert report.verdict is Verdict.EQUIVALENT
    assert report.left_out["onnxruntime"] == "no float64 GRU"
    assert report.left_out["keras"] == "not installed: pip install 'grubridge[tensorflow]'"


def test_inputs_that_a_runtime_refuses_are_an_error(runtimes: Runtimes, tmp_path: Path) -> None:
    runtimes.fails["pytorch"] = ProbeError("x must be [batch, time, 4]")

    with pytest.raises(ProbeError, match="x must be"):
        verify(_written(tmp_path, "a.pt"))


def test_inputs_of_the_user_are_used(runtimes: Runtimes, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((2, 7, 4), np.float32))
    report = verify(_written(tmp_path, "a.pt"), _written(tmp_path, "b.pt"), inputs=tmp_path / "x.npy")

    assert runtimes.inputs[0].probe.x.shape == (2, 7, 4)
    assert report.probe is not None
    assert (report.probe.origin, report.probe.lengths, report.probe.initial_state) == ("x.npy", None, "zero")


SMALL = make_spec("small", seed=41)


def test_conversion_is_verified_in_the_precision_that_was_asked_for(
    runtimes: Runtimes, tmp_path: Path
) -> None:
    source = _written(tmp_path, "a.pt")
    for dtype, edges in ((None, ["read", "write", "end-to-end"]), ("float16", ["read", "write"])):
        made = convert(source, tmp_path / f"{dtype}.safetensors", dtype=dtype)
        report = verify_conversion(made)
        assert report.verdict is Verdict.EQUIVALENT
        assert [edge for edge, *_ in _edges(report)] == edges
    runtimes.misreads["onnxruntime"] = "recurrent bias dropped"
    report = verify_conversion(convert(source, tmp_path / "b.onnx"))
    wrong = {one.edge for one in report.comparisons if one.verdict is Verdict.DIFFERENT}
    assert wrong == {"write", "end-to-end"}


def test_weights_that_hold_nan_are_inconclusive(runtimes: Runtimes, tmp_path: Path) -> None:
    direction = next(SMALL.directions())[2]
    weight = direction.input_weight.candidate.copy()
    weight[0, 0] = np.nan
    broken = replace(direction, input_weight=replace(direction.input_weight, candidate=weight))
    path = _written(tmp_path, "a.onnx", replace(SMALL, layers=(replace(SMALL.layers[0], forward=broken),)))
    with pytest.warns(UserWarning, match="holds NaN or infinity"):
        report = verify(path, path)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.diagnosis[0].cause == "not judged"
    assert runtimes.inputs


def test_nothing_to_verify_is_an_error() -> None:
    with pytest.raises(ProbeError, match="at least one model file"):
        verify()


def test_hints_that_no_file_has_a_use_for_are_refused(tmp_path: Path) -> None:
    path = _written(tmp_path, "a.pt")
    with pytest.raises((UnknownFormatError, FileFormatError), match="--activation"):
        verify(path, path, hints=ReadHints(activation="relu"))


def test_report_has_no_truth_value(runtimes: Runtimes, tmp_path: Path) -> None:
    report = verify(_written(tmp_path, "a.pt"), _written(tmp_path, "b.pt"))

    with pytest.raises(TypeError, match="no truth value"):
        bool(report)
    assert runtimes.inputs
