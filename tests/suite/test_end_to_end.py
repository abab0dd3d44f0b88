"""A team's repository, checked as its CI does it: a right pair, a wrong gate order, one in float16."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from grubridge.conversion import convert
from tests.cli.command import grubridge

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
FRAMEWORKS = {"jax", "keras", "onnxruntime", "tensorflow", "tf_keras", "torch"}
MANIFEST = """\
version = 1

[[pair]]
artifacts = ["models/digits.pt", "models/digits.onnx"]

[[pair]]
name = "ported by hand"
artifacts = ["models/source.pt", "models/ported.keras"]

[[pair]]
name = "half"
artifacts = ["models/digits.pt", "models/half.onnx"]
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository, whose lock was written by a first check of its good pair."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "models").mkdir()
    shutil.copy(SAMPLES / "digits_two_layer.pt", folder / "models" / "digits.pt")
    shutil.copy(SAMPLES / "digits_two_layer.onnx", folder / "models" / "digits.onnx")
    shutil.copy(SAMPLES / "wrong" / "source.pt", folder / "models" / "source.pt")
    shutil.copy(SAMPLES / "wrong" / "unreordered_gates.keras", folder / "models" / "ported.keras")
    convert(folder / "models" / "digits.pt", folder / "models" / "half.onnx", dtype="float16")
    (folder / "grubridge.toml").write_text(MANIFEST, encoding="utf-8")
    return folder


@pytest.fixture
def team(models: Path, tmp_path: Path) -> Path:
    """Return a copy of the repository."""
    return Path(shutil.copytree(models, tmp_path / "repository"))


def test_a_pull_request(torch: ModuleType, keras: ModuleType, onnxruntime: ModuleType, team: Path) -> None:
    del torch, keras, onnxruntime
    ended = grubridge("check", "--json", cwd=team)

    assert (ended.code, ended.stderr) == (1, "")
    pairs = {pair["name"]: pair for pair in json.loads(ended.stdout)["pairs"]}
    assert {name: pair["status"] for name, pair in pairs.items()} == {
        "ported by hand": "different",
        "half": "different",
        "models/digits.{pt,onnx}": "equivalent",
    }
    assert pairs["ported by hand"]["cause"] == "gate order: the update and reset gates are exchanged"
    assert pairs["half"]["cause"].startswith("precision: ")
    assert "float16" in pairs["half"]["cause"]

    # what the team does about it
    manifest = team / "grubridge.toml"
    text = MANIFEST + "tolerance = { atol = 1e-2 }\n"
    text = text.replace('name = "ported by hand"', 'name = "ported by hand"\nxfail = "to be ported again"')
    manifest.write_text(text, encoding="utf-8")
    accepted = grubridge("check", cwd=team)
    assert (accepted.code, accepted.stderr) == (0, "")
    assert accepted.stdout.splitlines()[-1].startswith(
        "PASSED: 3 pairs of grubridge.toml: 1 xfailed, 2 equivalent"
    )

    # and what CI then has to do: nothing, and without a framework
    code = "import sys; from grubridge_cli import console, main\n"
    code += "console_leave = console.leave\n"
    code += "def leave(code): print(sorted(m for m in sys.modules if '.' not in m)); console_leave(code)\n"
    code += "console.leave = leave; sys.argv[1:] = ['check', '--locked']; main.main()"
    locked = subprocess.run(
        [sys.executable, "-c", code], cwd=team, capture_output=True, text=True, check=False
    )
    assert (locked.returncode, locked.stderr) == (0, "")
    *_, counts, modules = locked.stdout.splitlines()
    assert counts.startswith(
        "PASSED: 3 pairs of grubridge.toml: 1 xfailed, 2 equivalent; 3 unchanged, answered from the lock"
    )
    assert "numpy" in modules
    assert FRAMEWORKS.isdisjoint(json.loads(modules.replace("'", '"')))


def test_before_a_commit(team: Path) -> None:
    ended = grubridge("check", "--weights-only", cwd=team)

    assert (ended.code, ended.stderr) == (1, "")
    assert "gate order: the update and reset gates are exchanged" in ended.stdout.replace("\n  ", " ")
    assert ended.stdout.splitlines()[-1].startswith(
        "DIFFERENT: 3 pairs of grubridge.toml: 2 different, 1 equivalent"
    )
    one = grubridge("check", "--weights-only", "-k", "digits", cwd=team)
    assert one.code == 0
    assert "2 not selected" in one.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-k", "nothing"], "no pair of grubridge.toml was checked; 3 not selected"),
        (["--locked"], "is out of date: it is not in the lock"),
        (["nowhere.toml"], "error: nowhere.toml: there is no such file"),
        (["-j", "0"], "--jobs"),
        (["-k", "(digits"], "-k '(digits': a parenthesis is not closed"),
        (["--locked", "--device", "cpu"], "a lock is of runs as the manifest has them"),
    ],
)
def test_what_could_not_be_done(team: Path, arguments: list[str], told: str) -> None:
    ended = grubridge("check", *arguments, cwd=team)

    assert ended.code == 2
    assert told in " ".join((ended.stdout + ended.stderr).split())
    assert "Traceback" not in ended.stderr


def test_no_manifest(tmp_path: Path) -> None:
    ended = grubridge("check", cwd=tmp_path)

    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: there is no grubridge.toml here, and no pyproject.toml with ")


def test_an_empty_manifest_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "grubridge.toml").write_text("version = 1\n", encoding="utf-8")

    assert grubridge("check", cwd=tmp_path).code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_progress_is_shown_on_a_terminal_alone(team: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [str(Path(sys.executable).with_name("grubridge")), "check", "--weights-only", "--json"]
    done = subprocess.run(command, cwd=team, stdout=subprocess.PIPE, stderr=theirs, check=False)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)

    assert json.loads(done.stdout)["outcome"] == "different"
    assert shown.startswith("\r\x1b[K1 of 3 pairs; last: models/digits.{pt,onnx}, equivalent\r\x1b[K2 of 3 ")
    assert shown.endswith("\r\x1b[K")  # nothing of it stays
