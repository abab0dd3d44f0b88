"""Damaged and hostile input by the million: every reader reads it or refuses it, and does nothing else.

Guided by coverage (atheris, libFuzzer), with mutations that keep what is around them whole: checksums,
lengths, the structure of JSON, pickles, protobuf, zips and HDF5. A finding is whatever is neither success nor
one of grubridge's errors: another exception, a warning, a crash, a file elsewhere opened, something executed,
more than 5 processor seconds or 512 MiB, or a file that is read, but that a writer then does not write as it
was.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.fuzzing.batch import Outcome
from benchmarks.fuzzing.readers import READERS
from benchmarks.journal import Journal

__all__ = ["HEADER", "Fuzzed", "rows"]

HEADER = (
    f"{'reader':14} {'inputs':>9} {'read':>9} {'refused':>9} {'slowest s':>9} {'MiB':>5} "
    f"{'found':>6} {'open':>5}"
)

_BATCH = 10_000
_LONGEST = 3600


@dataclass(frozen=True)
class Fuzzed:
    """What became of the inputs of one reader.

    Args:
        reader: its name.
        total: over all batches; `findings` are all that were ever made.
        still: those that are made with today's code.
    """

    reader: str
    total: Outcome
    still: dict[str, str]

    @property
    def holds(self) -> bool:
        """Whether nothing is open."""
        return not self.still and self.total.inputs > 0

    def __str__(self) -> str:
        of = self.total
        line = (
            f"{self.reader:14} {of.inputs:9,} {of.accepted:9,} {of.refused:9,} {of.slowest:9.2f} "
            f"{of.largest / 2**20:5.0f} {len(of.findings):6} {len(self.still):5}"
        )
        return "\n  ".join([line, *(f"{kept}: {what}" for what, kept in self.still.items())])


def rows(folder: Path, inputs: float, processes: int) -> Iterator[Fuzzed]:
    """Yield one row per reader.

    Args:
        folder: of results; what is there is gone on with.
        inputs: how many over all readers.
        processes: batches side by side.
    """
    if find_spec("atheris") is None:
        print("skipped: atheris is not installed (pip install 'grubridge[fuzz]')")
        return
    journal = Journal(folder / "fuzz.jsonl")
    with ThreadPoolExecutor(processes) as pool:
        for name, reader in READERS.items():
            batches = [record for record in journal.records if record["reader"] == name]
            left = inputs * reader.share / 1000 - sum(record["inputs"] for record in batches)
            first = 1 + max((record["seed"] for record in batches), default=0)
            size = min(_BATCH, max(int(left / processes) + 1, 100))
            seeds = range(first, first + max(0, -(-int(left) // size)))
            for record in pool.map(lambda seed: _batch(folder, name, seed, size), seeds):  # noqa: B023 - used up here
                journal.add([record])
                batches.append(record)
            yield Fuzzed(name, _total(batches), _still(folder, name))


def _batch(folder: Path, reader: str, seed: int, runs: int) -> dict[str, Any]:
    """Run one batch in a process of its own; that it does not end by itself is a finding."""
    kept = _kept(folder)
    ended = _child(reader, kept, str(seed), str(runs), str(folder / "corpus" / reader))
    outcome = _outcome(kept / f"{reader}-{seed}.json")
    if ended:
        artifacts = [path.name for path in kept.glob(f"{reader}-{seed}-*")]
        outcome.findings[f"the process ended with {ended}"] = ", ".join(artifacts) or "no file"
    return {"reader": reader, "seed": seed, **asdict(outcome)}


def _still(folder: Path, reader: str) -> dict[str, str]:
    """Return what is found with the code of today when what was found before is read again."""
    kept = _kept(folder)
    ended = _child(reader, kept)
    found = _outcome(kept / f"{reader}-again.json").findings
    return found | {f"the process ended with {ended}": str(kept)} if ended else found


def _kept(folder: Path) -> Path:
    kept = folder / "found"
    kept.mkdir(parents=True, exist_ok=True)
    return kept


def _child(reader: str, kept: Path, *further: str) -> int:
    """Run a child process to its end; return its exit code."""
    command = [sys.executable, "-m", "benchmarks.fuzzing.batch", reader, str(kept), *further]
    root = Path(__file__).resolve().parents[1]
    with (kept / f"{reader}.log").open("ab") as log:
        try:
            return subprocess.run(
                command, cwd=root, stdout=log, stderr=log, timeout=_LONGEST, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return -1


def _outcome(path: Path) -> Outcome:
    """Return what a child noted, and remove the note."""
    if not path.exists():
        return Outcome()
    noted = Outcome(**json.loads(path.read_text(encoding="utf-8")))
    path.unlink()
    return noted


def _total(batches: list[dict[str, Any]]) -> Outcome:
    total = Outcome()
    for batch in batches:
        total.inputs += batch["inputs"]
        total.accepted += batch["accepted"]
        total.refused += batch["refused"]
        total.slowest = max(total.slowest, batch["slowest"])
        total.largest = max(total.largest, batch["largest"])
        total.findings |= batch["findings"]
    return total
