"""--install-completion makes the Tab key work in bash and zsh, at a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE = 20.0


class Terminal:
    """A shell that believes a person sits before it."""

    def __init__(self, shell: str, home: Path) -> None:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {
            **os.environ,
            "HOME": str(home),
            "PATH": path,
            "PS1": "",
            "TERM": "dumb",
            "LC_ALL": "C",
        }
        self._own, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [shell, "-i"],
            cwd=home,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def types(self, keys: str) -> None:
        """Type something."""
        os.write(self._own, keys.encode())

    def shows(self, text: str) -> str:
        """Wait until the screen shows `text`; return all that it showed since the last time."""
        shown, deadline = "", time.monotonic() + PATIENCE
        while text not in shown and time.monotonic() < deadline:
            if select.select([self._own], [], [], 0.1)[0]:
                shown += os.read(self._own, 4096).decode(errors="replace")
        assert text in shown, shown
        return shown

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._own)


@pytest.fixture(params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def test_tab_completes_commands_options_and_files(shell: str, tmp_path: Path) -> None:
    (tmp_path / "only_model.onnx").touch()
    (tmp_path / f".{shell}rc").touch()
    first = Terminal(shell, tmp_path)
    try:
        first.types("grubridge --install-completion\n")
        first.shows(f"{shell} completion installed")
    finally:
        first.close()
    second = Terminal(shell, tmp_path)
    try:
        second.types("echo is rea''dy\n")
        second.shows("is ready")
        second.types("grubridge veri\t")
        if shell == "zsh":  # its first Tab only loads what typer has written for it
            second.shows("\a")
            second.types("\t")
        second.shows("fy ")
        second.types("--recurr\t")
        second.shows("ent-activation ")
        second.types("sigmoid only_m\t")
        second.shows("odel.onnx")
    finally:
        second.close()
