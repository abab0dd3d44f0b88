"""One layer of 1 GiB through every pair of formats, against `cp` and `sync` of the source in the same run.

A conversion that has ended is on the disk, which `cp` alone leaves to the system.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import grubridge
from benchmarks.processes import compare
from benchmarks.table import Row
from grubridge.spec import Array, Gates, GRUDirection, GRULayer

__all__ = ["SIZE", "random_spec", "rows"]

SIZE = 6688
"""I = H: W and U of 3 * 6688 * 6688 float32 each are 1 GiB together."""

_RUNS = 5
_MEMORY = 256
_COPY = ["sh", "-c", 'cp -- "$1" "$2" && exec sync -- "$2"', "sh"]
_TRANSPOSED = {".keras", ".h5"}


def rows(size: int = SIZE) -> Iterator[Row]:
    """Yield one row per pair of formats."""
    endings = (".pt", ".safetensors", ".onnx", ".keras", ".h5")
    command = str(Path(sys.executable).with_name("grubridge"))
    with tempfile.TemporaryDirectory(prefix="grubridge-bench-") as folder:
        first = Path(folder, "source.safetensors")
        grubridge.write(random_spec(size), first)
        for source_ending in endings:
            source = first.with_suffix(source_ending)
            if source != first:
                grubridge.convert(first, source)
            for target_ending in endings:
                if source_ending in _TRANSPOSED and target_ending in _TRANSPOSED:
                    continue
                target, copy = Path(folder, "target" + target_ending), Path(folder, "copy")

                def clean(written: tuple[Path, ...] = (target, copy)) -> None:
                    for path in written:
                        path.unlink(missing_ok=True)
                    os.sync()

                found = compare(
                    [command, "convert", str(source), str(target)],
                    [*_COPY, str(source), str(copy)],
                    _RUNS,
                    clean,
                )
                limit = _limit(source_ending, target_ending)
                yield Row(f"{source_ending} to {target_ending}", "cp, sync", found, limit, _MEMORY)
            if source != first:
                source.unlink()


def _limit(source: str, target: str) -> float:
    if source in _TRANSPOSED or target in _TRANSPOSED:
        return 3.0
    return 2.5 if target == ".pt" else 1.8


def random_spec(size: int) -> grubridge.GRUSpec:
    """Return a GRU of one layer, I = H = `size`."""
    random = np.random.default_rng(0)

    def gates(*shape: int) -> Gates[Array]:
        return Gates(*(random.standard_normal(shape, np.float32) / 100 for _ in range(3)))

    direction = GRUDirection(gates(size, size), gates(size, size), gates(size), gates(size))
    return grubridge.GRUSpec((GRULayer(direction, None, reset_after=True),))
