"""The hand-written cells convert, verify and trace like built-in ones.

What they should compute stands beside each of them: a run of the cell itself, recorded by its own framework.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import grubridge as library
from tests.cli.command import Ended, grubridge
from tests.samples.test_samples import SAMPLES

CELLS = SAMPLES / "cells"
Array = npt.NDArray[Any]

FILES = (".keras", ".h5", ".onnx")
"""Formats that have both a reset before the product and one after it."""

PYTORCH = {  # cell: formats that can hold it
    "d2l": FILES,
    "d2l-reset-only": (),
    "d2l-update-only": (),
    "concat-xh": FILES,
    "concat-hx": FILES,
    "split-linear": (*FILES, ".pt", ".safetensors"),
}
TENSORFLOW = {
    "tf1/gru_cell.index": "tf1-gru-cell",
    "tf1/gru_block_cell.index": "tf1-gru-block-cell",
    "tf1/cudnn_compatible_gru_cell.index": "cudnn-compatible-gru-cell",
    "gates_cell.h5": "keras",
}
ALL = {**{f"{cell}.pt": cell for cell in PYTORCH}, **TENSORFLOW}


def passed(ended: Ended, verdict: str = "EQUIVALENT") -> None:
    assert ended.code == {"EQUIVALENT": 0, "DIFFERENT": 1}[verdict], ended.stdout + ended.stderr
    assert verdict in ended.stdout


def recorded(file: str) -> dict[str, Array]:
    with np.load((CELLS / file).with_suffix(".npz")) as stored:
        return {name: stored[name] for name in stored.files}


def framework(file: str, request: pytest.FixtureRequest) -> None:
    """Skip by name where the cell's own framework is missing."""
    request.getfixturevalue({".pt": "torch", ".index": "keras", ".h5": "tf_keras"}[Path(file).suffix])


@pytest.mark.parametrize("file", ALL)
def test_converts_into_what_can_hold_it_and_is_the_same_function(
    file: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    framework(file, request)
    targets = [tmp_path / f"gru{suffix}" for suffix in PYTORCH.get(ALL[file], (".onnx",))]
    own = tmp_path / "own.safetensors"
    layout = ("--layout", ALL[file])
    for target in targets:
        assert grubridge("convert", CELLS / file, target, *layout).code == 0
    assert grubridge("convert", CELLS / file, own, *layout, "--to-layout", ALL[file]).code == 0

    passed(grubridge("verify", CELLS / file, *targets, own, *layout))


@pytest.mark.parametrize("file", ALL)
def test_is_read_as_its_own_code_ran_it(file: str, request: pytest.FixtureRequest) -> None:
    framework(file, request)
    example = (CELLS / file).with_suffix(".npz")

    passed(grubridge("verify", CELLS / file, "--layout", ALL[file], "--example", example))


def test_a_converted_file_gives_what_the_code_gave(torch: object, tmp_path: Path) -> None:
    del torch
    made = tmp_path / "gru.onnx"
    assert grubridge("convert", CELLS / "d2l.pt", made, "--layout", "d2l").code == 0

    passed(grubridge("verify", made, "--example", CELLS / "d2l.npz"))


@pytest.mark.parametrize(
    ("file", "layout"), [("concat-xh", "concat-hx"), ("d2l-reset-only", "d2l-update-only")]
)
def test_another_layout_is_another_function(file: str, layout: str, torch: object) -> None:
    """[h, x] read as [x, h] fits where I = H; W_xr is not W_xz."""
    del torch
    ended = grubridge("verify", CELLS / f"{file}.pt", "--layout", layout, "--example", CELLS / f"{file}.npz")

    if file == "concat-xh":
        passed(ended, "DIFFERENT")
    else:
        assert ended.code == 2
        assert "W_xz" in ended.stderr


def test_a_changed_recording_is_noticed(torch: object, tmp_path: Path) -> None:
    del torch
    recording = recorded("split-linear.pt")
    recording["hidden"] = recording["hidden"].copy()
    recording["hidden"][1, 3, 2] += 1e-4
    np.savez(tmp_path / "changed.npz", allow_pickle=False, **recording)

    passed(
        grubridge(
            "verify",
            CELLS / "split-linear.pt",
            "--layout",
            "split-linear",
            "--example",
            tmp_path / "changed.npz",
        ),
        "DIFFERENT",
    )


@pytest.mark.parametrize("file", ALL)
def test_trace_gives_the_states_and_gates_that_the_code_gave(
    file: str, request: pytest.FixtureRequest
) -> None:
    framework(file, request)
    code = recorded(file)

    traced = library.trace(CELLS / file, {"x": code["x"]}, hints=library.ReadHints(layout=ALL[file]))

    made = traced[0, "forward"]
    assert made.gates is not None
    returned = np.tanh(made.hidden) if file.startswith("concat") else made.hidden
    if "last" in code:
        np.testing.assert_allclose(returned[:, -1], code["last"], atol=1e-6)
    else:
        np.testing.assert_allclose(returned, code["hidden"], atol=1e-6)
    gates = {name: values for name, values in made.gates.items() if name in code}
    assert set(gates) == code.keys() - {"x", "hidden", "last"}
    for name, values in gates.items():
        np.testing.assert_allclose(values, code[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("cell", ["d2l-reset-only", "d2l-update-only"])
def test_a_bias_can_hold_an_absent_gate(
    cell: str, torch: object, onnxruntime: object, tmp_path: Path
) -> None:
    del torch, onnxruntime
    source, made, layout = CELLS / f"{cell}.pt", tmp_path / "gru.onnx", ("--layout", cell)
    assert grubridge("convert", source, made, *layout, "--saturate").code == 0

    passed(grubridge("verify", source, made, *layout))


@pytest.mark.parametrize(("cell", "gate"), [("d2l-reset-only", "update"), ("d2l-update-only", "reset")])
def test_an_absent_gate_is_said_and_refused(cell: str, gate: str, tmp_path: Path) -> None:
    inspected = grubridge("inspect", CELLS / f"{cell}.pt", "--layout", cell)
    refused = grubridge("convert", CELLS / f"{cell}.pt", tmp_path / "gru.onnx", "--layout", cell)

    assert f"no {gate} gate" in " ".join(inspected.stdout.split())
    assert refused.code == 2
    assert f"it has no {gate} gate" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_book_s_short_form_needs_no_layout(torch: object, onnxruntime: object, tmp_path: Path) -> None:
    del torch, onnxruntime
    assert grubridge("convert", CELLS / "d2l-concise.pt", tmp_path / "gru.onnx").code == 0

    passed(grubridge("verify", CELLS / "d2l-concise.pt", tmp_path / "gru.onnx"))


def test_without_a_layout_the_message_names_it(tmp_path: Path) -> None:
    ended = grubridge("convert", CELLS / "d2l.pt", tmp_path / "gru.onnx")

    assert ended.code == 2
    assert "its tensors fit the layout d2l: pass --layout d2l" in ended.stderr
