"""What workers of a test's cluster do in the place of a check. They note every start in the pairs' folder."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from grubridge.suite.manifest import Pair
from grubridge.suite.result import PairResult

__all__ = ["fails", "length", "slow_length", "starts"]


def length(pair: Pair) -> PairResult:
    """Answer with the size of the first file; a pair called killer kills its worker."""
    _note(pair)
    if pair.name.startswith("killer"):
        os.kill(os.getpid(), signal.SIGKILL)
    size = pair.path(pair.artifacts[0]).stat().st_size
    return PairResult(pair.name, pair.artifacts, "equivalent", headroom=float(size), line=pair.line)


def slow_length(pair: Pair) -> PairResult:
    """Answer after a while."""
    time.sleep(0.2)
    return length(pair)


def fails(pair: Pair) -> PairResult:
    """Raise, which no check does."""
    raise RuntimeError(f"a worker that is broken, at {pair.name}")


def _note(pair: Pair) -> None:
    with (pair.folder / "starts.txt").open("a", encoding="utf-8") as log:
        log.write(f"{pair.name} {os.getpid()}\n")


def starts(folder: Path) -> list[tuple[str, int]]:
    """Return every start so far: the pair's name and the process."""
    path = folder / "starts.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [(name, int(process)) for name, process in (line.rsplit(" ", 1) for line in lines)]
