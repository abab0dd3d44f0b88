"""The pre-commit hooks and the GitLab example, run as those tools run them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import grubridge
from tests.ci.repository import ROOT, Recorder, parsed, repository, run_shell
from tests.cli.command import Ended
from tests.cli.command import grubridge as run_grubridge

HOOKS = ".pre-commit-hooks.yaml"
GITLAB = "samples/ci/gitlab-ci.yml"
KNOWN_KEYS = {
    "id",
    "name",
    "description",
    "entry",
    "language",
    "files",
    "pass_filenames",
    "require_serial",
    "stages",
}


def _hook(name: str) -> dict[str, Any]:
    hooks: list[dict[str, Any]] = parsed(HOOKS)
    (hook,) = (one for one in hooks if one["id"] == name)
    return hook


def _run(hook: dict[str, Any], repository: Path) -> Ended:
    """Run a hook as pre-commit does: its entry split as a shell would, but without one."""
    command, *arguments = shlex.split(hook["entry"])

    assert command == "grubridge"
    assert hook["pass_filenames"] is False
    return run_grubridge(*arguments, cwd=repository)


def test_hooks_are_well_formed() -> None:
    hooks = parsed(HOOKS)

    assert [hook["id"] for hook in hooks] == ["grubridge-check", "grubridge-lock"]
    for hook in hooks:
        assert hook.keys() <= KNOWN_KEYS
        assert {"id", "name", "entry", "language"} <= hook.keys()
        assert hook["language"] in {"python", "system"}


@pytest.mark.parametrize("hook", ["grubridge-check", "grubridge-lock"])
def test_hooks_watch_every_format_and_the_manifest(hook: str) -> None:
    files = re.compile(_hook(hook)["files"])
    formats = grubridge.to_json(grubridge.format_table())["formats"]
    suffixes = {suffix for one in formats for suffix in one["suffixes"]}

    assert len(suffixes) > 8
    assert {suffix for suffix in suffixes if not files.search(f"models/kws{suffix}")} == set()
    beside = ("k.onnx.data", "k.onnx_data", "model.data-00000-of-00001", "tf/checkpoint", "layouts/mine.toml")
    for name in ("grubridge.toml", "deep/grubridge.toml", "pyproject.toml", "grubridge.lock.json", *beside):
        assert files.search(name), name
    for name in ("train.py", "README.md", "my_grubridge.toml.txt", "onnx", "my_checkpoint"):
        assert not files.search(name), name


def test_the_hook_passes_right_weights(tmp_path: Path) -> None:
    ended = _run(_hook("grubridge-check"), repository(tmp_path))

    assert ended.code == 0, ended.stdout + ended.stderr


def test_the_hook_stops_a_wrong_port_and_writes_nothing(tmp_path: Path) -> None:
    folder = repository(tmp_path, wrong=True)
    before = sorted(folder.rglob("*"))
    ended = _run(_hook("grubridge-check"), folder)

    assert ended.code == 1, ended.stdout + ended.stderr
    assert "ported by hand" in ended.stdout
    assert sorted(folder.rglob("*")) == before


def test_the_hook_that_runs_pairs_keeps_the_lock(
    torch: ModuleType, onnxruntime: ModuleType, tmp_path: Path
) -> None:
    del torch, onnxruntime
    folder = repository(tmp_path)
    ended = _run(_hook("grubridge-lock"), folder)

    assert ended.code == 0, ended.stdout + ended.stderr
    assert (folder / "grubridge.lock.json").exists()
    assert run_grubridge("check", "--locked", cwd=folder).code == 0


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_gitlab_job_runs_in_a_shell(shell: str, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "python", "grubridge", code=0)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    job = parsed(GITLAB)["grubridge"]
    ended = run_shell("\n".join(job["script"]), workspace, {"PATH": recorder.path, **job["variables"]}, shell)

    assert ended.code == 0, ended.stderr
    install, check = recorder.calls
    assert install == ["-m", "pip", "install", "grubridge[all] @ git+https://github.com/OWNER/grubridge@main"]
    assert "Where this repository is `OWNER/grubridge`" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert check[:3] == ["check", "--format", "text"]


def test_the_gitlab_job_leaves_the_reports_that_it_names(
    torch: ModuleType, keras: ModuleType, onnxruntime: ModuleType, tmp_path: Path
) -> None:
    del torch, keras, onnxruntime
    folder = repository(tmp_path, wrong=True)
    job = parsed(GITLAB)["grubridge"]
    ended = run_shell(job["script"][-1], folder, job["variables"], "sh")

    assert ended.code == 1, ended.stdout + ended.stderr
    junit = ET.parse(folder / job["artifacts"]["reports"]["junit"]).getroot()  # noqa: S314 - our own file
    failed = {case.get("name") for case in junit.iter("testcase") if case.find("failure") is not None}
    assert failed == {"ported by hand"}
    assert all((folder / path).stat().st_size for path in job["artifacts"]["paths"])
    assert job["artifacts"]["when"] == "always"
