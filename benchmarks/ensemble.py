"""Runs of which only outputs are known, right and wrong, judged end to end: which are found to be wrong?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults import FAULTS
from benchmarks.grus import Setting, make_probe, make_spec
from benchmarks.journal import Journal
from benchmarks.runtimes import run_natively
from benchmarks.slices import answer, measured
from grubridge.checker.free_run import free_run, judge_free
from grubridge.checker.recording import Recording
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.spec import GRUSpec
from grubridge.traces import Probe, Trace, valid_steps

__all__ = ["HEADER", "rows"]

HEADER = (
    "| run | size | last state: judged | found | largest of the bound "
    "| top layer: judged | found | largest of the bound |\n|---|---|---:|---:|---:|---:|---:|---:|"
)

_SEED = 11
_SLICE = 8  # cases of one process
_WAYS = ("last", "hidden")
_WILD = 12  # right runs of every case, of GRUs of every temper
_HOW = arithmetic_of("recorded", "float32")


@dataclass(frozen=True)
class Row:
    """What was found of one kind of run.

    Args:
        name: of the kind.
        size: of the fault; empty where there is no more than one.
        found: of every case, by way of recording: the share of numbers that were judged, and the largest
            error over its bound.
    """

    name: str
    size: str
    found: Sequence[dict[str, tuple[float, float]]]

    @property
    def holds(self) -> bool:
        """Whether no right run was called wrong; and what is wrong in its conventions, never right."""
        if self.name.startswith("none"):
            return all(case[way][1] <= 1 for case in self.found for way in _WAYS)
        whole = (
            self.name not in {"one input weight, relative", "one recurrent weight, relative"}
            and not self.size
        )
        return not whole or all(case["hidden"][1] > 1 for case in self.found if case["hidden"][0] > 0)

    def __str__(self) -> str:
        figures = []
        for way in _WAYS:
            judged = [case[way] for case in self.found if case[way][0] > 0]
            wrong = sum(headroom > 1 for _, headroom in judged) / max(1, len(judged))
            largest = max((headroom for _, headroom in judged), default=0.0)
            figures.append(f"{len(judged)} of {len(self.found)} | {wrong:.0%} | {largest:.2g}")
        return f"| {self.name} | {self.size} | {' | '.join(figures)} |"


def rows(folder: Path, cases: int, processes: int) -> Iterator[Row]:
    """Yield one row for right runs of every temper, and one per fault.

    Args:
        folder: where results are kept.
        cases: random GRUs for every fault, and a twelfth of the right runs.
        processes: how many to run side by side.
    """
    journal = Journal(folder / "ensemble.jsonl")
    done = {record["number"] for record in journal.records}
    left = [number for number in range(cases) if number not in done]
    while left:
        slices = [left[k * _SLICE : (k + 1) * _SLICE] for k in range(processes)]
        for records in measured(__name__, list(filter(None, slices))):
            journal.add(records)
        left = left[processes * _SLICE :]
        print(f"{len(journal.records)} cases", file=sys.stderr, flush=True)
    wild = [one for record in journal.records for one in record["wild"]]
    yield Row("none, of every temper", "", wild)
    for index, fault in enumerate(FAULTS):
        yield Row(fault.name, fault.size, [record["found"][index] for record in journal.records])


def _measure(number: int) -> dict[str, Any]:
    """Judge right runs of random GRUs, and one random GRU made wrong in every way."""
    rng = np.random.default_rng([_SEED, number])
    wild = [_right(rng) for _ in range(_WILD)]
    setting = Setting(
        hidden_size=int(rng.choice([8, 64])),
        input_size=int(rng.choice([8, 32])),
        steps=int(rng.choice([16, 64])),
        batch=2,
        weights=str(rng.choice(["fresh", "trained"])),
        weight_scale=float(rng.choice([0.5, 1, 1.5])),
        bias_scale=float(rng.choice([0.01, 0.3])),
    )
    spec = make_spec(setting, rng)
    probe = make_probe(setting, spec, rng)
    found: list[dict[str, tuple[float, float]]] = []
    for fault in FAULTS:
        right = fault.prepared(spec, rng)
        wrong, inputs = fault.broken(right, rng), fault.inputs(probe)
        found.append(_judged(right, inputs, fault.run(wrong, inputs)))
    return {"wild": wild, "found": found}


def _right(rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    setting = Setting(
        hidden_size=int(rng.choice([1, 2, 4, 8, 32, 64, 128, 256])),
        input_size=int(rng.choice([1, 3, 16, 64])),
        steps=int(rng.choice([1, 8, 16, 64, 256])),
        batch=int(rng.choice([1, 2, 4])),
        layers=int(rng.choice([1, 2, 3])),
        both_ways=bool(rng.integers(3) == 0),
        reset_after=bool(rng.integers(3)),
        weights=str(rng.choice(["fresh", "trained"])),
        weight_scale=float(rng.choice([0.1, 0.5, 1, 1.5, 2, 5])),
        bias_scale=float(rng.choice([0, 0.1, 1])),
        update_bias=float(rng.choice([0, 0, 3, -3])),
        inputs=str(rng.choice(["normal", "positive", "constant", "sorted", "sparse", "zero", "walk"])),
        input_scale=float(rng.choice([0.1, 1, 10])),
        masked=bool(rng.integers(2)),
    )
    spec = make_spec(setting, rng)
    probe = make_probe(setting, spec, rng)
    backend = str(rng.choice(["pytorch", "onnxruntime"])) if setting.reset_after else "onnxruntime"
    return _judged(spec, probe, run_natively(spec, backend, probe)[1])


def _judged(spec: GRUSpec, probe: Probe, trace: Trace) -> dict[str, tuple[float, float]]:
    """The share of numbers that could be judged and the largest error over its bound, by way of recording."""
    names = [name for name, _ in spec.layers[-1].directions()]
    states = [trace[len(spec.layers) - 1, name].hidden for name in names]
    ends = valid_steps(probe.batch, probe.steps, probe.lengths).sum(axis=1) - 1
    rows = np.arange(probe.batch)
    final = [
        hidden[rows, ends if name == "forward" else 0] for name, hidden in zip(names, states, strict=True)
    ]
    x = probe.x.astype(np.float32)
    recordings = {
        "last": Recording("benchmark", x, last=np.concatenate(final, axis=-1), lengths=probe.lengths),
        "hidden": Recording("benchmark", x, np.concatenate(states, axis=-1), lengths=probe.lengths),
    }
    found: dict[str, tuple[float, float]] = {}
    for way, recording in recordings.items():
        run = replace(free_run(recording, spec), probe=probe)
        ones = judge_free(spec, run, _HOW).values()
        share = sum(one.followed.judged for one in ones) / sum(one.followed.outputs for one in ones)
        found[way] = share, max(one.headroom for one in ones)
    return found


if __name__ == "__main__":
    answer(_measure)
