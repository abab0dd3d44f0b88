"""Whole processes, measured from outside: wall time, and the peak of anonymous memory on Linux."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ratio", "Run", "compare", "run"]

_ANONYMOUS = re.compile(rb"^RssAnon:\s+(\d+) kB", re.MULTILINE)
_POLL = 0.01


@dataclass(frozen=True)
class Run:
    """One finished process.

    Args:
        seconds: wall time, interpreter start included.
        anonymous: the highest RssAnon seen, in bytes; 0 where the system does not tell.
    """

    seconds: float
    anonymous: int


@dataclass(frozen=True)
class Ratio:
    """A command against another, pair by pair.

    Args:
        ratio: the median of the pairs' ratios, command over baseline.
        command: the median seconds of the command.
        baseline: the median seconds of the baseline.
        anonymous: the highest anonymous memory of the command, in bytes.
    """

    ratio: float
    command: float
    baseline: float
    anonymous: int


def run(command: Sequence[str]) -> Run:
    """Run a command to its end. Raises RuntimeError with its output when it fails."""
    # an installed package keeps its bytecode, so the first run may leave it
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with ThreadPoolExecutor(1) as beside:
        highest = beside.submit(_highest_anonymous, process)
        output, _ = process.communicate()
        seconds = time.perf_counter() - start
    if process.returncode:
        words = output.decode(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(command)} failed with {process.returncode}:\n{words}")
    return Run(seconds, highest.result())


def _highest_anonymous(process: subprocess.Popen[bytes]) -> int:
    """Look at a process now and then until it ends; looking more often would slow it down."""
    status = Path(f"/proc/{process.pid}/status")
    highest = 0
    while process.returncode is None:
        try:
            found = _ANONYMOUS.search(status.read_bytes())
        except OSError:
            break
        highest = max(highest, int(found[1]) * 1024 if found else 0)
        time.sleep(_POLL)
    return highest


def compare(
    command: Sequence[str], baseline: Sequence[str], runs: int, clean: Callable[[], None] = lambda: None
) -> Ratio:
    """Run a command and its baseline in turn, after one uncounted pair, and return the median ratio.

    Args:
        command: the command.
        baseline: what it is measured against.
        runs: counted pairs.
        clean: called before each process, for instance to remove what the last one wrote.
    """
    pairs: list[tuple[Run, Run]] = []
    for _ in range(runs + 1):
        clean()
        other = run(baseline)
        clean()
        pairs.append((run(command), other))
    clean()
    counted = pairs[1:]
    return Ratio(
        statistics.median(one.seconds / other.seconds for one, other in counted),
        statistics.median(one.seconds for one, _ in counted),
        statistics.median(other.seconds for _, other in counted),
        max(one.anonymous for one, _ in counted),
    )
