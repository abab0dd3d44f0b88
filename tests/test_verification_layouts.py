"""verify and trace with a layout, and with a recorded run of one's own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.conversion import convert
from grubridge.errors import LayoutError, ProbeError, StackSelectionError, UnknownFormatError
from grubridge.formats.base import ReadHints, WriteOptions
from grubridge.reference import run
from grubridge.verification import verify, verify_conversion
from tests.backends.hand_cells import CELLS, draw, run_cell
from tests.simulated import Runtimes
from tests.zoo import make_spec

D2L = ReadHints(layout="d2l")


def _file(folder: Path, cell: str, dtype: str = "float32", seed: int = 0) -> Path:
    from safetensors.torch import save_file

    path = folder / f"{cell} {seed}.safetensors"
    save_file(draw(CELLS[cell], dtype, seed), path)
    return path


def _recorded(path: Path, cell: str, *, skew: float = 0.0, gates: bool = True) -> Path:
    """Run the cell as it was typed, and write what its user would."""
    import torch

    tensors = draw(CELLS[cell], "float32")
    tensors["W_xh"] = tensors["W_xh"] + skew
    x = torch.from_numpy(np.random.default_rng(5).normal(size=(2, 7, 3))).float()
    made = {
        name: value.numpy() for name, value in run_cell(CELLS[cell], tensors, x, torch.zeros(2, 4)).items()
    }
    np.savez(path, x=x.numpy(), **(made if gates else {"hidden": made["hidden"]}))  # type: ignore[arg-type]
    return path


def _edges(report: CheckReport) -> set[tuple[str, str | None]]:
    return {(one.edge, one.left.backend) for one in report.comparisons}


@pytest.mark.usefixtures("torch", "runtimes")
def test_a_layout_is_for_every_file_that_holds_its_tensors(tmp_path: Path) -> None:
    one = _file(tmp_path, "d2l")
    other = tmp_path / "other.onnx"
    convert(one, other, hints=D2L)

    assert verify(one, other, hints=D2L).verdict is Verdict.EQUIVALENT
    assert verify(other, one, one, hints=D2L).verdict is Verdict.EQUIVALENT


@pytest.mark.usefixtures("torch", "runtimes")
def test_a_layout_that_no_file_holds_is_refused(tmp_path: Path) -> None:
    described, built_in, node = _file(tmp_path, "d2l"), tmp_path / "gru.safetensors", tmp_path / "gru.onnx"
    grubridge.write(make_spec("gru"), built_in)
    grubridge.write(make_spec("gru"), node)

    with pytest.raises(
        StackSelectionError, match=r"gru.safetensors: no GRU in it; no tensor has a name of the"
    ):
        verify(built_in, node, hints=D2L)
    with pytest.raises(UnknownFormatError, match="--layout is for files of named tensors; this file is onnx"):
        verify(node, hints=D2L)
    with pytest.raises(StackSelectionError, match="its tensors fit the layout d2l: pass --layout d2l"):
        verify(described, node)
    with pytest.raises(LayoutError, match="no layout is called 'd2'"):
        verify(described, hints=ReadHints(layout="d2"))


@pytest.mark.usefixtures("torch", "runtimes")
def test_a_conversion_into_a_layout_is_verified(tmp_path: Path) -> None:
    made = convert(
        _file(tmp_path, "d2l"),
        tmp_path / "concat.safetensors",
        hints=D2L,
        options=WriteOptions(layout="concat-xh"),
    )

    assert made.target_layout == "concat-xh"
    assert verify_conversion(made, hints=D2L).verdict is Verdict.EQUIVALENT


@pytest.mark.usefixtures("torch")
def test_an_example_needs_no_runtime(tmp_path: Path, runtimes: Runtimes) -> None:
    file, example = _file(tmp_path, "d2l"), _recorded(tmp_path / "run.npz", "d2l")

    report = verify(file, hints=D2L, example=example)

    assert report.verdict is Verdict.EQUIVALENT
    assert {one.quantity for one in report.comparisons} == {"hidden", "update", "reset", "candidate"}
    assert _edges(report) == {("read", "recorded")}
    assert runtimes.inputs == []
    assert report.probe is not None
    assert report.probe.origin.endswith("run.npz")


@pytest.mark.usefixtures("torch", "runtimes")
def test_an_example_of_other_weights_is_another_function(tmp_path: Path) -> None:
    file, example = _file(tmp_path, "d2l"), _recorded(tmp_path / "run.npz", "d2l", skew=1e-3, gates=False)
    twin = tmp_path / "twin.onnx"
    convert(file, twin, hints=D2L)

    assert verify(file, hints=D2L, example=example).verdict is Verdict.DIFFERENT
    report = verify(file, twin, hints=D2L, example=example)
    assert report.verdict is Verdict.DIFFERENT
    assert {one.edge for one in report.comparisons if one.verdict is Verdict.DIFFERENT} == {"read"}
    tolerant = verify(file, twin, hints=D2L, example=example, tolerance=grubridge.Tolerance(1e-3, 0.0))
    assert tolerant.verdict is Verdict.DIFFERENT


@pytest.mark.usefixtures("torch", "runtimes")
def test_an_example_beside_runs(tmp_path: Path) -> None:
    file, example = _file(tmp_path, "d2l"), _recorded(tmp_path / "run.npz", "d2l")
    twin = tmp_path / "twin.onnx"
    convert(file, twin, hints=D2L)

    report = verify(file, twin, hints=D2L, example=example, tolerance=grubridge.Tolerance(1e-4, 0.0))

    assert report.verdict is report.by_the_bound is Verdict.EQUIVALENT
    assert ("read", "recorded") in _edges(report)
    assert any(edge == "end-to-end" for edge, _ in _edges(report))


@pytest.mark.usefixtures("torch", "runtimes")
@pytest.mark.parametrize("last", [False, True])
def test_outputs_that_are_a_function_of_the_states(tmp_path: Path, *, last: bool) -> None:
    """A concatenating cell that returns the tanh of its states, as the layout concat-xh says."""
    import torch
    from safetensors.torch import save_file

    names = {"update": "update_gate", "reset": "reset_gate", "new": "candidate"}
    tensors = draw(CELLS["concat"], "float32")
    stored = {f"{names[name.partition('.')[0]]}.{name.partition('.')[2]}": a for name, a in tensors.items()}
    save_file(stored, tmp_path / "cell.safetensors")
    x = torch.from_numpy(np.random.default_rng(5).normal(size=(2, 7, 3))).float()
    states = run_cell(CELLS["concat"], tensors, x, torch.zeros(2, 4))

    def verdict(outputs: Any, **gates: Any) -> Verdict:
        made = {"last": outputs[:, -1]} if last else {"hidden": outputs}
        np.savez(tmp_path / "run.npz", x=x.numpy(), **made, **gates)
        hints = ReadHints(layout="concat-xh")
        return verify(tmp_path / "cell.safetensors", hints=hints, example=tmp_path / "run.npz").verdict

    assert verdict(states["hidden"].tanh().numpy()) is Verdict.EQUIVALENT
    assert verdict(states["hidden"].numpy()) is Verdict.DIFFERENT
    assert verdict((states["hidden"] * 1.001).tanh().numpy()) is Verdict.DIFFERENT
    if not last:
        with pytest.raises(
            ProbeError, match="gates are compared beside the states, and this cell returns tanh"
        ):
            verdict(states["hidden"].tanh().numpy(), update=states["update"].numpy())


@pytest.mark.usefixtures("torch", "runtimes")
@pytest.mark.parametrize("setting", [{"seed": 1}, {"device": "cpu"}, {"lengths": [3]}, {"allow_tf32": True}])
def test_settings_of_runs_are_refused_where_nothing_runs(tmp_path: Path, setting: dict[str, Any]) -> None:
    file, example = _file(tmp_path, "d2l"), _recorded(tmp_path / "run.npz", "d2l")

    with pytest.raises(ProbeError, match="one file and an example: nothing runs, so leave out inputs, seed"):
        verify(file, hints=D2L, example=example, **setting)


@pytest.mark.usefixtures("torch", "runtimes")
def test_an_example_is_a_run_of_one_gru(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "two.safetensors"
    tensors = {f"{cell}.{name}": a for cell in "ab" for name, a in draw(CELLS["d2l"], "float32").items()}
    save_file(tensors, path)
    example = _recorded(tmp_path / "run.npz", "d2l")

    with pytest.raises(ProbeError, match="an example is a run of one GRU: choose it with --stack NAME"):
        verify(path, hints=D2L, example=example)
    assert verify(path, stack="b", hints=D2L, example=example).verdict is Verdict.EQUIVALENT


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("cell", "layout", "absent"),
    [("reset only", "d2l-reset-only", "update"), ("update only", "d2l-update-only", "reset")],
)
def test_a_cell_without_a_gate_runs_as_described_and_nowhere_else(
    tmp_path: Path, cell: str, layout: str, absent: str
) -> None:
    file, hints = _file(tmp_path, cell), ReadHints(layout=layout)

    report = verify(file, hints=hints, seed=3)

    assert report.verdict is Verdict.EQUIVALENT
    assert [one.backend for one in report.runs] == ["reference", "pytorch"]
    (ran,) = (one for one in report.runs if one.backend == "pytorch")
    assert (ran.kernel, ran.native, ran.gates) == (
        f"cell {layout} as described, torch operators",
        True,
        "observed",
    )
    assert all(
        f"it has no {absent} gate" in reason
        for name, reason in report.left_out.items()
        if name == "onnxruntime"
    )
    assert "onnxruntime" in report.left_out


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("cell", ["d2l", "update only"])
def test_trace_runs_a_file_as_described(tmp_path: Path, cell: str) -> None:
    layout = {"d2l": "d2l", "update only": "d2l-update-only"}[cell]
    file = _file(tmp_path, cell, "float64")

    traced = grubridge.trace(file, layout=layout)
    equations = run(traced.spec, traced.probe)[0, "forward"].arrays()

    for quantity, made in traced[0, "forward"].arrays().items():
        np.testing.assert_allclose(made, equations[quantity], rtol=0, atol=1e-13, err_msg=quantity)
    assert traced.trace.kernel == f"cell {layout} as described, torch operators"
