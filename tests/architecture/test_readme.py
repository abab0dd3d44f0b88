"""README.md does what it says.

A ```console block is run: each line after `$ ` is a shell command, and the lines below it are what it prints,
where `...` stands for anything. A failing command adds a last line, `[exit code N]`. A ```python block is run
as a script. Blocks run in order, in one folder that holds a copy of samples/. Other blocks are only shown.
"""

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _run(command: list[str], folder: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "COLUMNS": "110", "NO_COLOR": "1"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout + (f"[exit code {done.returncode}]\n" if done.returncode else "")


def _mistakes(kind: str, block: str, folder: Path) -> Iterator[str]:
    if kind == "python":
        printed = _run([sys.executable, "-c", block], folder)
        if "[exit code" in printed:
            yield f"{block}\n{printed}"
        return
    for command, expected in COMMAND.findall(block):
        printed = _run(["sh", "-c", command], folder)
        if not doctest.OutputChecker().check_output(expected, printed, LOOSELY):
            yield f"$ {command}\nexpected:\n{expected}\nprinted:\n{printed}"


def test_blocks_do_what_they_say(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    mistakes = [mistake for kind, block in blocks for mistake in _mistakes(kind, block, tmp_path)]

    assert blocks
    if mistakes:
        pytest.fail("\n\n".join(mistakes), pytrace=False)
