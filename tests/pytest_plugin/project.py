"""A project in a folder of its own, where pytest finds the plugin by its entry point, as if installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import grubridge
from tests.mistakes import MISTAKES

__all__ = ["Project"]

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
MISTAKE = "update and reset exchanged"
PAIRS = """
[[pair]]
name = "good"
artifacts = ["digits.pt", "digits.onnx"]

[[pair]]
name = "wrong"
artifacts = ["digits.pt", "wrong.onnx"]

[[pair]]
name = "known"
artifacts = ["digits.pt", "wrong.onnx"]
xfail = "the exporter of last year"
"""
PASSING = "def test_of_their_own():\n    assert True\n"


class Project:
    """A folder with model files: a pair that is equivalent, and a twin with its gates exchanged."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.path = pytester.path
        for ending in ("pt", "onnx"):
            shutil.copy(SAMPLES / f"digits_two_layer.{ending}", self.path / f"digits.{ending}")
        spec = grubridge.read(self.path / "digits.pt")
        grubridge.write(MISTAKES[MISTAKE](spec), self.path / "wrong.onnx")
        installed = pytester.mkdir("installed") / "grubridge_entry_point-0.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: grubridge-entry-point\nVersion: 0\n"
        )
        (installed / "entry_points.txt").write_text(_entry_points())
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(installed.parent), str(ROOT)]))
        monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)

    def manifest(self, pairs: str = PAIRS, name: str = "grubridge.toml", above: str = "") -> None:
        """Write a manifest."""
        (self.path / name).write_text(f"{above}version = 1\n{pairs}", encoding="utf-8")

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest."""
        return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def _entry_points() -> str:
    """What pip writes of pyproject.toml into the folder of an installed package."""
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    _, _, after = declared.partition("[project.entry-points.pytest11]\n")
    lines = [line.replace('"', "") for line in after.partition("\n\n")[0].splitlines()]
    return "\n".join(["[pytest11]", *lines, ""])
