"""Conversions killed at random instants: whether the target is always the old file or the new one.

Each conversion is a fork of one process that has imported everything, so that hundreds take little time.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import grubridge
from benchmarks.large import random_spec
from grubridge.files.digest import sha256
from grubridge.files.unfinished import PREFIX

__all__ = ["HEADER", "Kills", "in_a_process", "rows"]

HEADER = f"{'what':28} {'kills':>6} {'midway':>7} {'old':>6} {'new':>6} {'torn':>5} {'litter after':>12}"

_SIZE, _KILLS = 6688, 300
"""As `benchmarks.large`: 1 GiB."""

_PAIRS = ((".safetensors", ".pt"), (".pt", ".keras"), (".keras", ".onnx"))
_OLD = b"what was there before"


@dataclass(frozen=True)
class Kills:
    """What conversions that were killed left behind.

    Args:
        what: the formats.
        kills: how many were killed.
        midway: how many of them while the new file was being made.
        old: how often the target was the old file.
        new: how often it was the new one.
        torn: how often it was anything else, or the source had changed, or another file was left.
        litter: how many files are left after one more conversion, which nobody killed.
    """

    what: str
    kills: int
    midway: int
    old: int
    new: int
    torn: int
    litter: int

    @property
    def holds(self) -> bool:
        """Whether no conversion left anything but the old file or the new one."""
        return not self.torn and not self.litter and self.midway > 0

    def __str__(self) -> str:
        line = (
            f"{self.what:28} {self.kills:6} {self.midway:7} {self.old:6} {self.new:6} {self.torn:5} "
            f"{self.litter:12}"
        )
        return line if self.holds else f"{line}  DOES NOT HOLD"


def rows() -> Iterator[Kills]:
    """Yield one row per pair of formats."""
    for source, target in _PAIRS:
        with tempfile.TemporaryDirectory(prefix="grubridge-bench-") as folder:
            yield in_a_process(Path(folder), source, target, size=_SIZE, kills=_KILLS)


def in_a_process(folder: Path, source: str, target: str, *, size: int, kills: int) -> Kills:
    """Kill conversions in a process of its own, which has no threads when it forks.

    Args:
        folder: where they write; it is empty.
        source: the ending of the file to convert.
        target: the ending of the file to write.
        size: of the GRU, I = H.
        kills: how many.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kills", str(folder), source, target, str(size), str(kills)],
        stdout=subprocess.PIPE,
        check=True,
    )
    return Kills(**json.loads(done.stdout))


def _killed(folder: Path, source: str, target: str, size: int, kills: int) -> Kills:
    model, made = folder / f"source{source}", folder / f"target{target}"
    grubridge.write(random_spec(size), model)
    seconds = _conversion(model, made, None)
    seconds = min(seconds, _conversion(model, made, None))
    new, stored = sha256(made), sha256(model)
    random = np.random.default_rng(0)
    midway = torn = 0
    old = hashlib.sha256(_OLD).hexdigest()
    found = {old: 0, new: 0}
    for _ in range(kills):
        made.write_bytes(_OLD)
        _conversion(model, made, random.uniform(0, 1.2 * seconds))
        others = {path.name for path in folder.iterdir()} - {model.name, made.name}
        midway += bool(others)
        whole = made.exists() and sha256(made) in found
        if whole and all(name.startswith(PREFIX) for name in others):
            found[sha256(made)] += 1
        else:
            torn += 1
    torn += sha256(model) != stored
    _conversion(model, made, None)
    litter = sum(1 for _ in folder.rglob("*")) - 2
    return Kills(f"{source} to {target}", kills, midway, found[old], found[new], torn, litter)


def _conversion(source: Path, target: Path, until: float | None) -> float:
    """Convert in a child, which is killed after so many seconds; return how long it ran."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            grubridge.convert(source, target, force=True)
            code = 0
        finally:
            os._exit(code)
    if until is not None:
        time.sleep(until)
        os.kill(child, signal.SIGKILL)  # it may have ended, and is not yet waited for
    _, status = os.waitpid(child, 0)
    if status not in (0, signal.SIGKILL):
        raise RuntimeError(f"a conversion ended by itself: {status}")
    return time.perf_counter() - start


if __name__ == "__main__":
    _folder, _source, _target, _size, _kills = sys.argv[1:]
    print(json.dumps(asdict(_killed(Path(_folder), _source, _target, int(_size), int(_kills)))))
