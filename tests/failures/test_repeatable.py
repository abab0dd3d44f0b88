"""The same input and seed give the same bytes: files and reports, on every run and from anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import grubridge as library
from tests.cli.command import grubridge
from tests.zoo import make_spec

ENDINGS = (".pt", ".safetensors", ".onnx", ".keras", ".h5")
FORMS = ("text", "json", "junit", "markdown", "github", "html")


@pytest.fixture(scope="module", name="files")
def _files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, seed in (("a.pt", 0), ("b.onnx", 0), ("wrong.safetensors", 1)):
        library.write(make_spec("small", seed=seed), folder / name)
    np.savez(folder / "x.npz", x=np.ones((2, 3, 5), np.float32))
    pairs = '[[pair]]\nartifacts = ["a.pt", "wrong.safetensors"]\n[[pair]]\nartifacts = ["a.pt", "b.onnx"]\n'
    (folder / "grubridge.toml").write_text(f"version = 1\n{pairs}", encoding="utf-8")
    return folder


@pytest.fixture(scope="module", name="runs")
def _runs() -> tuple[dict[str, str], ...]:
    """What two runs have around them."""
    return {"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_conversion_gives_the_same_file(
    ending: str, files: Path, runs: tuple[dict[str, str], ...], tmp_path: Path
) -> None:
    made: list[bytes] = []
    for number, environment in enumerate(runs):
        folder = tmp_path / str(number)
        (folder / "tmp").mkdir(parents=True)
        place = {"TMPDIR": str(folder / "tmp"), **environment}
        ended = grubridge("convert", files / "a.pt", f"made{ending}", cwd=folder, **place)
        assert ended.code == 0, ended.stderr
        made.append((folder / f"made{ending}").read_bytes())

    assert made[0] == made[1]


def test_all_of_a_file_are_the_same(files: Path, tmp_path: Path) -> None:
    made: list[dict[str, bytes]] = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        library.convert_all(files / "a.pt", folder, to_format="onnx")
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})

    assert made[0] == made[1]
    assert made[0]


@pytest.mark.usefixtures("torch", "onnxruntime")
def test_reports_and_what_is_kept_are_the_same(
    files: Path, runs: tuple[dict[str, str], ...], tmp_path: Path
) -> None:
    """A check in all forms at once, a verify, a trace, and the lock; both are DIFFERENT, with a diagnosis."""
    found: list[dict[str, bytes]] = []
    for number, environment in enumerate(runs):
        folder = tmp_path / str(number)
        (folder / "tmp").mkdir(parents=True)
        place = {"TMPDIR": str(folder / "tmp"), "GRUBRIDGE_CACHE": str(folder / "cache"), **environment}
        lock = files / "grubridge.lock.json"
        lock.unlink(missing_ok=True)
        said: dict[str, bytes] = {}
        for command in (["check", "--jobs", str(1 + number)], ["verify", "a.pt", "wrong.safetensors"]):
            forms = [f"--format={form}={folder / command[0]}.{form}" for form in FORMS]
            ended = grubridge(*command, *forms, cwd=files, **place)
            assert ended.code == 1, ended.stderr
            said[command[0]] = ended.stdout.encode()
        traced = grubridge(
            "trace", "a.pt", "--inputs", "x.npz", "--out", folder / "trace.npz", cwd=files, **place
        )
        assert traced.code == 0, traced.stderr
        said["trace"] = traced.stdout.encode()
        said["lock"] = lock.read_bytes()
        found.append(said | {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})

    assert sorted(found[0]) == sorted(found[1])
    assert len(found[0]) == 4 + 2 * len(FORMS) + 1
    for name, first in found[0].items():
        assert found[1][name].splitlines() == first.splitlines(), name
