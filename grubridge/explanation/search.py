"""Where an expected number comes from: the equations, or known mistakes with them, or nothing known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from grubridge.errors import GRUBridgeError
from grubridge.reference.activations import evaluate
from grubridge.spec import Activation, Array

from .expectation import Expectation, Match, expected_number
from .mistakes import Calculated, Calculation, Mistake, calculate, known_mistakes

__all__ = ["Search", "Wanted"]

_MOST_STEPS = 100_000  # of all calculations together; pairs of mistakes are tried only below
_MOST_PRODUCTS = 1 << 28  # in all of them
_MOST_LEVELS = 3  # no mistake, one, two
_AROUND = 0.05  # the neighbourhood in which values are counted, to say how dense they are


@dataclass(frozen=True)
class Wanted:
    """What expected values are meant to be.

    Args:
        unit: the only unit that is meant; None for any.
        takes: whether z is told as what takes the candidate: 1 - z of the canonical equations.
        output: the function of the state that the model returns; None when it returns the state.
    """

    unit: int | None
    takes: bool
    output: Activation | None


@dataclass(frozen=True)
class _Values:
    """Values of one kind that one way leads to.

    Args:
        mistakes: what was done otherwise.
        name: what the values are, {} standing for the unit.
        units: which unit each belongs to.
        values: [K].
    """

    mistakes: tuple[str, ...]
    name: str
    units: Sequence[int]
    values: Array

    def match(self, index: int) -> Match:
        return Match(self.mistakes, self.name.format(self.units[index]), float(self.values[index]))


@dataclass(frozen=True)
class _Single:
    """A mistake, the calculation in which it was made, and what came out."""

    mistake: Mistake
    made: Calculation
    result: Calculated


class Search:
    """Values that known mistakes lead to; those of two at once are calculated when they are first needed."""

    def __init__(self, how: Calculation, later: Array, wanted: Wanted) -> None:
        """Begin with what one mistake leads to.

        Args:
            how: the right calculation, up to the step in question.
            later: the states of the steps after it, [K, H].
            wanted: what the expected values are meant to be.
        """
        self._wanted = wanted
        mistakes = known_mistakes(how, takes=wanted.takes)
        work = len(mistakes) ** 2 // 2 * len(how.x)
        size = how.site.direction.hidden_size * (how.site.direction.hidden_size + how.x.shape[1])
        self._pairs = work <= _MOST_STEPS and work * size <= _MOST_PRODUCTS
        with np.errstate(all="ignore"):
            self._right = calculate(how)
            self._singles = [
                _Single(mistake, made := mistake.made(how), calculate(made)) for mistake in mistakes
            ]
        self._later = later

    def _levels(self) -> Iterator[list[_Values]]:
        """Yield the values that no mistake leads to, then those of one, then those of two."""
        yield [self._states((), self._right)]
        others = self._others((), self._right, self._later)
        yield [*others, *(self._states((one.mistake.phrase,), one.result) for one in self._singles)]
        if self._pairs:
            yield self._of_two

    @cached_property
    def _of_two(self) -> list[_Values]:
        values: list[_Values] = []
        for one in self._singles:
            values += self._others((one.mistake.phrase,), one.result, self._later[:0])
        for one, other in combinations(self._singles, 2):
            made = _both(one, other.mistake)
            if made is not None:
                values.append(self._states((one.mistake.phrase, other.mistake.phrase), made))
        return values

    def _states(self, mistakes: tuple[str, ...], made: Calculated) -> _Values:
        """Return what the model returns."""
        output = self._wanted.output
        if output is None:
            return self._named(mistakes, "h[{}]", made.hidden[-1])
        return self._named(mistakes, f"{output.name}(h[{{}}])", evaluate(output, made.hidden[-1]))

    def _others(self, mistakes: tuple[str, ...], made: Calculated, later: Array) -> Iterator[_Values]:
        """Yield what somebody may have taken for it: a gate, a sum, another step's or unit's state."""
        z, arguments, last = made.gates.update, made.arguments, made.hidden[-1]
        updates, sign = (("1 - z[{}]", "z[{}]"), -1) if self._wanted.takes else (("z[{}]", "1 - z[{}]"), 1)
        for name, values in (
            (updates[0], z),
            (updates[1], 1 - z),
            ("r[{}]", made.gates.reset),
            ("n[{}]", made.gates.candidate),
            ("the argument of z[{}]", sign * arguments.update),
            ("the argument of r[{}]", arguments.reset),
            ("the argument of n[{}]", arguments.candidate),
            (
                "h[{}]" if self._wanted.output else "tanh(h[{}])",
                last if self._wanted.output else np.tanh(last),
            ),
            *(
                (f"h[{{}}] {_steps(back)} earlier", state)
                for back, state in enumerate(made.hidden[-2::-1], 1)
            ),
            *((f"h[{{}}] {_steps(ahead)} later", state) for ahead, state in enumerate(later, 1)),
            *((f"the {what} of h[{{}}] over the steps", of) for what, of in _joined(made.hidden)),
        ):
            yield self._named(mistakes, name, values)
        for what, of in _joined(last):
            yield _Values(mistakes, f"the {what} of h over the units", [0], of[None])
        if self._wanted.unit is not None:
            rest = [unit for unit in range(len(last)) if unit != self._wanted.unit]
            yield _Values(mistakes, "h[{}], another unit", rest, last[rest])

    def _named(self, mistakes: tuple[str, ...], name: str, values: Array) -> _Values:
        unit = self._wanted.unit
        units = range(len(values)) if unit is None else range(unit, unit + 1)
        return _Values(mistakes, name, units, values[units.start : units.stop])

    def ask(self, text: str) -> Expectation:
        """Return what is known about the expected value `text`.

        Raises:
            ProbeError: when it is no number.
        """
        value, low, high = expected_number(text)
        levels: list[list[_Values]] = []
        matches: tuple[Match, ...] = ()
        with np.errstate(all="ignore"):
            for level in self._levels():
                levels.append(level)
                fitting = ((one, np.flatnonzero(_within(one.values, low, high))) for one in level)
                matches = tuple(one.match(int(index)) for one, indices in fitting for index in indices)
                if matches:
                    break
        everything = [one for level in levels for one in level]
        values = np.concatenate([one.values for one in everything])
        around = max(100 * (high - low), _AROUND * max(abs(value), 1.0))
        near = np.abs(values - value) <= around
        neighbours = int(np.count_nonzero(near & ~_within(values, low, high)))
        return Expectation(
            text=text.strip(),
            low=low,
            high=high,
            right=bool(matches) and len(levels) == 1,
            matches=matches,
            tried=len(values),
            pairs=len(levels) == _MOST_LEVELS,
            by_chance=neighbours * (high - low) / (2 * around),
            nearest=None if matches else _nearest(everything, value),
        )


def _nearest(everything: Sequence[_Values], value: float) -> Match | None:
    """Return what comes nearest to `value`; None when nothing is a number."""
    found: Match | None = None
    for one in everything:
        distances = np.where(np.isfinite(one.values), np.abs(one.values - value), np.inf)
        index = int(np.argmin(distances)) if distances.size else 0
        if distances.size and distances[index] < (np.inf if found is None else abs(found.value - value)):
            found = one.match(index)
    return found


def _joined(states: Array) -> list[tuple[str, Array]]:
    """Return the sum and the mean along the first axis, where there is more than one to join."""
    return [("sum", states.sum(axis=0)), ("mean", states.mean(axis=0))] if len(states) > 1 else []


def _both(one: _Single, other: Mistake) -> Calculated | None:
    """Return what comes of two mistakes; None where one kind excludes or the first prevents the second."""
    if one.mistake.kind == other.kind:
        return None
    try:
        return calculate(other.made(one.made))
    except (ValueError, GRUBridgeError):
        return None


def _within(values: Array, low: float, high: float) -> Array:
    found: Array = (low <= values) & (values <= high)
    return found


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
