"""verify --fix: a wrong twin written anew, verified, and refused where that would mend nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grubridge.checker.verdict import Verdict
from grubridge.conversion import read, write
from grubridge.errors import TargetError, UnsupportedFeatureError
from grubridge.formats.base import ReadHints, WriteOptions
from grubridge.mending import mend
from grubridge.spec import Gates, GRUDirection, GRUSpec
from grubridge.verification import verify
from tests.mistakes import MISTAKES
from tests.simulated import Runtimes
from tests.zoo import make_spec

RIGHT = make_spec("right", sizes=(4, 6), seed=41)


def _pair(folder: Path, wrong: GRUSpec, ending: str = "onnx") -> tuple[Path, Path]:
    paths = folder / "right.pt", folder / f"wrong.{ending}"
    for path, spec in zip(paths, (RIGHT, wrong), strict=True):
        write(spec, path)
    return paths


@pytest.mark.usefixtures("runtimes")
@pytest.mark.parametrize("ending", ["onnx", "keras", "safetensors"])
@pytest.mark.parametrize("mistake", ["update and reset exchanged", "recurrent bias dropped"])
def test_a_convention_is_mended(tmp_path: Path, mistake: str, ending: str) -> None:
    right, wrong = _pair(tmp_path, MISTAKES[mistake](RIGHT), ending)
    before = wrong.read_bytes()
    new = tmp_path / f"new.{ending}"

    mended = mend(verify(right, wrong), new)

    assert mended.check.verdict is Verdict.EQUIVALENT
    assert (mended.conversion.target, mended.conversion.target_format) == (
        new,
        mended.check.artifacts[1].format,
    )
    assert wrong.read_bytes() == before
    for (_, one), (_, other) in zip(read(right).arrays(), read(new).arrays(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("runtimes")
def test_one_wrong_weight_is_named_and_mended(tmp_path: Path) -> None:
    direction = RIGHT.layers[0].forward
    assert direction is not None
    weight = direction.recurrent_weight.candidate.copy()
    weight[3, 1] += np.float32(2.4e-5)
    changed = replace(direction, recurrent_weight=replace(direction.recurrent_weight, candidate=weight))
    right, wrong = _pair(tmp_path, replace(RIGHT, layers=(replace(RIGHT.layers[0], forward=changed),)))
    report = verify(right, wrong)

    assert report.verdict is Verdict.DIFFERENT
    assert [cause.cause for cause in report.diagnosis] == ["weight"]
    assert (
        "differs by 2.4e-05: layer 0 forward recurrent_weight.candidate[3, 1]" in report.diagnosis[0].detail
    )
    assert mend(report, tmp_path / "new.onnx").check.verdict is Verdict.EQUIVALENT


@pytest.mark.usefixtures("runtimes")
def test_units_in_another_order_are_named(tmp_path: Path) -> None:
    direction = RIGHT.layers[0].forward
    assert direction is not None
    order = np.array([2, 0, 1, 5, 4, 3])
    assert direction.input_bias is not None
    assert direction.recurrent_bias is not None
    moved = replace(
        direction,
        input_weight=direction.input_weight.map(lambda w: w[order]),
        recurrent_weight=direction.recurrent_weight.map(lambda u: u[order][:, order]),
        input_bias=direction.input_bias.map(lambda b: b[order]),
        recurrent_bias=direction.recurrent_bias.map(lambda b: None if b is None else b[order]),
    )
    right, wrong = _pair(tmp_path, replace(RIGHT, layers=(replace(RIGHT.layers[0], forward=moved),)))
    (cause,) = verify(right, wrong).diagnosis

    assert cause.cause == "order of hidden units"
    assert (
        cause.detail == "units 0, 1, 2, ... of layer 0 forward are units 2, 0, 1, 5, 4, 3 of the first file"
    )


@pytest.mark.usefixtures("runtimes")
def test_what_writing_anew_would_not_mend_is_refused(tmp_path: Path) -> None:
    right, wrong = _pair(tmp_path, MISTAKES["update and reset exchanged"](RIGHT))
    half = tmp_path / "half.pt"
    write(RIGHT.astype("float16"), half)
    new = tmp_path / "new.pt"

    for paths, reason in (
        ((right, right), "the two files are not different: EQUIVALENT"),
        ((right, half), "the cause is not in how the second file was written"),
        ((right, wrong, wrong), "it takes two files with one GRU each; received 3"),
    ):
        with pytest.raises(UnsupportedFeatureError, match=f"--fix cannot mend this: {reason}"):
            mend(verify(*paths), new)
    assert not new.exists()


@pytest.mark.usefixtures("runtimes")
def test_a_runtime_at_fault_is_not_mended_by_a_file(tmp_path: Path, runtimes: Runtimes) -> None:
    right, twin = _pair(tmp_path, RIGHT)
    runtimes.misreads["onnxruntime"] = "update and reset exchanged"
    report = verify(right, twin)

    assert report.verdict is Verdict.DIFFERENT
    assert report.proofs[0].proof.equal
    with pytest.raises(UnsupportedFeatureError, match="not in how the second file was written"):
        mend(report, tmp_path / "new.onnx")


@pytest.mark.usefixtures("runtimes")
def test_a_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    right, wrong = _pair(tmp_path, MISTAKES["update and reset exchanged"](RIGHT))
    report, new = verify(right, wrong), tmp_path / "new.onnx"
    new.write_text("mine")

    with pytest.raises(TargetError, match="the file exists"):
        mend(report, new)
    assert new.read_text() == "mine"
    assert mend(report, new, force=True).check.verdict is Verdict.EQUIVALENT


@pytest.mark.usefixtures("runtimes")
def test_a_cell_of_ones_own_is_mended_in_its_own_layout(tmp_path: Path) -> None:
    by_d2l = WriteOptions(layout="d2l")
    spec = make_spec("cell", sizes=(4, 6), reset_after=False, biases="input", seed=42)
    direction = spec.layers[0].forward
    assert direction is not None
    w, u, b = direction.input_weight, direction.recurrent_weight, direction.input_bias
    assert b is not None
    w, u, b = (Gates(gates.reset, gates.update, gates.candidate) for gates in (w, u, b))
    layer = replace(spec.layers[0], forward=GRUDirection(w, u, b))
    right, wrong, new = tmp_path / "right.onnx", tmp_path / "wrong.pt", tmp_path / "new.pt"
    write(spec, right)
    write(replace(spec, layers=(layer,)), wrong, options=by_d2l)
    hints = ReadHints(layout="d2l")

    mended = mend(verify(right, wrong, hints=hints), new, hints=hints)

    assert mended.check.verdict is Verdict.EQUIVALENT
    stored = dict(read(new, hints=hints).arrays())
    assert len(stored) == 9
    for name, array in spec.arrays():
        np.testing.assert_array_equal(stored[name], array)
