"""A small repository as a team keeps it, and the shells that CI services run commands in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Ended

__all__ = ["ROOT", "Recorder", "parsed", "repository", "run_shell"]

ROOT = Path(__file__).resolve().parents[2]
SHELLS = {
    "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"],  # GitHub's `shell: bash`
    "sh": ["sh", "-e"],  # GitLab's runner, in an image without bash
}
_RECORD = """#!{python}
import json, os, sys
with open({log!r}, "a", encoding="utf-8") as log:
    print(json.dumps(sys.argv[1:]), file=log)
sys.exit({code})
"""
_MANIFEST = """version = 1

[[pair]]
name = "digits"
artifacts = ["models/digits.pt", "models/digits.onnx"]
{more}"""
_WRONG = """
[[pair]]
name = "ported by hand"
artifacts = ["models/source.pt", "models/ported.keras"]
"""


def parsed(name: str) -> Any:
    """Return what a YAML file of the project holds."""
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def repository(folder: Path, *, wrong: bool = False) -> Path:
    """Make a repository with a right pair and, if asked for, a wrong one; return its folder."""
    samples, made = ROOT / "samples", folder / "repository"
    (made / "models").mkdir(parents=True)
    shutil.copy(samples / "digits_two_layer.pt", made / "models" / "digits.pt")
    shutil.copy(samples / "digits_two_layer.onnx", made / "models" / "digits.onnx")
    shutil.copy(samples / "wrong" / "source.pt", made / "models" / "source.pt")
    shutil.copy(samples / "wrong" / "unreordered_gates.keras", made / "models" / "ported.keras")
    manifest = _MANIFEST.format(more=_WRONG if wrong else "")
    (made / "grubridge.toml").write_text(manifest, encoding="utf-8")
    return made


def run_shell(script: str, cwd: Path, environment: Mapping[str, str], shell: str = "bash") -> Ended:
    """Run a script as the service runs it: out of a file. The tests' own commands are on the PATH, last in
    `environment` what goes before them.
    """
    file = cwd.parent / f"script-{shell}.sh"
    file.write_text(script, encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [*SHELLS[shell], str(file)],
        cwd=cwd,
        env={**os.environ, "PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Recorder:
    """Commands that only note their arguments, in a folder for the front of the PATH."""

    def __init__(self, folder: Path, *names: str, code: int = 0) -> None:
        self.folder = folder / "recorders"
        self.folder.mkdir()
        self._log = folder / "recorded.jsonl"
        for name in names:
            command = self.folder / name
            text = _RECORD.format(python=sys.executable, log=str(self._log), code=code)
            command.write_text(text, encoding="utf-8")
            command.chmod(0o755)

    @property
    def path(self) -> str:
        """The PATH on which they come first."""
        return os.pathsep.join([str(self.folder), str(Path(sys.executable).parent), os.environ["PATH"]])

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call."""
        if not self._log.exists():
            return []
        return [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]
