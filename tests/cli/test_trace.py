"""grubridge trace, run as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import grubridge as library
from tests.cli.command import grubridge
from tests.zoo import member

DIGITS = Path(__file__).resolve().parents[2] / "samples" / "digits_two_layer.pt"
REFERENCE = ("--backend", "reference")


def test_a_trained_model_in_its_own_framework(torch: ModuleType, tmp_path: Path) -> None:
    del torch
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((2, 8, 8)))

    ended = grubridge("trace", DIGITS, "--inputs", "x.npy", "--out", "t.npz", cwd=tmp_path)

    assert (ended.code, ended.stderr) == (0, "")
    assert "inputs: x.npy; 2 sequences of 8 steps\n" in ended.stdout
    assert "\nlayer 1 forward, 16 units\n" in ended.stdout
    assert max(map(len, ended.stdout.splitlines()[1:])) <= 60  # the first names the file
    with np.load(tmp_path / "t.npz") as stored:
        assert stored["layer1.forward.update"].shape == (2, 8, 16)
        states = (stored["layer1.forward.hidden"], stored["layer1.forward.candidate"])
        z, (h, n) = stored["layer1.forward.update"], states
        np.testing.assert_allclose(z[:, 1:] * h[:, :-1] + (1 - z[:, 1:]) * n[:, 1:], h[:, 1:], atol=1e-6)


def test_json_is_one_document() -> None:
    ended = grubridge(
        "trace", DIGITS, *REFERENCE, "--json", "--unit", 3, "--steps", 5, "--lengths", "5,1,2,3"
    )

    values = json.loads(ended.stdout)
    assert (ended.code, ended.stderr) == (0, "")
    assert values["unit"] == 3
    assert values["inputs"] == {"origin": "random, seed 0", "batch": 4, "steps": 5, "lengths": [5, 1, 2, 3]}
    assert values["run"]["backend"] == "reference"
    expected = library.trace(DIGITS, backend="reference", steps=5, lengths=[5, 1, 2, 3]).of_unit(3)
    assert values == json.loads(json.dumps(library.to_json(expected)))


@pytest.mark.parametrize(("encoding", "curve"), [("ascii", "_.-:=+*#"), ("utf-8", "▁▂▃▄▅▆▇█")])
def test_sparklines_are_drawn_with_what_the_output_can_show(encoding: str, curve: str) -> None:
    ended = grubridge("trace", DIGITS, *REFERENCE, PYTHONIOENCODING=encoding)

    line = next(line for line in ended.stdout.splitlines() if line.startswith("  z "))
    drawn = set(line[13:37])
    assert ended.code == 0
    assert len(drawn) > 4
    assert drawn <= set(curve)


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "no such file": (("nowhere.pt",), "error: nowhere.pt: there is no such file\n"),
    "no model": (("notes.txt",), "error: notes.txt: this is not a model file that grubridge can read "),
    "several": (
        ("two.safetensors",),
        "error: two.safetensors: it holds 2 GRUs: a, b; choose one with --stack",
    ),
    "no gru": (("none.safetensors",), "error: none.safetensors: no GRU in it; "),
    "inputs": (
        ("one.onnx", "--inputs", "wrong.npy"),
        "error: wrong.npy: x must be [batch, time, 5] numbers; ",
    ),
    "no array": (("one.onnx", "--inputs", "notes.txt"), "error: notes.txt: this is not an .npy or .npz file"),
    "sizes": (
        ("one.onnx", "--inputs", "wrong.npy", "--seed", "1"),
        "error: inputs bring their own sizes: leave",
    ),
    "out": (("one.onnx", "--out", "notes.txt"), "error: notes.txt: a trace is written as .npz; expected"),
    "folder": (("one.onnx", "--out", "no/t.npz"), "error: no/t.npz: the folder no does not exist; create it"),
    "exists": (("one.onnx", "--out", "old.npz"), "error: old.npz: the file exists; choose another name, or "),
    "backend": (
        ("one.onnx", "--backend", "onnx"),
        "error: unknown backend 'onnx'. Did you mean 'onnxruntime'?",
    ),
    "unit": (("one.onnx", "--unit", "7"), "error: unit must be 0 to 6, which every layer has; received 7\n"),
    "device": (
        ("one.onnx", "--device", "gpu"),
        "error: the float64 equations run on the CPU; received device",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("trace")
    library.write(member("reset_after"), made / "one.onnx")
    from safetensors.numpy import load_file, save_file

    library.write(member("reset_after"), made / "a.safetensors")
    gru = load_file(made / "a.safetensors")
    save_file(
        {f"{name}.{key}": value for name in "ab" for key, value in gru.items()}, made / "two.safetensors"
    )
    save_file({"dense.weight": np.eye(3, dtype=np.float32)}, made / "none.safetensors")
    np.save(made / "wrong.npy", np.zeros((1, 2, 3)))
    (made / "notes.txt").write_text("no model, no array\n")
    (made / "old.npz").write_text("precious\n")
    return made


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_to_do(folder: Path, case: str) -> None:
    arguments, message = REFUSED[case]
    backend = () if "--backend" in arguments else REFERENCE

    ended = grubridge("trace", *arguments, *backend, cwd=folder)

    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(message)
    assert ended.stderr.count("\n") == 1
    assert (folder / "old.npz").read_text() == "precious\n"


def test_an_error_is_json_too(folder: Path) -> None:
    ended = grubridge("trace", "none.safetensors", "--json", cwd=folder)

    assert ended.code == 2
    assert json.loads(ended.stdout)["error"]["kind"] == "StackSelectionError"


def test_force_replaces_the_file(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "old.npz"
    out.write_text("old")

    assert grubridge("trace", folder / "one.onnx", *REFERENCE, "--out", out, "--force").code == 0
    with np.load(out) as stored:
        assert stored["layer0.forward.reset"].shape == (4, 24, 7)
    assert [path.name for path in tmp_path.iterdir()] == ["old.npz"]
