"""The mistakes that explain what a runtime did in one place: fewest first, held to the bound of rounding."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from grubridge.errors import UnsupportedFeatureError
from grubridge.reference import cell, one_step
from grubridge.reference.arithmetic import Arithmetic
from grubridge.reference.rounding import deviations
from grubridge.spec import Array

from .edits import Hypothesis, Site, edited
from .hypotheses import alternatives
from .precision import Precision, bounds, ladder
from .screen import Orders, Screen, Variants
from .steps import Rows, Seen, data_alternatives, gather, typical_steps

__all__ = ["Fit", "Search"]

MOST_MISTAKES = 3  # at once, a lower precision apart

_FIRST_LOOK, _SECOND_LOOK, _ROUNDED_LOOK = (3, 8), (24, 32), (8, 16)  # steps and units that are compared
_KEPT, _COARSE = 96, 12  # hypotheses that get a second look, and those that are crossed with precisions
_QUICK, _THOROUGH = 32, 256  # steps that a bound is computed for
_WORST = 4  # steps that are looked at first
_CHOSEN = 64  # steps to choose from in a look
_LOOKED_THROUGH = 2**18  # numbers among which the worst are looked for
_HOPEFUL = 64  # times the largest bound: what is further off is no rounding in the run's own arithmetic
_BETTER = 4  # times better must a precision make a hypothesis to be worth its bound


@dataclass(frozen=True)
class Fit:
    """How well a hypothesis explains what was returned.

    Args:
        hypothesis: the mistakes, a lower precision among them.
        residual: largest |error| that is left.
        headroom: largest error over its bound; at most 1 explains.
    """

    hypothesis: Hypothesis
    residual: float
    headroom: float

    @property
    def explains(self) -> bool:
        """Whether what is left is rounding."""
        return self.headroom <= 1


_Looked = tuple[float, int, Hypothesis]
"""Its error, its number, and a hypothesis."""


class Search:
    """One place of a run, to be explained.

    Args:
        at: what should have been computed there.
        seen: what was received and returned.
        how: the arithmetic that the run declared.
    """

    def __init__(self, at: Site, seen: Seen, how: Arithmetic) -> None:
        self._at, self._seen, self._how = at, seen, how
        self._steps, worst_unit = _telling_steps(at, seen)
        others = np.random.default_rng(1).permutation(at.direction.hidden_size)
        self._units = np.concatenate([[worst_unit], others[others != worst_unit]])
        self._variants = Variants(at)
        self._first, self._second = self._screen(_FIRST_LOOK), self._screen(_SECOND_LOOK)
        axes = [*alternatives(at), *data_alternatives(seen)]
        self._axes = [edits for edits in axes if edits[0].axis != "gate_order"]
        self._right_order = Orders((None,))
        self._wrong_orders = Orders([edit for edits in axes for edit in edits if edit.axis == "gate_order"])
        self._hopeful = _HOPEFUL * self._largest_bound()
        returned = gather(seen, self._steps).hidden
        self._rungs = {one.edit: (one, self._screen(_ROUNDED_LOOK, one)) for one in ladder(returned, how)}

    def _screen(self, look: tuple[int, int], precision: Precision | None = None) -> Screen:
        steps, units = look
        return Screen(
            self._variants, self._seen, self._steps[:_CHOSEN], steps, self._units[:units], precision
        )

    @property
    def possible(self) -> bool:
        """Whether any step can be judged."""
        return len(gather(self._seen, self._steps)) > 0

    def fit(self, hypothesis: Hypothesis) -> Fit:
        """Hold `hypothesis` against the run; infinitely bad where it cannot be made at this place."""
        nothing = Fit(hypothesis, math.inf, math.inf)
        rung = next((edit for edit in hypothesis if edit.axis == "precision"), None)
        rows = gather(self._seen, self._steps, hypothesis)
        if len(rows) == 0 or (rung is not None and rung not in self._rungs):
            return nothing
        try:
            after = edited(self._at, hypothesis)
        except (ValueError, UnsupportedFeatureError):
            return nothing
        precision = None if rung is None else self._rungs[rung][0]
        found = self._held(after, rows.first(_QUICK), precision)
        if found[1] <= 1 and len(rows) > _QUICK:
            found = self._held(after, rows, precision)
        return Fit(hypothesis, *found)

    def _held(self, after: Site, rows: Rows, precision: Precision | None) -> tuple[float, float]:
        """The largest error, and error over bound."""
        numbers = cell(after.layer, after.direction)
        width = deviations(len(rows), after.direction.hidden_size)
        expected = bounds(numbers, rows, self._how, precision, deviations=width)
        error = np.abs(rows.hidden - expected.value)
        if _ratio(error, expected.statistical) > 1 and _ratio(error, expected.worst) <= 1:
            expected = bounds(numbers, rows, self._how, precision, deviations=width, in_order=True)
        return float(np.nan_to_num(error, nan=np.inf).max()), _ratio(error, expected.statistical)

    def _largest_bound(self) -> float:
        numbers = cell(self._at.layer, self._at.direction)
        rows = gather(self._seen, self._steps).first(_QUICK)
        width = deviations(max(1, len(rows)), self._at.direction.hidden_size)
        bound = bounds(numbers, rows, self._how, None, deviations=width).statistical
        return float(bound[np.isfinite(bound)].max(initial=0))

    def explanations(self, most: int = MOST_MISTAKES) -> list[Fit]:
        """Return what explains the run with the fewest edits, the best first; [] when nothing does.

        Args:
            most: mistakes at once, beside a lower precision.
        """
        as_it_should = self.fit(())
        if as_it_should.explains:
            return [as_it_should]
        before: list[Hypothesis] = [()]
        for count in range(1, most + 2):
            likely = self._likely(count) if count <= most else []
            hopeful = sorted((index, edits) for error, index, edits in likely if error <= self._hopeful)
            tried = [edits for _, edits in hopeful]
            tried += self._in_lower_precision(before)
            found = [fit for fit in map(self.fit, tried) if fit.explains]
            if found:
                return sorted(found, key=lambda fit: round(fit.headroom, 1))
            before = [edits for _, _, edits in likely[:_COARSE]]
        return []

    def rivals(self) -> list[Fit]:
        """Return how well each single mistake and each lower precision explains the run, the best first."""
        axes = (*self._axes, self._wrong_orders.edits, self._rungs)
        alone = [(edit,) for edits in axes for edit in edits if edit is not None]
        return sorted(map(self.fit, alone), key=lambda fit: fit.residual)

    def _likely(self, count: int) -> list[_Looked]:
        """Return hypotheses of `count` mistakes, those with the smallest errors first."""
        best = heapq.nsmallest(_KEPT, self._first_looks(count))
        return sorted((self._second.error(hypothesis), index, hypothesis) for _, index, hypothesis in best)

    def _first_looks(self, count: int) -> Iterator[_Looked]:
        index = 0
        for others, orders in ((count, self._right_order), (count - 1, self._wrong_orders)):
            if not orders.edits:
                continue
            for axes in combinations(self._axes, others):
                for edits in product(*axes):
                    errors = self._first.errors(edits, orders)
                    for error, order in zip(errors.tolist(), orders.edits, strict=True):
                        yield error, index, edits if order is None else (*edits, order)
                        index += 1

    def _in_lower_precision(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """Return `hypotheses` joined with the precisions that make them much better."""
        found: list[Hypothesis] = []
        for hypothesis in hypotheses:
            enough = max(self._hopeful, self._second.error(hypothesis) / _BETTER)
            for edit, (precision, screen) in self._rungs.items():
                if precision.format or screen.error(hypothesis) <= enough:
                    found.append((*hypothesis, edit))
        return found


def _ratio(error: Array, bound: Array) -> float:
    """The largest error over bound, where there is a bound; infinite when there is none at all."""
    judged = np.isfinite(bound)
    if not judged.any():
        return math.inf
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(error > 0, error / bound, 0)[judged]
    return float(np.nan_to_num(ratio, nan=np.inf).max())


def _telling_steps(at: Site, seen: Seen) -> tuple[Array, int]:
    """Return steps to judge by, those that are furthest off first, and the unit that is furthest off."""
    some = max(_THOROUGH, _LOOKED_THROUGH // at.direction.hidden_size)
    rows = gather(seen, typical_steps(seen, some))
    with np.errstate(all="ignore"):
        _, expected = one_step(cell(at.layer, at.direction), rows.x, rows.previous)
        error = np.nan_to_num(np.abs(rows.hidden - expected), nan=0, posinf=0)
    if len(rows) == 0:
        return rows.steps, 0
    worst = rows.steps[np.argsort(-error.max(axis=1))[:_WORST]]
    steps = np.concatenate([worst, typical_steps(seen, _THOROUGH)])
    _, places = np.unique(steps, axis=0, return_index=True)
    return steps[np.sort(places)], int(error.max(axis=0).argmax())
