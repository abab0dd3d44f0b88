"""Several runs with one target: the last one wins whole, and nothing is torn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import grubridge as library
from benchmarks.large import random_spec
from grubridge.files.cache import keep, kept
from tests.zoo import make_spec

COMMAND = str(Path(sys.executable).with_name("grubridge"))


def _side_by_side(*commands: list[str], cwd: Path) -> list[int]:
    running = [
        subprocess.Popen([COMMAND, *one], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for one in commands
    ]
    return [one.wait() for one in running]


@pytest.mark.parametrize("ending", [".pt", ".h5"])
def test_conversions_to_one_target(ending: str, tmp_path: Path) -> None:
    """Each of another size, so that any mixture would be neither."""
    target, wanted = tmp_path / f"target{ending}", []
    for size in (300, 420):
        library.write(random_spec(size), tmp_path / f"{size}.safetensors")
        library.convert(tmp_path / f"{size}.safetensors", target, force=True)
        wanted.append(target.read_bytes())
    before = sorted(path.name for path in tmp_path.iterdir())
    for _ in range(3):
        codes = _side_by_side(
            *(["convert", f"{size}.safetensors", target.name, "--force"] for size in (300, 420)), cwd=tmp_path
        )
        assert codes == [0, 0]
        assert target.read_bytes() in wanted
        assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two without --force: the second to be done finds the first one's file, and says so."""
    source, target = tmp_path / "a.safetensors", tmp_path / "b.pt"
    library.write(make_spec("small"), source)
    real = Path.hardlink_to

    def late(path: Path, target: Path) -> None:
        path.write_bytes(b"of the other run")
        real(path, target)

    monkeypatch.setattr(Path, "hardlink_to", late)
    with pytest.raises(library.TargetError, match=r"b\.pt: it cannot be written: File exists"):
        library.convert(source, target)
    assert target.read_bytes() == b"of the other run"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.pt"]


@pytest.mark.usefixtures("torch", "onnxruntime")
def test_checks_with_one_lock(tmp_path: Path) -> None:
    for name in ("a.pt", "b.onnx"):
        library.write(make_spec("small"), tmp_path / name)
    pair = '[[pair]]\nartifacts = ["a.pt", "b.onnx"]\n'
    (tmp_path / "grubridge.toml").write_text(f"version = 1\n{pair}", encoding="utf-8")
    codes = _side_by_side(["check", "--no-cache"], ["check", "--no-cache"], cwd=tmp_path)

    assert codes == [0, 0]
    assert list(json.loads((tmp_path / "grubridge.lock.json").read_bytes())["pairs"])
    assert _side_by_side(["check", "--locked"], cwd=tmp_path) == [0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.pt", "b.onnx", "grubridge.lock.json", "grubridge.toml",
    ]  # fmt: skip


def test_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read while others write is the one or the other."""
    monkeypatch.setenv("GRUBRIDGE_CACHE", str(tmp_path))
    key = {"what": "one place"}
    keep(key, "-" * 30_000)
    writing = (
        "import sys\nfrom grubridge.files.cache import keep\n"
        "for _ in range(200): keep({'what': 'one place'}, sys.argv[1] * 30_000)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", writing, letter]) for letter in "ab"]
    seen = set()
    while any(one.poll() is None for one in running):
        seen.add(kept(key))

    assert [one.returncode for one in running] == [0, 0]
    assert {"a" * 30_000, "b" * 30_000} & seen
    assert seen <= {letter * 30_000 for letter in "-ab"}
    assert len(list(tmp_path.iterdir())) == 1
