"""A repository of models, and stand-ins for the frameworks that run them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from grubridge.backends.registry import BACKENDS
from tests.suite import stand_in
from tests.suite.repository import Repository


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put stand-ins in the place of PyTorch and ONNX Runtime, in this process and those that it starts."""
    folder = tmp_path / "stand-ins"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(stand_in.SITE_CUSTOMIZE, encoding="utf-8")
    for name in ("pytorch", "onnxruntime"):
        (folder / f"stand_in_{name}.py").write_text(stand_in.MODULE.format(name=name), encoding="utf-8")
        monkeypatch.setitem(BACKENDS, name, BACKENDS[name])  # put back what follows
        sys.modules.pop(f"stand_in_{name}", None)
    monkeypatch.syspath_prepend(folder)
    exec(stand_in.SITE_CUSTOMIZE, {})  # noqa: S102 - as the processes do


@pytest.fixture
def repository(stand_ins: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Return an empty repository whose models are run by stand-ins."""
    del stand_ins
    made = Repository(tmp_path / "repository", tmp_path / "ran.txt")
    made.folder.mkdir()
    monkeypatch.setenv(stand_in.LOG, str(made.log))
    return made
