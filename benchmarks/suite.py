"""A hundred small pairs of mixed formats: checked, answered from the lock, and compared by their numbers."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import grubridge
from benchmarks.grus import Setting, make_spec
from benchmarks.processes import Ratio, run
from benchmarks.table import Row

__all__ = ["rows"]

_ROOT = Path(__file__).resolve().parents[1]
_PAIRS = 100
_FORMATS = (
    ("keras", "onnx"),
    ("pt", "onnx"),
    ("keras", "pt"),
    ("safetensors", "keras"),
    ("onnx", "safetensors"),
)
_RUNS = 3
_CHECK_LIMIT = 3.0


def rows() -> Iterator[Row]:
    """Yield one row per claim."""
    with tempfile.TemporaryDirectory(prefix="grubridge-bench-") as name:
        folder = Path(name)
        _write(folder)
        command = [str(Path(sys.executable).with_name("grubridge")), "check", str(folder / "grubridge.toml")]
        run(command)  # measures what is kept of each runtime, and writes the lock
        yield _checked([*command, "--no-cache"], folder)
        yield _within_a_second("check, all locked", [*command, "--locked"])
        yield _within_a_second("check --weights-only, a pair", [*command, "--weights-only"], _PAIRS)


def _write(folder: Path) -> None:
    """Write the models and their manifest."""
    lines = ["version = 1"]
    for number in range(_PAIRS):
        setting = Setting(
            8 + 4 * (number % 5), 4 + number % 7, 1, 1, 1 + number % 2, both_ways=number % 3 == 0
        )
        spec = make_spec(setting, np.random.default_rng(number))
        files = [f"{number}.{ending}" for ending in _FORMATS[number % len(_FORMATS)]]
        for file in files:
            grubridge.write(spec, folder / file)
        lines += ["[[pair]]", f"artifacts = {json.dumps(files)}"]
    (folder / "grubridge.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _checked(command: list[str], folder: Path) -> Row:
    """All of it against one start of the slowest framework and a bare run of every file."""
    pairs = []
    for _ in range(_RUNS):
        peer = [sys.executable, str(_ROOT / "benchmarks" / "peer_run_suite.py"), str(folder)]
        told = json.loads(subprocess.run(peer, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])
        pairs.append((run(command), told["start"] + told["runs"]))
    found = Ratio(
        statistics.median(done.seconds / bare for done, bare in pairs),
        statistics.median(done.seconds for done, _ in pairs),
        statistics.median(bare for _, bare in pairs),
        max(done.anonymous for done, _ in pairs),
    )
    return Row(f"check, {_PAIRS} small pairs", "one start, bare runs", found, _CHECK_LIMIT)


def _within_a_second(what: str, command: list[str], share: int = 1) -> Row:
    """A whole command, or its share for one pair, against a second."""
    done = [run(command) for _ in range(_RUNS)]
    seconds = statistics.median(one.seconds for one in done) / share
    return Row(what, "one second", Ratio(seconds, seconds, 1.0, max(one.anonymous for one in done)), 1.0)
