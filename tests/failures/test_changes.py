"""The source: never opened for writing, never replaced, and noticed when it changes while it is read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

import grubridge as library
from grubridge.files import changes, staging
from tests.cli.command import grubridge
from tests.tf_checkpoints import cudnn_compatible_cell, save
from tests.zoo import make_spec, member

ENDINGS = (".pt", ".safetensors", ".onnx", ".keras", ".h5")
CHANGED = "it was changed while it was read; wait until the program that writes it is done, and try again"


def _appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


def _same_size(path: Path) -> None:
    """Another byte in the same place, and the old time: only the time of the status tells."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced(path: Path) -> None:
    other = path.with_name("other")
    shutil.copy2(path, other)
    other.replace(path)


def _removed(path: Path) -> None:
    path.unlink()


CHANGES = {one.__name__: one for one in (_appended, _same_size, _replaced, _removed)}


def _when_read(monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], path: Path) -> None:
    """Let a file change after its weights were read, before the target is there."""
    real = changes.check_sources

    def check(targets: object) -> None:
        change(path)
        real(targets)  # type: ignore[arg-type]

    monkeypatch.setattr(staging, "check_sources", check)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_source_that_changes(
    ending: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / f"source{ending}", tmp_path / "target.npz.safetensors"
    library.write(member("reset_after"), source)
    _when_read(monkeypatch, CHANGES[change], source)

    with pytest.raises(library.FileFormatError) as caught:
        library.convert(source, target)

    assert str(caught.value) == f"{source}: {CHANGED}"
    assert {path.name for path in tmp_path.iterdir()} <= {source.name}


def test_one_of_several_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, folder = tmp_path / "source.pt", tmp_path / "out"
    library.write(member("reset_after"), source)
    folder.mkdir()
    _when_read(monkeypatch, _same_size, source)

    with pytest.raises(library.FileFormatError, match="it was changed while it was read"):
        library.convert_all(source, folder, to_format="onnx")
    assert list(folder.iterdir()) == []


def test_content_that_changes_behind_the_back_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written through a map of a file need not touch its times; the hash tells."""
    source = tmp_path / "source.pt"
    library.write(member("reset_after"), source)
    monkeypatch.setattr("grubridge.files.changes._stamp", lambda _: (0,))
    _when_read(monkeypatch, _same_size, source)

    with pytest.raises(library.FileFormatError, match="it was changed while it was read"):
        library.convert(source, tmp_path / "target.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["source.pt"]


@pytest.fixture(name="in_two_files")
def _in_two_files(tmp_path: Path) -> tuple[Path, Path]:
    path, data = tmp_path / "model.onnx", tmp_path / "weights.onnx"
    library.write(member("reset_after"), path)
    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location=data.name, size_threshold=0)
    return path, data


def test_external_data_that_changes(
    in_two_files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, data = in_two_files
    _when_read(monkeypatch, _same_size, data)

    with pytest.raises(library.FileFormatError) as caught:
        library.convert(source, tmp_path / "target.pt")
    assert str(caught.value) == f"{data}: {CHANGED}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "weights.onnx"]


def test_a_part_of_a_checkpoint_that_changes(
    tensorflow: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = save(tensorflow, tmp_path / "model", cudnn_compatible_cell())
    part = next(tmp_path.glob("*.data-*"))
    _when_read(monkeypatch, _same_size, part)

    with pytest.raises(library.FileFormatError) as caught:
        library.convert(prefix, tmp_path / "target.pt")
    assert str(caught.value) == f"{part}: {CHANGED}"


def test_a_source_that_stays_is_no_trouble(in_two_files: tuple[Path, Path], tmp_path: Path) -> None:
    source, _ = in_two_files
    assert library.convert(source, tmp_path / "target.pt").exact


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_source_is_opened_for_writing(ending: str, tmp_path: Path) -> None:
    """Python says which files it opens and how; every reading command is asked."""
    source, target = tmp_path / f"source{ending}", tmp_path / "target.onnx"
    library.write(member("reset_after"), source)
    watching = (
        "import os, sys\n"
        "name = sys.argv[1]\n"
        "def hook(event, arguments):\n"
        "    if event != 'open' or os.path.basename(str(arguments[0])) != name: return\n"
        "    flags = arguments[2]\n"
        "    writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)\n"
        "    print('WRITES' if writes else 'reads', file=sys.stderr)\n"
        "sys.addaudithook(hook)\n"
        "from grubridge_cli.main import main\n"
        "sys.argv[:2] = ['grubridge']\n"
        "main()\n"
    )
    explain = ["explain", source, "--inputs", "1,2,3,4,5"]
    for command in (["inspect", source], ["convert", source, target], explain):
        done = subprocess.run(
            [sys.executable, "-c", watching, source.name, *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "reads" in done.stderr
        assert "WRITES" not in done.stderr


def _itself(source: Path, _: Path) -> Path:
    return source


def _hard_link(source: Path, folder: Path) -> Path:
    other = folder / f"hard{source.suffix}"
    other.hardlink_to(source)
    return other


def _symlink(source: Path, folder: Path) -> Path:
    other = folder / f"soft{source.suffix}"
    other.symlink_to(source)
    return other


def _roundabout(source: Path, folder: Path) -> Path:
    (folder / "sub").mkdir()
    return folder / "sub" / ".." / source.name


NAMES = {one.__name__: one for one in (_itself, _hard_link, _symlink, _roundabout)}


@pytest.mark.parametrize("name", NAMES)
def test_a_source_is_never_the_target(name: str, tmp_path: Path) -> None:
    source = tmp_path / "model.safetensors"
    library.write(member("reset_after"), source)
    before = source.read_bytes()
    target = NAMES[name](source, tmp_path)

    converted = grubridge("convert", source, target, "--force")
    reported = [
        grubridge("verify", source, source, option)
        for option in (f"--format=junit={target}", f"-o{target}", f"--html={target}")
    ]

    assert converted.code == 2
    assert "source and target are the same file" in converted.stderr
    for ended in reported:
        assert ended.code == 2
        assert "is read by this run, and no report may replace it" in " ".join(ended.stderr.split())
    assert source.read_bytes() == before


def test_what_lies_beside_a_source_is_no_target(in_two_files: tuple[Path, Path]) -> None:
    source, data = in_two_files
    before = data.read_bytes()
    ended = grubridge("convert", source, data, "--force")

    assert ended.stderr == (f"error: {data}: source and target are the same file; choose another name\n")
    assert (ended.code, data.read_bytes()) == (2, before)


def test_data_that_a_target_would_bring_along_is_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, data = tmp_path / "model.onnx", tmp_path / "target.onnx.data"
    library.write(member("reset_after"), source)
    onnx.save_model(
        onnx.load(source), source, save_as_external_data=True, location=data.name, size_threshold=0
    )
    before = data.read_bytes()
    monkeypatch.setattr("grubridge.formats.onnx.store._LARGEST_MESSAGE", 100)

    with pytest.raises(library.TargetError, match=r"target\.onnx\.data: source and target are the same file"):
        library.convert(source, tmp_path / "target.onnx", force=True)
    assert data.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "target.onnx.data"]


def test_the_source_is_not_one_of_all_targets(tmp_path: Path) -> None:
    source = tmp_path / "gru.safetensors"
    library.write(member("reset_after"), source)
    before = source.read_bytes()
    ended = grubridge("convert", source, tmp_path, "--all", "--to", "safetensors", "--force")

    assert ended.code == 2
    assert f"{source}: source and target are the same file" in ended.stderr
    assert source.read_bytes() == before


def test_a_trace_does_not_replace_its_inputs(tmp_path: Path) -> None:
    source, inputs = tmp_path / "model.onnx", tmp_path / "x.npz"
    library.write(make_spec("small"), source)
    np.savez(inputs, x=np.ones((1, 2, 5), np.float32))
    before = inputs.read_bytes()
    ended = grubridge(
        "trace", source, "--inputs", inputs, "--out", inputs, "--force", "--backend", "reference"
    )

    assert ended.stderr == f"error: {inputs}: source and target are the same file; choose another name\n"
    assert (ended.code, inputs.read_bytes()) == (2, before)


def test_two_grus_of_one_file_name(tmp_path: Path) -> None:
    source, folder = tmp_path / "model.safetensors", tmp_path / "out"
    library.write(make_spec("small"), source)
    tensors = load_file(source)
    both = {f"{name}.{key}": array for name in ("a b", "a+b") for key, array in tensors.items()}
    save_file(both, source)
    folder.mkdir()
    ended = grubridge("convert", source, folder, "--all", "--to", "onnx")

    assert ended.stderr == (
        f"error: {folder / 'a_b.onnx'}: it would be the file of two GRUs, a b and a+b; convert one at a "
        "time, with --stack NAME\n"
    )
    assert (ended.code, list(folder.iterdir())) == (2, [])
