"""Random mistakes, one to three at once, in random GRUs: is the true cause what the search finds first?"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.wrong_cases import HOW, Case, draw, seen_at
from benchmarks.wrong_runs import run_wrongly
from grubridge.diagnosis.edits import SPEC_AXES, Hypothesis, edited
from grubridge.diagnosis.explain import explain
from grubridge.diagnosis.hypotheses import apply, site
from grubridge.diagnosis.precision import LADDER, bounds
from grubridge.diagnosis.steps import gather
from grubridge.reference import cell
from grubridge.spec import Array
from grubridge.traces import Place, Trace, valid_steps

__all__ = ["HEADER", "Found", "diagnose", "rows"]

HEADER = (
    f"{'mistakes':>8} {'precision':9} {'cases':>6} {'first':>6} {'equal':>6} {'missed':>6} "
    f"{'median s':>9} {'largest s':>9}"
)

_CASES = 500
_SAME = 2.0**-22  # two float32 results of order 1 that are equal but for rounding
_SAME_RUN = 2.0**-18  # likewise, of two runs

Outcome = Literal["first", "equal", "missed"]


@dataclass(frozen=True)
class Found:
    """What the search made of a case.

    Args:
        outcome: whether the mistakes come first, or others that make the same function here.
        said: the sentences.
        seconds: of one core, in every place together.
    """

    outcome: Outcome
    said: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Row:
    """The cases with one number of mistakes.

    Args:
        mistakes: how many at once, a lower precision apart.
        rounded: whether there was a lower precision too.
        found: what the search made of them.
    """

    mistakes: int
    rounded: bool
    found: Sequence[Found]

    @property
    def holds(self) -> bool:
        """Whether nothing was missed."""
        return all(one.outcome != "missed" for one in self.found)

    def __str__(self) -> str:
        counts = [
            sum(one.outcome == outcome for one in self.found) for outcome in ("first", "equal", "missed")
        ]
        seconds = [one.seconds for one in self.found]
        figures = " ".join(f"{count:6}" for count in (len(self.found), *counts))
        times = f"{statistics.median(seconds):9.2f} {max(seconds):9.2f}"
        return f"{self.mistakes:8} {'lower' if self.rounded else 'float32':9} {figures} {times}"


def rows() -> Iterator[Row]:
    """Yield what was found, by number of mistakes; what was missed is told on stderr."""
    found: dict[tuple[bool, int], list[Found]] = {}
    for number in range(_CASES):
        case = draw(number)
        one = diagnose(case)
        if one.outcome == "missed":
            truth = ", ".join(map(str, case.mistakes))
            print(f"case {number}: {truth}; found: {'; '.join(one.said) or 'nothing'}", file=sys.stderr)
        rounded = any(edit.axis == "precision" for edit in case.mistakes)
        found.setdefault((rounded, len(case.mistakes) - rounded), []).append(one)
    for (rounded, mistakes), several in sorted(found.items()):
        yield Row(mistakes, rounded, several)


def diagnose(case: Case) -> Found:
    """Search for the cause of a case."""
    began = time.process_time()
    explanations = explain(case.spec, case.trace, case.probe, HOW, case.places)
    seconds = time.process_time() - began
    outcomes: list[Outcome] = []
    for place in case.places:
        given = [one.hypothesis for one in explanations if place in one.places]
        if given and set(given[0]) == set(case.mistakes):
            outcomes.append("first")
        else:
            equal = bool(given) and (_same_function(case, place, given[0]) or _same_run(case, given[0]))
            outcomes.append("equal" if equal else "missed")
    ranks: tuple[Outcome, ...] = ("first", "equal", "missed")
    worst = max(outcomes, key=ranks.index)
    return Found(worst, tuple(one.sentence for one in explanations), seconds)


def _same_function(case: Case, place: Place, hypothesis: Hypothesis) -> bool:
    """Whether `hypothesis` and the true mistakes make the same of every step of the run."""
    one, other = (_expected(case, place, edits) for edits in (hypothesis, case.mistakes))
    both = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
    return bool(both.any()) and float(np.abs(one - other)[both].max()) <= _SAME


def _same_run(case: Case, hypothesis: Hypothesis) -> bool:
    """Whether `hypothesis`, made everywhere, gives the numbers that the true mistakes give."""
    made: list[Trace] = []
    for edits in (hypothesis, case.mistakes):
        wrong = apply(tuple(edit for edit in edits if edit.axis in SPEC_AXES), case.spec)
        others: dict[str, str] = {edit.axis: edit.value for edit in edits if edit.axis not in SPEC_AXES}
        made.append(run_wrongly(wrong, case.probe, others))
    valid = valid_steps(case.probe.batch, case.probe.steps, case.probe.lengths)
    both = [(one.hidden[valid], made[1].places[place].hidden[valid]) for place, one in made[0].places.items()]
    return all(np.allclose(one, other, rtol=0, atol=_SAME_RUN) for one, other in both)


def _expected(case: Case, place: Place, hypothesis: Hypothesis) -> Array:
    """[B*T, H]; NaN where the hypothesis says nothing."""
    seen = seen_at(case.spec, case.trace, case.probe, place)
    batch, steps, hidden_size = seen.hidden.shape
    every = np.argwhere(np.ones((batch, steps), bool))
    rows = gather(seen, every[every[:, 1] < seen.ends[every[:, 0]]], hypothesis)
    after = edited(site(case.spec, *place), hypothesis)
    rung = next((rung for rung in LADDER if rung.edit in hypothesis), None)
    made = np.full((batch * steps, hidden_size), np.nan)
    values = bounds(cell(after.layer, after.direction), rows, HOW, rung, deviations=8.0).value
    made[rows.steps @ [steps, 1]] = values
    return made
