"""Which share of wrong GRUs is found: by `allclose` as is customary, and by the check, on the same inputs."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults import FAULTS, Fault
from benchmarks.grus import Setting, make_probe, make_spec
from benchmarks.journal import Journal
from benchmarks.runtimes import arithmetic, run_natively
from benchmarks.slices import answer, measured
from grubridge.checker.compare import compare
from grubridge.checker.findings import Side
from grubridge.checker.probe import designed_probe
from grubridge.checker.sensitivity import sense
from grubridge.checker.verdict import Verdict, combined
from grubridge.reference.arithmetic import Arithmetic
from grubridge.spec import GRUSpec
from grubridge.traces import Probe, Trace

__all__ = ["HEADER", "rows"]

_TOLERANCES = {
    "Polygraphy": (1e-5, 1e-5),
    "torch.testing": (1.3e-6, 1e-5),
    "1e-3, 1e-5": (1e-3, 1e-5),
    "ONNX Runtime": (1e-3, 1e-4),
}
"""Customary ones: rtol, atol."""

_WAYS = (*_TOLERANCES, "every step", "designed inputs")
HEADER = f"| fault | size | {' | '.join(_WAYS)} |\n|---|---|{'---:|' * len(_WAYS)}"

_SEED = 5
_SLICE = 4  # cases of one process
_SIDES = Side("right", None), Side("wrong", "its runtime")


@dataclass(frozen=True)
class Row:
    """How often one fault was found.

    Args:
        fault: which.
        found: in every case, by way of finding.
        promised: shares of the last two ways that must be reached, but for two standard errors of so many
            cases; in a right run, nothing may be found.
    """

    fault: Fault
    found: Sequence[Mapping[str, bool]]
    promised: tuple[float, float]

    def share(self, way: str) -> float:
        """In how many cases this way found it."""
        return sum(case[way] for case in self.found) / len(self.found)

    @property
    def holds(self) -> bool:
        """Whether the check found what it must, and nothing else."""
        shares = self.share("every step"), self.share("designed inputs")
        if self.fault.name.startswith("none"):
            return shares == (0, 0)
        cases = len(self.found)
        return all(
            share >= least - 2 * math.sqrt(least * (1 - least) / cases)
            for share, least in zip(shares, self.promised, strict=True)
        )

    def __str__(self) -> str:
        shares = " | ".join(f"{self.share(way):.0%}" for way in _WAYS)
        return f"| {self.fault.name} | {self.fault.size} | {shares} |"


def rows(folder: Path, cases: int, processes: int) -> Iterator[Row]:
    """Yield one row per fault.

    Args:
        folder: where results are kept.
        cases: random GRUs for every fault.
        processes: how many to run side by side.
    """
    journal = Journal(folder / "detection.jsonl")
    done = {record["number"] for record in journal.records}
    left = [number for number in range(cases) if number not in done]
    while left:
        slices = [left[k * _SLICE : (k + 1) * _SLICE] for k in range(processes)]
        for records in measured(__name__, list(filter(None, slices))):
            journal.add(records)
        left = left[processes * _SLICE :]
        print(f"{len(journal.records)} cases", file=sys.stderr, flush=True)
    for index, fault in enumerate(FAULTS):
        found = [record["found"][index] for record in journal.records]
        yield Row(fault, found, _PROMISED.get((fault.name, fault.size), (1.0, 1.0)))


_PROMISED = {
    ("one input weight, relative", "1e-4"): (0.73, 0.82),
    ("one input weight, relative", "1e-3"): (0.90, 0.95),
    ("one input weight, relative", "1e-2"): (0.97, 0.99),
    ("one recurrent weight, relative", "1e-4"): (0.61, 0.75),
    ("one recurrent weight, relative", "1e-3"): (0.95, 0.98),
    ("one recurrent weight, relative", "1e-2"): (1.00, 1.00),
    ("one bias, absolute", "1e-6"): (0.33, 0.79),
    ("one bias, absolute", "1e-5"): (0.96, 1.00),
    ("one bias, absolute", "1e-4"): (1.00, 1.00),
    ("all input biases, absolute", "1e-7"): (0.13, 0.77),
    ("all input biases, absolute", "1e-6"): (1.00, 1.00),
    ("all input biases, absolute", "1e-5"): (1.00, 1.00),
    ("noise on all weights, relative", "1e-7"): (0.00, 0.41),
    ("noise on all weights, relative", "1e-6"): (1.00, 1.00),
    ("noise on all weights, relative", "1e-5"): (1.00, 1.00),
}
"""What every step and the designed inputs find at least; of faults that are not named here, all."""


def _measure(number: int) -> dict[str, Any]:
    """Make one random GRU wrong in every way."""
    rng = np.random.default_rng([_SEED, number])
    setting = Setting(
        hidden_size=int(rng.choice([8, 64, 256])),
        input_size=int(rng.choice([8, 32])),
        steps=int(rng.choice([16, 128])),
        batch=int(rng.choice([2, 8])),
        weights=str(rng.choice(["fresh", "trained"])),
        weight_scale=float(rng.choice([0.5, 1, 1.5])),
        bias_scale=float(rng.choice([0.01, 0.3])),
    )
    spec = make_spec(setting, rng)
    probe = make_probe(setting, spec, rng)
    found: list[dict[str, bool]] = []
    for fault in FAULTS:
        right = fault.prepared(spec, rng)
        wrong = fault.broken(right, rng)
        inputs = fault.inputs(probe)
        trace = fault.run(wrong, inputs)
        how = arithmetic(right, trace)
        designed = designed_probe([right], seed=number)
        found.append(
            {
                **_by_tolerance(right, trace, inputs),
                "every step": _by_the_bound(right, trace, inputs, how),
                "designed inputs": _by_the_filter(right, fault.run(wrong, designed), designed, how),
            }
        )
    return {"found": found}


def _by_tolerance(right: GRUSpec, trace: Trace, probe: Probe) -> dict[str, bool]:
    """What comparing the hidden states with those of ONNX Runtime, which runs the right GRU, tells."""
    _, other = run_natively(right, "onnxruntime", probe)
    place = (0, "forward")
    one, two = (made.places[place].hidden for made in (trace, other))  # type: ignore[index]
    return {name: not np.allclose(one, two, rtol, atol) for name, (rtol, atol) in _TOLERANCES.items()}


def _by_the_bound(right: GRUSpec, trace: Trace, probe: Probe, how: Arithmetic) -> bool:
    found = compare(right, trace, probe, "end-to-end", _SIDES, how)
    return combined(one.verdict for one in found) is Verdict.DIFFERENT


def _by_the_filter(right: GRUSpec, trace: Trace, probe: Probe, how: Arithmetic) -> bool:
    return _by_the_bound(right, trace, probe, how) or bool(sense(right, trace, probe, how).changes)


if __name__ == "__main__":
    answer(_measure)
