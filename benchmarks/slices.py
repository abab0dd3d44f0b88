"""Numbered measurements in processes of their own: frameworks keep what they compiled, so processes must end.

A module that is measured so prints one JSON object per number: `python -m benchmarks.NAME NUMBER ...`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

__all__ = ["answer", "measured"]

_ROOT = Path(__file__).resolve().parents[1]
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def measured(module: str, slices: Sequence[Sequence[int]]) -> Iterator[list[dict[str, Any]]]:
    """Measure every slice in a process of its own, all side by side, and yield what each found.

    Raises:
        CalledProcessError: when a process fails.
    """

    def child(numbers: Sequence[int]) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", module, *map(str, numbers)]
        environment = {**_ONE_THREAD, "TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        done = subprocess.run(command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, check=True)
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]

    with ThreadPoolExecutor(len(slices)) as pool:
        for finished in as_completed([pool.submit(child, numbers) for numbers in slices]):
            yield finished.result()


def answer(measure: Callable[[int], dict[str, Any]]) -> None:
    """Be the process: measure the numbers of the command line."""
    warnings.simplefilter("ignore")
    for number in sys.argv[1:]:
        print(json.dumps({"number": int(number), **measure(int(number))}), flush=True)
