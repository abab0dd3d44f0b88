"""A disk that is full or refuses, folders and files without permission: the old file stays, and nothing else.

Faults are injected where the system is asked, and real ones are made where the machine allows it.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import grubridge as library
from grubridge.spec import Array
from grubridge.suite.lock import Lock
from tests.cli.command import Ended, grubridge
from tests.zoo import make_spec, member

ENDINGS = (".pt", ".safetensors", ".onnx", ".keras", ".h5")


def _convert(ending: str) -> Callable[[Path, Path], Path]:
    def write(source: Path, folder: Path) -> Path:
        target = folder / f"target{ending}"
        library.convert(source, target, force=True)
        return target

    return write


def _report(_: Path, folder: Path) -> Path:
    library.save_report("a report\n", folder / "report.md")
    return folder / "report.md"


def _lock(_: Path, folder: Path) -> Path:
    Lock({}).write(folder / "grubridge.lock.json")
    return folder / "grubridge.lock.json"


def _trace(source: Path, folder: Path) -> Path:
    target = folder / "trace.npz"
    library.trace(source, np.ones((1, 2, 5)), backend="reference", out=target, force=True)
    return target


WRITERS = {ending: _convert(ending) for ending in ENDINGS} | {
    "report": _report,
    "lock": _lock,
    "trace": _trace,
}
FAULTS = {
    "write": ("pwrite", errno.ENOSPC),
    "fsync": ("fsync", errno.ENOSPC),
    "lying disk": ("fsync", errno.EIO),
    "rename": ("rename", errno.EACCES),
    "no folder": ("mkdir", errno.EROFS),
}


@pytest.fixture(name="source")
def _source(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "source.safetensors"
    path.parent.mkdir()
    library.write(member("reset_after"), path)
    return path


def _refusing(code: int) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def _inject(patch: pytest.MonkeyPatch, call: str, code: int) -> None:
    refuse = _refusing(code)
    if call == "pwrite":
        patch.setattr("os.pwrite", refuse)
        patch.setattr("pathlib.Path.write_bytes", refuse)
        patch.setattr("numpy.savez", refuse)
    elif call == "rename":
        patch.setattr("pathlib.Path.replace", refuse)
        patch.setattr("pathlib.Path.hardlink_to", refuse)
    elif call == "mkdir":
        patch.setattr("pathlib.Path.mkdir", refuse)
    else:
        patch.setattr(f"os.{call}", refuse)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("writer", WRITERS)
def test_the_old_file_stays_and_nothing_else(
    writer: str, fault: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    write = WRITERS[writer]
    target = write(source, folder)
    target.write_bytes(b"old")
    call, code = FAULTS[fault]

    with monkeypatch.context() as patch:
        _inject(patch, call, code)
        with pytest.raises(library.TargetError) as caught:
            write(source, folder)

    assert str(caught.value) == f"{target}: it cannot be written: {os.strerror(code)}"
    assert [path.name for path in folder.iterdir()] == [target.name]
    assert target.read_bytes() == b"old"
    write(source, folder)
    assert target.read_bytes() != b"old"
    assert [path.name for path in folder.iterdir()] == [target.name]


@pytest.fixture(name="several")
def _several(tmp_path: Path) -> tuple[Path, Path]:
    """A file with three GRUs, and a folder in which two of the targets are already."""
    source, folder = tmp_path / "three.safetensors", tmp_path / "out"
    tensors: dict[str, Array] = {}
    for seed, name in enumerate(("one", "two", "three")):
        library.write(make_spec(name, seed=seed), source, force=True)
        tensors |= {f"{name}.{key}": array for key, array in load_file(source).items()}
    save_file(tensors, source)
    folder.mkdir()
    for name in ("one", "three"):
        (folder / f"{name}.pt").write_bytes(f"old {name}".encode())
    return source, folder


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_all_or_nothing_when_a_rename_fails(
    failing: int, several: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder = several
    before = _content(folder)
    real, renames = Path.replace, []

    def replace(path: Path, target: Path) -> Path:
        if target.parent == folder:
            renames.append(target)
            if len(renames) == failing:
                raise OSError(errno.EPERM, "Operation not permitted")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(library.TargetError, match="it cannot be written: Operation not permitted"):
        library.convert_all(source, folder, to_format="pytorch", force=True)

    assert _content(folder) == before


def test_what_cannot_be_put_back_is_named(
    several: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, folder = several
    real, renames = Path.replace, []

    def replace(path: Path, target: Path) -> Path:
        if target.parent == folder:
            renames.append(target)
            if len(renames) >= 3:  # the third, and every attempt to go back
                raise OSError(errno.EPERM, "Operation not permitted")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(library.TargetError) as caught:
        library.convert_all(source, folder, to_format="pytorch", force=True)

    assert str(caught.value) == (
        f"{folder / 'one.pt'}: it cannot be written: Operation not permitted; these files are not as they "
        f"were: {folder / 'one.pt'}, {folder / 'three.pt'}"
    )
    assert sorted(_content(folder)) == ["one.pt", "three.pt"]


def test_a_model_and_its_data_are_never_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the two renames, the old model must not find the new data."""
    monkeypatch.setattr("grubridge.formats.onnx.store._LARGEST_MESSAGE", 100)
    target, data = tmp_path / "big.onnx", tmp_path / "big.onnx.data"
    library.write(make_spec("old", seed=1), target)
    old = _content(tmp_path)
    seen: list[tuple[bool, bool]] = []
    real = Path.replace

    def replace(path: Path, final: Path) -> Path:
        moved = real(path, final)
        seen.append((target.exists(), data.exists() and data.read_bytes() != old[data.name]))
        return moved

    monkeypatch.setattr(Path, "replace", replace)
    library.write(make_spec("new", seed=2), target, force=True)

    assert seen == [(False, False), (False, False), (False, True), (True, True)]
    assert sorted(_content(tmp_path)) == [target.name, data.name]

    def refuse(path: Path, final: Path) -> Path:
        if final == target and path.parent.name != "replaced":
            raise OSError(errno.EIO, "Input/output error")
        return real(path, final)

    new = _content(tmp_path)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(library.TargetError, match="Input/output error"):
        library.write(make_spec("newer", seed=3), target, force=True)
    assert _content(tmp_path) == new


