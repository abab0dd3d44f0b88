"""A runtime that is installed and broken: told, counted, never green, and the other pairs go on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

import grubridge as library
from tests.cli.command import grubridge
from tests.zoo import make_spec


@dataclass(frozen=True)
class Broken:
    """A package that cannot be used.

    Args:
        code: its __init__.py.
        told: words of what the user reads.
        check: the exit code of a check with it, and the status of its pair.
    """

    code: str
    told: str
    check: tuple[int, str] = (2, "trouble")


BROKEN = {
    "raises": Broken(
        "raise RuntimeError('built for another machine')", "RuntimeError: built for another machine"
    ),
    "misses a library": Broken(
        "raise ImportError('libcudart.so.12: cannot open shared object file')",
        "onnxruntime cannot be imported: ImportError: libcudart.so.12",
        (3, "inconclusive"),
    ),
    "crashes": Broken("import os; os.abort()", "its process was killed by SIGABRT before it answered"),
    "ends the process": Broken(
        "import sys; sys.exit(0)", "its process ended with exit code 0 before it answered"
    ),
    "is empty": Broken("", "AttributeError"),
}


@pytest.fixture(scope="module", name="models")
def _models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("a.pt", "b.onnx", "c.safetensors"):
        library.write(make_spec("small"), folder / name)
    pairs = '[[pair]]\nartifacts = ["a.pt", "b.onnx"]\n[[pair]]\nartifacts = ["a.pt", "c.safetensors"]\n'
    (folder / "grubridge.toml").write_text(f"version = 1\n{pairs}", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("torch", "onnxruntime")
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_runtime_is_never_green(kind: str, models: Path, tmp_path: Path) -> None:
    broken = BROKEN[kind]
    package = tmp_path / "onnxruntime"
    package.mkdir()
    (package / "__init__.py").write_text(broken.code, encoding="utf-8")
    path = {"PYTHONPATH": str(tmp_path)}

    verified = grubridge("verify", "a.pt", "b.onnx", "--json", cwd=models, **path)
    checked = grubridge("check", "--json", "--no-cache", cwd=models, **path)

    assert verified.code == 3
    found = json.loads(verified.stdout)
    assert found["verdict"] == "INCONCLUSIVE"
    assert "onnxruntime" not in {run["backend"] for run in found["runs"]}
    assert broken.told in verified.stdout
    assert "Traceback" not in verified.stderr + checked.stderr
    code, status = broken.check
    results = {tuple(one["artifacts"]): one["status"] for one in json.loads(checked.stdout)["pairs"]}
    assert (checked.code, results) == (
        code,
        {("a.pt", "b.onnx"): status, ("a.pt", "c.safetensors"): "equivalent"},
    )
    assert broken.told in checked.stdout


@pytest.mark.usefixtures("torch", "onnxruntime")
def test_a_runtime_whose_import_hangs(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "onnxruntime"
    package.mkdir()
    (package / "__init__.py").write_text("import time; time.sleep(600)", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("grubridge.backends.pool._START", 2.0)

    report = library.verify(models / "b.onnx", backends=["onnxruntime"])

    assert report.verdict is library.Verdict.INCONCLUSIVE
    told = " ".join(cause.detail for cause in report.diagnosis)
    assert "it gave no answer within 2 s, so its process was ended" in told


@pytest.mark.usefixtures("torch")
def test_a_device_that_is_not_there(models: Path) -> None:
    device = "cuda:77"  # more than any machine of these tests has
    runs = [
        grubridge("verify", "a.pt", "c.safetensors", "--device", device, cwd=models),
        grubridge("trace", "a.pt", "--device", device, cwd=models),
        grubridge("check", "-k", "c", "--device", device, cwd=models),
    ]

    assert [ended.code for ended in runs] == [2, 2, 2]
    for ended in runs:
        words = " ".join((ended.stdout + ended.stderr).split())
        assert f"it has no device '{device}' here" in words
