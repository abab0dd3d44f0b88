"""HDF5 in a process with limits, against HDF5 in the process itself: cold small conversions, and 1 GiB."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grubridge
from benchmarks.large import SIZE, random_spec
from benchmarks.processes import compare
from benchmarks.table import Row

__all__ = ["rows"]

_ROOT = Path(__file__).resolve().parents[1]
_SAMPLES = _ROOT / "samples"
_SMALL, _LARGE = 1.15, 1.10
_RUNS, _LARGE_RUNS = 21, 5


def rows(size: int = SIZE) -> Iterator[Row]:
    """Yield one row per conversion."""
    with tempfile.TemporaryDirectory(prefix="grubridge-bench-") as folder:
        target = Path(folder, "target.onnx")
        small = _SAMPLES / "digits_bidirectional.keras"
        old = Path(folder, "small.h5")
        grubridge.convert(small, old)
        for source in (small, old):
            yield _row(source, target, _SMALL, _RUNS)
        for ending in (".keras", ".h5"):
            large = Path(folder, "large" + ending)
            grubridge.write(random_spec(size), large)
            yield _row(large, target, _LARGE, _LARGE_RUNS)
            large.unlink()


def _row(source: Path, target: Path, limit: float, runs: int) -> Row:
    def clean() -> None:
        target.unlink(missing_ok=True)
        os.sync()

    command = [sys.executable, str(_ROOT / "benchmarks" / "peer_hdf5.py")]
    arguments = ["convert", str(source), str(target)]
    found = compare([*command, "guarded", *arguments], [*command, "unguarded", *arguments], runs, clean)
    return Row(f"{source.suffix}, {source.stat().st_size >> 20} MiB", "unguarded", found, limit)