def test_a_file_size_limit(tmp_path: Path) -> None:
    large, target = tmp_path / "large.safetensors", tmp_path / "target.pt"
    library.write(make_spec("large", sizes=(90, 90)), large)
    ended = _limited("convert", large, target)

    assert ended.stderr == f"error: {target}: it cannot be written: File too large\n"
    assert ended.code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.safetensors"]


def _limited(*arguments: object) -> Ended:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("grubridge")), *map(str, arguments)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("no mount on this system")
    options = ["-t", "tmpfs", "-o", "size=160k", "none", str(folder)]
    if subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run([umount, str(folder)], check=True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_disk_that_is_full(ending: str, small_disk: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "large.safetensors", small_disk / f"target{ending}"
    library.write(make_spec("large", sizes=(80, 90)), source)
    ended = grubridge("convert", source, target)

    assert ended.stderr == f"error: {target}: it cannot be written: No space left on device\n"
    assert (ended.code, list(small_disk.iterdir())) == (2, [])


@pytest.fixture(name="ordinary")
def _ordinary() -> list[str]:
    """What makes a command one of an ordinary user, to whom permissions apply."""
    if os.geteuid():
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root may write anywhere, and there is no setpriv to give that up")
    return [setpriv, "--bounding-set=-all", "--inh-caps=-all"]


def _as(ordinary: list[str], *arguments: object) -> Ended:
    command = [*ordinary, str(Path(sys.executable).with_name("grubridge")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def test_a_folder_that_cannot_be_written_to(ordinary: list[str], source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(0o500)
    model = _as(ordinary, "convert", source, folder / "target.pt")
    several = _as(ordinary, "convert", source, folder, "--all", "--to", "onnx")
    report = _as(ordinary, "verify", source, source, "--format", f"junit={folder / 'report.xml'}")

    for ended, name in ((model, "target.pt"), (several, "gru.onnx")):
        told = f"error: {folder / name}: the folder {folder} cannot be written to\n"
        assert (ended.code, ended.stdout, ended.stderr) == (2, "", told)
    assert (report.code, report.stdout) == (2, "")
    assert f"{folder / 'report.xml'} cannot be written to" in report.stderr.replace("\n", "")
    assert list(folder.iterdir()) == []


def test_a_source_that_cannot_be_read(ordinary: list[str], source: Path, tmp_path: Path) -> None:
    source.chmod(0)
    target = tmp_path / "out.pt"
    for command in (["inspect", source], ["convert", source, target], ["verify", source, source]):
        ended = _as(ordinary, *command)
        assert (ended.code, ended.stdout) == (2, "")
        assert ended.stderr == f"error: {source}: it cannot be opened: Permission denied\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_target_that_is_no_file(source: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.pt"
    os.mkfifo(pipe)
    ended = grubridge("convert", source, pipe, "--force")

    assert ended.stderr == f"error: {pipe}: expected a file; received a device, pipe or socket\n"
    assert (ended.code, pipe.is_fifo()) == (2, True)


def test_a_link_to_nothing_is_a_file_that_exists(source: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.pt"
    link.symlink_to(tmp_path / "nothing")
    ended = grubridge("convert", source, link)

    assert (ended.code, link.is_symlink()) == (2, True)
    assert "the file exists; choose another name" in ended.stderr
