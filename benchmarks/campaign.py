"""False alarms: random GRUs in every runtime, each held against its own equations.

Every run is right, so an error above its bound is a false alarm. Configurations are numbered, and the number
seeds the random numbers; what was measured is kept, so that a second call goes on where the first stopped.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.grus import Setting, make_probe, make_spec
from benchmarks.journal import Journal
from benchmarks.runtimes import arithmetic, run_natively
from benchmarks.slices import answer, measured
from grubridge.backends.registry import BACKENDS, available
from grubridge.checker.compare import compare
from grubridge.checker.findings import Comparison, Side
from grubridge.checker.probe import designed_probe
from grubridge.checker.sensitivity import sense
from grubridge.checker.verdict import Verdict
from grubridge.errors import CannotRunError, UnsupportedFeatureError
from grubridge.spec import GRUSpec
from grubridge.traces import Probe, Trace, valid_steps

__all__ = ["HEADER", "rows"]

HEADER = (
    f"{'runtime':12} {'dtype':9} {'runs':>6} {'hidden':>9} {'gates':>9} {'designed':>9} {'largest':>8} "
    f"{'median':>7} {'certainty':>9} {'gates fit':>9} {'filter':>7} {'open':>5} {'alarms':>6}"
)

_SEED = 3
_SLICE = 24  # configurations of one process

_LARGEST_RUN = 4_000_000
_LARGEST_WORK = 4e9
"""Limits of a configuration: hidden states of one direction, and their multiplications."""


@dataclass(frozen=True)
class Row:
    """What was found in one runtime and dtype.

    Args:
        name: runtime and dtype.
        records: of its runs.
    """

    name: tuple[str, str]
    records: Sequence[Mapping[str, Any]]

    @property
    def alarms(self) -> int:
        """Runs with an error above its bound, a weight that seems wrong or gates that seem another run's."""
        kinds = ("headroom", "gate_headroom", "recomposition", "score")
        return sum(any(record[kind] > 1 for kind in kinds) for record in self.records)

    @property
    def holds(self) -> bool:
        """Whether there was no false alarm."""
        return not self.alarms

    def __str__(self) -> str:
        def largest(key: str) -> float:
            return float(max(record[key] for record in self.records))

        kinds = "hidden", "gates", "designed"
        counts = " ".join(f"{sum(record[kind] for record in self.records):9.2e}" for kind in kinds)
        median = statistics.median(record["headroom"] for record in self.records)
        return (
            f"{self.name[0]:12} {self.name[1]:9} {len(self.records):6} {counts} "
            f"{max(largest('headroom'), largest('gate_headroom')):8.4f} {median:7.3f} "
            f"{largest('certainty'):9.4f} {largest('recomposition'):9.4f} {largest('score'):7.3f} "
            f"{sum(bool(record['inconclusive']) for record in self.records):5} {self.alarms:6}"
        )


def rows(folder: Path, elements: float, processes: int) -> Iterator[Row]:
    """Yield one row per runtime and dtype, after as many configurations as `elements` takes.

    Args:
        folder: where results are kept.
        elements: hidden states to compare, over all runs.
        processes: how many to run side by side.
    """
    journal = Journal(folder / "campaign.jsonl")
    _extend(journal, elements, processes)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in journal.records:
        for run in record["runs"]:
            found.setdefault((run["backend"], record["setting"]["dtype"]), []).append(run)
    for name in sorted(found):
        yield Row(name, found[name])


def _extend(journal: Journal, elements: float, processes: int) -> None:
    compared = sum(run["hidden"] for record in journal.records for run in record["runs"])
    done = {record["number"] for record in journal.records}
    numbers = (number for number in count() if number not in done)
    started = time.monotonic()
    while compared < elements:
        slices = [[next(numbers) for _ in range(_SLICE)] for _ in range(processes)]
        for records in measured(__name__, slices):
            journal.add(records)
            compared += sum(run["hidden"] for record in records for run in record["runs"])
        seconds = time.monotonic() - started
        print(f"{compared:.3e} hidden states after {seconds:.0f} s", file=sys.stderr, flush=True)


def _measure(number: int) -> dict[str, Any]:
    """Run one configuration in every runtime that can."""
    rng = np.random.default_rng([_SEED, number])
    setting = _draw(rng)
    spec = make_spec(setting, rng)
    probe = make_probe(setting, spec, rng)
    runs: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    for backend in filter(available, BACKENDS):
        started = time.perf_counter()
        try:
            read, trace = run_natively(spec, backend, probe)
        except (UnsupportedFeatureError, CannotRunError) as error:
            left_out[backend] = str(error)
            continue
        found = _checked(read, trace, probe, number)
        runs.append({"backend": backend, **found, "seconds": round(time.perf_counter() - started, 2)})
    return {"setting": asdict(setting), "runs": runs, "left_out": left_out}


