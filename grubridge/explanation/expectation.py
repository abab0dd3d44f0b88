"""Where a number that somebody expected comes from: the equations, or a known mistake, or nothing known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import chain, combinations

import numpy as np

from grubridge.errors import GRUBridgeError, ProbeError
from grubridge.files.text import printable
from grubridge.reference.activations import evaluate
from grubridge.spec import Activation, Array

from .mistakes import Calculated, Calculation, Mistake, calculate, known_mistakes

__all__ = ["Expectation", "Match", "Search", "Wanted", "expected_number"]

_FLOAT32_DIGITS = 9
_FLOAT32_ROUNDING = 5e-7  # what a run in float32 may be off by, relative to 1 or to the value
_FLOAT64_ROUNDING = 1e-12
_MOST_STEPS = 100_000  # of all calculations together; pairs of mistakes are tried only below
_MOST_PRODUCTS = 1 << 28  # in all of them
_AROUND = 0.05  # the neighbourhood in which values are counted, to say how dense they are


@dataclass(frozen=True)
class Match:
    """One way to a value.

    Args:
        mistakes: what was done otherwise, as clauses; () when the equations as they are give it.
        quantity: what the value is, e.g. "h[0]" or "the argument of z[1]".
        value: it.
    """

    mistakes: tuple[str, ...]
    quantity: str
    value: float


@dataclass(frozen=True)
class Expectation:
    """What is known about an expected value.

    Args:
        text: the value as it was given.
        tolerance: how near a value must come: one unit of the last digit given, or rounding where more digits
            were given than a float32 has.
        right: whether it is the state that the equations give.
        matches: the ways to it that make fewest mistakes; () when none leads there.
        tried: how many values were compared.
        pairs: whether mistakes were tried two at a time.
        by_chance: how many of the values compared would be expected to agree as well if it came from elsewhere.
        nearest: when none matches, what came nearest.
    """

    text: str
    tolerance: float
    right: bool
    matches: tuple[Match, ...]
    tried: int
    pairs: bool
    by_chance: float
    nearest: Match | None


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


def expected_number(text: str) -> tuple[float, float]:
    """Return an expected value and how near another must come to agree with it within its digits.

    Raises:
        ProbeError: when it is no finite number.
    """
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise ProbeError(f"an expected value must be a number such as -0.4628; received {printable(text)!r}")
    _, digits, exponent = number.as_tuple()
    value = float(number)
    rounding = _FLOAT32_ROUNDING if len(digits) <= _FLOAT32_DIGITS else _FLOAT64_ROUNDING
    last_digit = float(Decimal((0, (1,), int(exponent))))
    if not np.isfinite(value) or not np.isfinite(last_digit):
        raise ProbeError(f"an expected value must be a number that float64 holds; received {printable(text)!r}")
    return value, max(last_digit, rounding * max(abs(value), 1.0))


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


class Search:
    """All values that known mistakes lead to, calculated once and then asked for expected ones."""

    def __init__(self, how: Calculation, later: Array, wanted: Wanted) -> None:
        """Calculate.

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
            self._levels = [list(level) for level in self._all(how, mistakes, later)]

    def _all(
        self, how: Calculation, mistakes: Sequence[Mistake], later: Array
    ) -> Iterator[Iterator[_Values]]:
        """Yield the values that no mistake leads to, then those of one, then those of two."""
        right = calculate(how)
        singles = [((mistake.phrase,), calculate(mistake.made(how))) for mistake in mistakes]
        yield self._states((), right)
        others = self._others((), right, later)
        yield chain(others, *(self._states(phrases, made) for phrases, made in singles))
        if self._pairs:
            doubles = (
                ((one.phrase, other.phrase), made)
                for one, other in combinations(mistakes, 2)
                if one.kind != other.kind and (made := _both(how, one, other)) is not None
            )
            yield chain(
                *(self._others(phrases, made, later[:0]) for phrases, made in singles),
                *(self._states(phrases, made) for phrases, made in doubles),
            )

    def _states(self, mistakes: tuple[str, ...], made: Calculated) -> Iterator[_Values]:
        """Yield what the model returns."""
        output = self._wanted.output
        if output is None:
            yield self._named(mistakes, "h[{}]", made.hidden[-1])
        else:
            yield self._named(mistakes, f"{output.name}(h[{{}}])", evaluate(output, made.hidden[-1]))

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
            ("h[{}]" if self._wanted.output else "tanh(h[{}])", last if self._wanted.output else np.tanh(last)),
            *((f"h[{{}}] {_steps(back)} earlier", state) for back, state in enumerate(made.hidden[-2::-1], 1)),
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
        value, tolerance = expected_number(text)
        fitting = [
            tuple(
                one.match(int(index))
                for one in level
                for index in np.flatnonzero(np.abs(one.values - value) <= tolerance)
            )
            for level in self._levels
        ]
        matches = next(filter(None, fitting), ())
        everything = [one for level in self._levels for one in level]
        distances = np.abs(np.concatenate([one.values for one in everything]) - value)
        around = max(100 * tolerance, _AROUND * max(abs(value), 1.0))
        with np.errstate(invalid="ignore"):
            neighbours = int(np.count_nonzero((distances > tolerance) & (distances <= around)))
        return Expectation(
            text=text.strip(),
            tolerance=tolerance,
            right=bool(fitting[0]),
            matches=matches,
            tried=len(distances),
            pairs=self._pairs,
            by_chance=neighbours * tolerance / around,
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


def _both(how: Calculation, one: Mistake, other: Mistake) -> Calculated | None:
    try:
        return calculate(other.made(one.made(how)))
    except (ValueError, GRUBridgeError):  # the first has made the second impossible
        return None


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
