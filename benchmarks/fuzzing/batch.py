"""One batch of inputs for one reader, in a process of its own; libFuzzer, which atheris drives, ends it."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["Outcome", "Probed"]

_SLOW = 5.0
"""Processor seconds that no input may take; the code is instrumented and several times slower than usual."""
_MEMORY = 512 << 20
"""Bytes that no input may take beyond what those before it took."""

_ANSWER = 2.0
"""Seconds that HDF5 has for an answer; changed bytes often turn it in a circle."""
_HANG = 1200
"""Seconds after which libFuzzer ends the process. After half of them atheris expects a sign within a second,
which a busy machine may not give: a batch should be over by then."""
_EVERY = 500
_BLIND = 0.3
"""The share of mutations that know nothing of the file's structure."""
_FORBIDDEN: tuple[str, ...] = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "socket.connect",
)
_FORBIDDEN += ("pickle.find_class", "ctypes.dlopen")


@dataclass
class Outcome:
    """What became of the inputs so far.

    Args:
        inputs: their number.
        accepted: how many were read.
        refused: how many were refused with one of grubridge's errors.
        slowest: processor seconds of the slowest.
        largest: the most memory in bytes that one took beyond those before it.
        findings: what went wrong otherwise, by a short description; the value is the file with the input.
    """

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    largest: int = 0
    findings: dict[str, str] = field(default_factory=dict)


class Probed:
    """A reader under observation.

    Args:
        reader: its name.
        kept: the folder in which inputs are kept that something was found with.
        result: the file that says what was found.
    """

    def __init__(self, reader: str, kept: Path, result: Path) -> None:
        from grubridge.artifacts import NonFiniteWeightWarning
        from grubridge.errors import GRUBridgeError
        from grubridge.files.limits import limits

        from .readers import READERS

        self.reader = READERS[reader]
        self.outcome = Outcome()
        self._name, self._kept, self._result = reader, kept, result
        self._refusal, self._limits = GRUBridgeError, limits
        shared = Path("/dev/shm")  # noqa: S108 - files in memory, in a folder of their own
        self._folder = Path(
            tempfile.mkdtemp(prefix="grubridge-fuzz-", dir=shared if shared.is_dir() else None)
        )
        (self._folder / "weights.bin").write_bytes(bytes(range(256)) * 8)
        self._seen: list[str] = []
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", NonFiniteWeightWarning)

    def watch(self) -> None:
        """Note from now on whatever is opened elsewhere, and whatever is executed."""
        code = sys.prefix, sys.base_prefix, str(Path(__file__).parents[2])
        own = (str(self._folder), str(self._kept), *code, "/dev/null", "/dev/shm", "/proc/", "/sys/")  # noqa: S108

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event.startswith(_FORBIDDEN):
                self._seen.append(f"{event} {arguments[0]!r}"[:200])
            elif event == "open" and isinstance(arguments[0], (str, bytes)):
                path = os.fsdecode(arguments[0])
                if path.startswith("/") and not path.startswith(own):
                    self._seen.append(f"open {path!r}"[:200])

        sys.addaudithook(hook)

    def __call__(self, data: bytes) -> None:
        """Give the reader one input."""
        outcome, path = self.outcome, self._folder / self.reader.file
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        outcome.inputs += 1
        self._seen.clear()
        memory, started = _memory(), time.process_time()
        try:
            with self._limits(timeout=_ANSWER):
                self.reader.read(path)
            outcome.accepted += 1
        except self._refusal:
            outcome.refused += 1
        except Exception as error:  # noqa: BLE001 - to find these is what it is for
            self._found(_place(error), data)
        seconds, taken = time.process_time() - started, _memory() - memory
        outcome.slowest, outcome.largest = max(outcome.slowest, seconds), max(outcome.largest, taken)
        if seconds > _SLOW:
            self._found("slow", data)
        if taken > _MEMORY:
            self._found("memory", data)
        for event in tuple(dict.fromkeys(self._seen)):
            self._found(event, data)
        if outcome.inputs % _EVERY == 0:
            self.save()

    def remove(self) -> None:
        """Remove the folder of the inputs."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def save(self) -> None:
        """Write what has been found so far."""
        part = self._result.with_suffix(".part")
        part.write_text(json.dumps(asdict(self.outcome)), encoding="utf-8")
        part.replace(self._result)

    def _found(self, what: str, data: bytes) -> None:
        kept = self._kept / f"{self._name}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
        if not kept.exists() or kept.stat().st_size > len(data):
            kept.write_bytes(data)
        self.outcome.findings[what] = kept.name


def _memory() -> int:
    of = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return max(resource.getrusage(who).ru_maxrss for who in of) << 10


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if "grubridge" in frame.filename), frames[-1])
    return f"{type(error).__name__} in {Path(last.filename).name}, {last.name}: {last.line}"


def replay(reader: str, kept: Path) -> None:
    """Give a reader again what something was found with; the outcome goes to `kept`/`reader`-again.json."""
    probed = Probed(reader, kept, kept / f"{reader}-again.json")
    for content in probed.reader.seeds():
        probed(content)  # also imports whatever is imported late
    probed.outcome = Outcome()
    probed.watch()
    for path in sorted(kept.glob(f"{reader}-*")):
        if path.suffix not in {".json", ".log"}:
            probed(path.read_bytes())
    probed.save()
    probed.remove()


def fuzz(reader: str, kept: Path, seed: int, runs: int, corpus: Path) -> None:
    """Run one batch.

    Args:
        reader: its name.
        kept: a folder for the outcome, `reader`-`seed`.json, and for what something was found with.
        seed: of the random choices.
        runs: how many inputs beside the seeds.
        corpus: a folder of inputs that reached something new.
    """
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["grubridge"]):
        probed = Probed(reader, kept, kept / f"{reader}-{seed}.json")
    corpus.mkdir(parents=True, exist_ok=True)
    for content in probed.reader.seeds():
        (corpus / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
        probed(content)  # also imports whatever is imported late
    probed.watch()
    last = probed.outcome.inputs + runs

    def one(data: bytes) -> None:
        probed(data)
        if probed.outcome.inputs >= last:
            probed.save()
            probed.remove()
            os._exit(0)

    def mutated(data: bytes, most: int, chosen: int) -> bytes:
        rng = Random(chosen)  # noqa: S311 - to be had again
        if rng.random() < _BLIND:
            return bytes(atheris.Mutate(data, most))
        return probed.reader.mutate(data, rng)[:most]

    options = [f"-seed={seed}", f"-max_len={probed.reader.limit}", f"-timeout={_HANG}", "-rss_limit_mb=3072"]
    options += ["-verbosity=0", f"-artifact_prefix={kept}/{reader}-{seed}-"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    name, folder, *others = sys.argv[1:]
    if others:
        fuzz(name, Path(folder), int(others[0]), int(others[1]), Path(others[2]))
    else:
        replay(name, Path(folder))
