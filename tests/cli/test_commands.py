"""What the commands print and how they end, on files that are in order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import grubridge as library
from grubridge.formats.readback import differences
from tests.cli.command import grubridge
from tests.zoo import make_spec, member

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    library.write(member("two_layers_bidirectional"), path)
    return path


def test_inspect_json_is_the_documented_one() -> None:
    ended = grubridge("inspect", SAMPLES / "sunspots_reset_before.h5", "--json")

    (stack,) = json.loads(ended.stdout)["stacks"]
    assert (ended.code, ended.stderr) == (0, "")
    assert stack["dtype"] == "float32"
    assert stack["layers"] == [
        {
            "input_size": 1,
            "hidden_size": 12,
            "directions": ["forward"],
            "reset_after": False,
            "gate_activation": "sigmoid",
            "candidate_activation": "tanh",
            "bias": "input",
            "clip": None,
            "initial_state": False,
        }
    ]
    assert stack["targets"]["onnx"] == []
    assert "the reset gate is applied before" in stack["targets"]["pytorch"][0]


def test_convert_accounts_for_every_tensor(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"

    ended = grubridge("convert", model, target, "--json")

    document = json.loads(ended.stdout)
    assert (ended.code, ended.stderr) == (0, "")
    assert document["exact"] is True
    assert {tensor["tensor"]: tensor["actions"] for tensor in document["tensors"]} == {
        f"gru_{layer}_{part}": ["permuted"] for layer in (0, 1) for part in "WRB"
    }
    assert differences(library.read(target), member("two_layers_bidirectional")) == ()


def test_a_cast_is_reported_with_its_largest_change(tmp_path: Path) -> None:
    source, target = tmp_path / "model.safetensors", tmp_path / "half.safetensors"
    library.write(member("reset_after"), source)

    ended = grubridge("convert", source, target, "--dtype", "float16", "--json")

    wide, half = load_file(source), load_file(target)
    for tensor in json.loads(ended.stdout)["tensors"]:
        change = np.abs(half[tensor["tensor"]].astype(float) - wide[tensor["tensor"]].astype(float)).max()
        assert tensor["actions"] == ["cast"]
        assert tensor["largest_change"] == pytest.approx(change, rel=1e-6)
        assert not tensor["exact"]


def _several(path: Path) -> Path:
    tensors: dict[str, np.ndarray] = {}
    for number, prefix in enumerate(("encoder.rnn", "decoder.rnn")):
        part = path.with_name(f"{number}.safetensors")
        library.write(make_spec(prefix, seed=number), part)
        tensors |= {f"{prefix}.{name}": array for name, array in load_file(part).items()}
        part.unlink()
    save_file(tensors, path)
    return path


def test_several_grus_ask_for_a_choice(tmp_path: Path) -> None:
    source = _several(tmp_path / "model.safetensors")

    unchosen = grubridge("convert", source, tmp_path / "out.onnx")
    chosen = grubridge("convert", source, tmp_path / "out.onnx", "--stack", "encoder.rnn")

    assert unchosen.code == 2
    assert "it holds 2 GRUs: decoder.rnn, encoder.rnn; choose one with --stack NAME" in unchosen.stderr
    assert chosen.code == 0
    assert differences(library.read(tmp_path / "out.onnx"), make_spec("encoder", seed=0)) == ()


def test_all_writes_one_file_each_or_none(tmp_path: Path) -> None:
    source, folder = _several(tmp_path / "model.safetensors"), tmp_path / "out"

    missing = grubridge("convert", source, folder, "--all", "--to", "onnx")
    folder.mkdir()
    occupied = folder / "encoder.rnn.onnx"
    occupied.write_text("precious")
    refused = grubridge("convert", source, folder, "--all", "--to", "onnx")
    left = list(folder.iterdir())
    made = grubridge("convert", source, folder, "--all", "--to", "onnx", "--force")

    assert (missing.code, refused.code, made.code) == (2, 2, 0)
    assert left == [occupied]
    assert sorted(path.name for path in folder.iterdir()) == ["decoder.rnn.onnx", "encoder.rnn.onnx"]
    assert differences(library.read(occupied), make_spec("encoder", seed=0)) == ()


def test_a_refusal_of_all_names_the_folder_and_nothing_temporary(tmp_path: Path) -> None:
    source, folder = tmp_path / "model.onnx", tmp_path / "out"
    library.write(member("clip"), source)
    folder.mkdir()

    ended = grubridge("convert", source, folder, "--all", "--to", "pytorch")

    assert ended.code == 2
    assert ended.stderr.startswith(f"error: {folder / 'gru_0.pt'}: pytorch cannot hold this GRU")
    assert list(folder.iterdir()) == []


def test_a_source_with_a_name_of_other_bytes(tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode(b"mod\xe8le.safetensors")
    library.write(member("reset_after"), source)

    ended = grubridge("convert", source, tmp_path / "out.onnx")

    assert ended.code == 0, ended.stderr
    assert differences(library.read(tmp_path / "out.onnx"), member("reset_after")) == ()


def test_all_needs_a_format_and_no_stack(model: Path, tmp_path: Path) -> None:
    ended = grubridge("convert", model, tmp_path, "--all")

    assert ended.code == 2
    assert "needs --to FORMAT" in " ".join(ended.stderr.split())


def test_verify_ends_with_0_1_or_3(torch: ModuleType, onnxruntime: ModuleType, tmp_path: Path) -> None:
    del torch, onnxruntime  # only to skip where they are missing
    source = tmp_path / "model.pt"
    library.write(member("reset_after"), source)
    twin, other, double = (tmp_path / name for name in ("twin.onnx", "other.onnx", "double.onnx"))
    library.write(member("reset_after"), twin)
    library.write(make_spec("other", seed=99), other)
    library.write(member("reset_after").astype("float64"), double)

    equal = grubridge("verify", source, twin, "--json")
    different = grubridge("verify", source, other)
    unknown = grubridge("verify", double, "--backend", "onnxruntime")

    report = json.loads(equal.stdout)
    assert (equal.code, report["verdict"], report["schema_version"]) == (0, "EQUIVALENT", 1)
    assert all(0 < row["headroom"] <= 1 for row in report["comparisons"])
    assert different.code == 1
    assert different.stdout.splitlines()[-1].startswith("DIFFERENT: B is not the function of A")
    assert unknown.code == 3
    assert unknown.stdout.splitlines()[-1].startswith("INCONCLUSIVE")


def test_convert_and_verify_in_one_go(torch: ModuleType, onnxruntime: ModuleType, tmp_path: Path) -> None:
    del torch, onnxruntime
    source = tmp_path / "model.pt"
    library.write(member("reset_after"), source)

    ended = grubridge("convert", source, tmp_path / "out.onnx", "--verify", "--json")

    document = json.loads(ended.stdout)
    assert ended.code == 0
    assert document["verification"]["verdict"] == "EQUIVALENT"
    assert {row["edge"] for row in document["verification"]["comparisons"]} == {"read", "write", "end-to-end"}


def test_formats_shows_what_a_conversion_is_checked_against() -> None:
    ended = grubridge("formats", "--json")

    rows = {row["format"]: row for row in json.loads(ended.stdout)["formats"]}
    assert list(rows) == ["keras", "onnx", "pytorch", "safetensors", "tensorflow"]
    assert [name for name, row in rows.items() if not row["written"]] == ["tensorflow"]
    assert rows["pytorch"]["reset_after"] == [True]
    assert rows["keras"]["reset_after"] == [True, False]
    assert rows["onnx"]["clip"] is True
    assert grubridge("formats").stdout.startswith("keras  (.keras")


def test_a_reader_that_goes_away_is_no_verdict(model: Path) -> None:
    command = (
        f"{Path(sys.executable).with_name('grubridge')} inspect {model} | head -c 1; exit ${{PIPESTATUS[0]}}"
    )

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert done.returncode in {0, 141}  # the pipe may have held it all
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments", ["formats", "formats --bogus", "inspect none.pt", "inspect none.pt --json"]
)
@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", ">/dev/full", "2>/dev/full", "&>/dev/full"])
def test_streams_that_take_nothing_are_no_verdict(arguments: str, streams: str, tmp_path: Path) -> None:
    command = f"{Path(sys.executable).with_name('grubridge')} {arguments} {streams}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert "Traceback" not in done.stderr
    if arguments == "formats":
        assert done.returncode == (2 if ">/dev/full" in streams and streams[0] != "2" else 0)
    else:
        assert done.returncode == 2
    if (arguments, streams) == ("formats", ">/dev/full"):
        assert done.stderr == "error: stdout cannot be written to: No space left on device\n"


def test_output_survives_an_ascii_pipe(tmp_path: Path) -> None:
    source = tmp_path / "mod\u00e8le.safetensors"
    library.write(member("reset_after"), source)

    ended = grubridge("inspect", source, PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert ended.code == 0
    assert "mod\\xe8le.safetensors" in ended.stdout


def test_a_defect_is_not_a_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cli.console import run_guarded

    def broken() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("warnings.showwarning", None)

    assert run_guarded(broken) == 70
    assert "this is a defect of grubridge" in capsys.readouterr().err


def test_too_little_memory_is_no_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cli.console import run_guarded

    def large() -> None:
        raise MemoryError("Unable to allocate 47.7 GiB")

    monkeypatch.setattr("warnings.showwarning", None)

    assert run_guarded(large) == 2
    assert capsys.readouterr().err.startswith("error: not enough memory: Unable to allocate 47.7 GiB; ")


def test_version_and_help() -> None:
    version, help_page = grubridge("--version"), grubridge("--help")

    assert version.stdout == "grubridge 0.1.0\n"
    for command in ("convert", "verify", "check", "inspect", "trace", "explain", "identify", "doctor"):
        assert f"  {command} " in help_page.stdout
    assert "..." not in help_page.stdout.partition("Commands:")[2]  # nothing is cut off


def test_verdicts_are_coloured_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from cli.console import highlighted

    text = "A  a.pt\nDIFFERENT: B is not the function of A\n"
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert highlighted(text) == text
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert highlighted(text) == "A  a.pt\n\x1b[31m\x1b[1mDIFFERENT: B is not the function of A\x1b[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert highlighted(text) == text


LONG = "x" * 300
MODEL = SAMPLES / "digits_two_layer.pt"


@pytest.mark.skipif(sys.platform == "win32", reason="other limits")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["convert", MODEL, f"{LONG}.pt"],
            "it cannot be written: File name too long",
        ),
        (
            ["convert", MODEL, f"{LONG}/x.pt"],
            "it cannot be written: File name too long",
        ),
        (["convert", MODEL, LONG, "--all", "--to", "onnx"], "File name too long"),
        (["verify", MODEL, "-o", f"{LONG}.txt"], "File name too long"),
        (["check", LONG], "File name too long"),
    ],
)
def test_a_name_that_the_system_cannot_have_is_no_defect(
    arguments: list[object], told: str, tmp_path: Path
) -> None:
    found = grubridge(*arguments, cwd=tmp_path)

    assert (found.code, found.stdout) == (2, "")
    assert found.stderr.endswith(f"{told}\n")
    assert list(tmp_path.iterdir()) == []


def test_links_in_a_circle_are_no_defect(tmp_path: Path) -> None:
    (tmp_path / "a.pt").symlink_to("b.pt")
    (tmp_path / "b.pt").symlink_to("a.pt")
    (tmp_path / "grubridge.toml").write_text(
        'version = 1\n[[pair]]\nartifacts = ["a.pt"]\n', encoding="utf-8"
    )
    checked = grubridge("check", cwd=tmp_path)

    assert checked.code == 2
    assert "a.pt: it cannot be opened: Too many levels of symbolic links" in checked.stdout.replace("\n", " ")
