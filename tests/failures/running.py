"""The command line in a session of its own, which gets a signal while it works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Stopped", "stopped"]

PATIENCE = 60.0


@dataclass(frozen=True)
class Stopped:
    """How a run ended.

    Args:
        code: its exit code.
        stdout: what it printed.
        stderr: what it told.
        seconds: from the signal to its end.
        left: the command lines of processes that it left.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    left: list[str]


def stopped(
    arguments: list[object],
    sent: signal.Signals,
    *,
    to_all: bool,
    temporary: Path,
    wait: float,
    children: bool,
    environment: dict[str, str] | None = None,
) -> Stopped:
    """Run a command, send a signal, and wait for the end.

    Args:
        arguments: of grubridge.
        sent: the signal.
        to_all: send it to all processes, as Ctrl-C does; else to the first one alone.
        temporary: TMPDIR of the command.
        wait: seconds before the signal, from when it is handled: before, the interpreter is not ours.
        children: whether these are counted from the start of the first child.
        environment: further variables.
    """
    temporary.mkdir(exist_ok=True)
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("grubridge")), *map(str, arguments)],
        env={**os.environ, "TMPDIR": str(temporary), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        began = time.monotonic()
        while not _listens(running.pid) and running.poll() is None and time.monotonic() < began + PATIENCE:
            time.sleep(0.005)
        while children and not _others(running.pid) and time.monotonic() < began + PATIENCE:
            time.sleep(0.01)
        time.sleep(wait)
        start = time.monotonic()
        if to_all:
            os.killpg(running.pid, sent)
        else:
            running.send_signal(sent)
        stdout, stderr = running.communicate(timeout=PATIENCE)
        seconds = time.monotonic() - start
    while (left := _others(running.pid)) and time.monotonic() < start + 3:
        time.sleep(0.05)  # the system takes a moment to end a large process that was killed
    return Stopped(running.returncode, stdout, stderr, seconds, left)


def _listens(process: int) -> bool:
    """Return whether a process has a handler of its own for SIGTERM."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _others(session: int) -> list[str]:
    """Return the command lines of all processes of a session but the first."""
    found: list[str] = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == session:
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has just ended
    return found