def _checked(spec: GRUSpec, trace: Trace, probe: Probe, seed: int) -> dict[str, Any]:
    """Judge a run and one more of the same runtime, on the inputs that show single weights."""
    how = arithmetic(spec, trace)
    sides = Side("model", trace.backend), Side("model", None)
    designed = designed_probe([spec], seed)
    _, single = run_natively(spec, trace.backend, designed)
    found = compare(spec, trace, probe, "read", sides, how)
    found_in_single = compare(spec, single, designed, "read", sides, how)
    scores = [place.score for place in sense(spec, single, designed, how).places]
    sources = {place.gate_source for place in trace.places.values() if place.gates}
    return {
        "hidden": _elements([one for one in found if one.quantity == "hidden"], trace, probe),
        "gates": _elements([one for one in found if one.quantity != "hidden"], trace, probe),
        "designed": _elements(found_in_single, single, designed),
        **_summary([*found, *found_in_single]),
        "score": max(scores),
        "gate_sources": sorted(sources),
    }


def _elements(found: Sequence[Comparison], trace: Trace, probe: Probe) -> int:
    """How many numbers came to a verdict."""
    steps = int(valid_steps(probe.batch, probe.steps, probe.lengths).sum())
    judged = (one for one in found if one.verdict is not Verdict.INCONCLUSIVE)
    return steps * sum(int(trace.places[one.layer, one.direction].hidden.shape[2]) for one in judged)


def _summary(found: Sequence[Comparison]) -> dict[str, Any]:
    """The largest of everything that must not exceed 1, and what came to no verdict."""
    judged = [one for one in found if one.verdict is not Verdict.INCONCLUSIVE]
    hidden = [one for one in judged if one.quantity == "hidden"]
    gates = [one for one in judged if one.quantity != "hidden"]

    def largest(comparisons: Sequence[Comparison], key: str) -> float:
        return max((float(getattr(one, key)) for one in comparisons), default=0.0)

    fits = [one.recomposition.headroom for one in hidden if one.recomposition is not None]
    return {
        "headroom": largest(hidden, "headroom"),
        "gate_headroom": largest(gates, "headroom"),
        "certainty": largest(judged, "certainty"),
        "recomposition": max(fits, default=0.0),
        "inconclusive": sorted({one.reason for one in found if one.verdict is Verdict.INCONCLUSIVE}),
    }


def _draw(rng: np.random.Generator) -> Setting:
    """Draw a configuration that is not too large to run."""
    while True:
        hidden_size = int(rng.choice([1, 2, 8, 24, 64, 128, 256, 512, 1024], p=_SIZES))
        input_size = int(rng.choice([1, 3, 16, 64, 300]))
        stacked = hidden_size <= 128 and rng.random() < 0.2
        half = hidden_size <= 256 and rng.random() < 0.2
        setting = Setting(
            hidden_size=hidden_size,
            input_size=input_size,
            steps=int(rng.choice([1, 16, 128, 512, 1024])),
            batch=int(rng.choice([1, 2, 8, 32, 64])),
            layers=int(rng.choice([1, 2])) if stacked else 1,
            both_ways=bool(stacked and rng.random() < 0.5),
            reset_after=bool(rng.random() < 0.65),
            dtype=str(rng.choice(["float16", "bfloat16", "float64"])) if half else "float32",
            weights=str(rng.choice(["fresh", "trained"])),
            weight_scale=float(rng.choice([0.1, 0.5, 1, 1, 2, 5])),
            bias_scale=float(rng.choice([0, 0.1, 1, 3])),
            update_bias=float(rng.choice([0, 0, 3, -3])),
            inputs=str(rng.choice(["normal", "positive", "constant", "sorted", "sparse", "zero", "walk"])),
            input_scale=float(rng.choice([0.1, 1, 1, 10])),
            state_scale=float(rng.choice([0, 0.5, 1, 5])),
            masked=bool(rng.random() < 0.2),
        )
        states = setting.batch * setting.steps * hidden_size
        if states <= _LARGEST_RUN and states * (hidden_size + input_size) <= _LARGEST_WORK:
            return setting


_SIZES = [0.05, 0.05, 0.1, 0.15, 0.25, 0.15, 0.1, 0.1, 0.05]


if __name__ == "__main__":
    answer(_measure)
