"""trace and verify with --layout and --example, run as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.backends.hand_cells import CELLS, draw, run_cell
from tests.cli.command import grubridge


@pytest.fixture
def folder(torch: ModuleType, tmp_path: Path) -> Path:
    """A folder with a d2l cell as torch saves it, and a run of the cell beside it."""
    tensors = draw(CELLS["d2l"], "float32")
    torch.save(tensors, tmp_path / "d2l.pt")
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 5, 3))).float()
    made = run_cell(CELLS["d2l"], tensors, x, torch.zeros(2, 4))
    np.savez(tmp_path / "run.npz", x=x.numpy(), hidden=made["hidden"].numpy())
    return tmp_path


def test_a_described_cell_is_traced(folder: Path) -> None:
    ended = grubridge("trace", "d2l.pt", "--layout", "d2l", cwd=folder)

    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith("d2l.pt, gru\nrun: torch ")
    assert "cell d2l as described," in ended.stdout
    assert "gates: observed in the run itself" in ended.stdout
    assert "note: the cell was computed as its layout describes it; its" in ended.stdout


def test_a_described_cell_and_its_twin(folder: Path, onnxruntime: ModuleType) -> None:
    del onnxruntime
    converted = grubridge("convert", "d2l.pt", "d2l.onnx", "--layout", "d2l", cwd=folder)
    ended = grubridge("verify", "d2l.pt", "d2l.onnx", "--layout", "d2l", "--json", cwd=folder)

    assert converted.code == 0, converted.stderr
    assert (ended.code, ended.stderr) == (0, "")
    report = json.loads(ended.stdout)
    assert report["verdict"] == "EQUIVALENT"
    kernels = {run["backend"]: run["kernel"] for run in report["runs"]}
    assert kernels["pytorch"] == "cell d2l as described, torch operators"
    assert {one["quantity"] for one in report["comparisons"]} == {"hidden", "update", "reset", "candidate"}


def test_a_recorded_run_is_held_against_the_file(folder: Path) -> None:
    ended = grubridge("verify", "d2l.pt", "--layout", "d2l", "--example", "run.npz", cwd=folder)

    assert (ended.code, ended.stderr) == (0, "")
    assert "\nread: the recorded run B against the equations of A\n" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("EQUIVALENT: ")


def test_a_recorded_run_of_another_cell_is_different(folder: Path) -> None:
    with np.load(folder / "run.npz") as made:
        np.savez(folder / "run.npz", x=made["x"], hidden=made["hidden"] * np.float32(1.001))

    ended = grubridge("verify", "d2l.pt", "--layout", "d2l", "--example", "run.npz", cwd=folder)

    assert ended.code == 1
    assert "DIFFERENT: " in ended.stdout


def test_settings_of_runs_beside_an_example_alone(folder: Path) -> None:
    ended = grubridge("verify", "d2l.pt", "--layout", "d2l", "--example", "run.npz", "--seed", 1, cwd=folder)

    assert ended.code == 2
    assert ended.stdout == ""
    assert "one file and an example: nothing runs, so leave out inputs, seed" in ended.stderr


def test_without_a_layout_the_fitting_one_is_named(folder: Path) -> None:
    ended = grubridge("trace", "d2l.pt", cwd=folder)

    assert ended.code == 2
    assert "its tensors fit the layout d2l: pass --layout d2l" in ended.stderr
