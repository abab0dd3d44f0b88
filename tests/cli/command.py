"""The installed command, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ended", "grubridge"]


@dataclass(frozen=True)
class Ended:
    """A finished run: its exit code and what it printed where."""

    code: int
    stdout: str
    stderr: str


def grubridge(*arguments: object, cwd: Path | None = None, **environment: str) -> Ended:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("grubridge")), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
