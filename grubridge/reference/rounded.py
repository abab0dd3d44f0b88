"""Arithmetic with errors: every operation of a GRU on values that carry bounds of their own error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grubridge.spec import Activation, Array

from .activations import evaluate
from .arithmetic import Arithmetic
from .slopes import evaluation_error, steepest

__all__ = ["Evaluation", "Rounded", "Term", "exactly"]


@dataclass(frozen=True)
class Rounded:
    """An exact value and the error of its rounded evaluation, elementwise.

    The error is a zero-mean random part of sub-Gaussian variance at most `variance`, plus a part of at most
    `fixed`. Whatever the signs, it is at most `worst`.
    """

    value: Array
    variance: Array
    fixed: Array
    worst: Array

    @property
    def exact(self) -> bool:
        """Whether there is no error at all."""
        return self.worst.ndim == 0


Term = tuple[Rounded, Array, Array]
"""A factor [N, K], its weight [H, K] and the bias [H] that is added to the product."""


def exactly(value: Array) -> Rounded:
    """Return `value` without any error."""
    zero = np.zeros(())
    return Rounded(value, zero, zero, zero)


@dataclass(frozen=True)
class Evaluation:
    """The operations of a GRU as one arithmetic rounds them."""

    how: Arithmetic
    deviations: float
    in_order: bool

    def reach(self, a: Rounded) -> Array:
        """How far the statistical error of `a` goes."""
        return self.deviations * np.sqrt(a.variance) + a.fixed

    def returned(self, value: Array) -> Array:
        """How far `value` is rounded when it leaves a runtime that is wider inside."""
        return self.how.output * np.abs(value) + self.how.output_underflow

    def returned_state(self, state: Array) -> Rounded:
        """The previous state, known only to the precision it was returned in."""
        if not self.how.output:
            return exactly(state)
        off = self.returned(state)
        # uniform rounding has a variance of off^2/3; tripled because z, r and n share these errors
        return Rounded(state, off**2, np.zeros(()), off)

    def dot(self, a: Rounded, weight: Array, bias: Array) -> Rounded:
        """Multiply and add: a W^T + bias, [N, K] by [H, K] plus [H]."""
        how, terms, w = self.how, weight.shape[1], weight.T
        products = a.value @ w
        squares = a.value**2 @ w**2
        sizes = np.abs(a.value) @ np.abs(w)
        total = products + bias
        sums = _random_order(products, squares, terms, bias)
        if self.in_order:
            sums = np.maximum(sums, _natural_order(a.value, w, bias))
        variance = (
            how.accumulator**2 * (sums + squares)
            + 2 * how.product_input**2 * squares
            + how.unit**2 * (total**2 + products**2)
        ) / 3
        fixed = np.full_like(total, terms * how.underflow)
        growth = _growth(terms + 2, how.accumulator)
        worst = fixed + growth * (sizes + np.abs(bias)) + how.unit * (np.abs(total) + np.abs(products))
        worst += 2.01 * how.product_input * sizes
        if not a.exact:
            variance += (a.variance + a.fixed**2) @ w**2
            worst += (1 + growth) * (a.worst @ np.abs(w))
        return Rounded(total, variance, fixed, worst)

    def products(self, of_x: Term, of_h: Term) -> Rounded:
        """Return W x + b + U h + c, summed as `Arithmetic.products` says."""
        ways = ("apart", "xh", "hx") if self.how.products == "unknown" else (self.how.products,)
        terms = {"xh": (of_x, of_h), "hx": (of_h, of_x)}
        made = [
            self._joint_dot(*terms[way]) if way in terms else self.add(self.dot(*of_x), self.dot(*of_h))
            for way in ways
        ]
        return made[0] if len(made) == 1 else _widest(made)

    def _joint_dot(self, first: Term, second: Term) -> Rounded:
        """Both products as one with their factors side by side; the second bias is added afterwards."""
        (a, weight, bias), (b, other_weight, other_bias) = first, second
        total = self.dot(_side_by_side(a, b), np.concatenate([weight, other_weight], axis=1), bias)
        return self.add(total, exactly(other_bias)) if other_bias.any() else total

    def add(self, a: Rounded, b: Rounded) -> Rounded:
        """Return a + b."""
        value = a.value + b.value
        rounding = self.how.unit * np.abs(value)
        return Rounded(
            value, a.variance + b.variance, a.fixed + b.fixed + rounding, a.worst + b.worst + rounding
        )

    def multiply(self, a: Rounded, b: Rounded) -> Rounded:
        """Return a * b, elementwise."""
        value, one, other = a.value * b.value, np.abs(a.value), np.abs(b.value)
        rounding = self.how.unit * np.abs(value) + self.how.underflow
        return Rounded(
            value,
            one**2 * b.variance + other**2 * a.variance,
            one * b.fixed + other * a.fixed + self.reach(a) * self.reach(b) + rounding,
            one * b.worst + other * a.worst + a.worst * b.worst + rounding,
        )

    def activate(self, function: Activation, a: Rounded, error: float, clip: float | None) -> Rounded:
        """Return function(a), clipped first; `error` is that of the machine's own sigmoid or tanh."""
        if clip is not None:
            a = self._clip(a, clip)
        if function.name != "sigmoid":
            error = max(error, self.how.candidate_error)
        value = evaluate(function, a.value)
        own = self.how.unit * evaluation_error(function, a.value, value, error) + self.how.underflow
        slope = steepest(function, a.value, self.reach(a))
        return Rounded(
            value,
            slope**2 * a.variance,
            slope * a.fixed + own,
            steepest(function, a.value, a.worst) * a.worst + own,
        )

    def _clip(self, a: Rounded, clip: float) -> Rounded:
        """Clipping brings errors no closer to each other than they were; beyond the clip there are none."""
        beyond = np.abs(a.value) - self.reach(a) > clip
        surely_beyond = np.abs(a.value) - a.worst > clip
        rounding = self.how.unit * clip  # of the clip itself
        return Rounded(
            np.clip(a.value, -clip, clip),
            np.where(beyond, 0, a.variance),
            np.where(beyond, 0, a.fixed) + rounding,
            np.where(surely_beyond, 0, a.worst) + rounding,
        )

    def blend(self, z: Rounded, n: Rounded, state: Rounded) -> Rounded:
        """Take z * state + (1 - z) * n, however it is written: also as n + z * (state - n).

        The difference is rounded beside n, or beside the state where the gate is 1 - z (`Arithmetic.blend`).
        """
        value = z.value * state.value + (1 - z.value) * n.value
        keep, take, gap = np.abs(z.value), np.abs(1 - z.value), np.abs(state.value - n.value)
        kept, taken = np.abs(z.value * state.value), take * np.abs(n.value)
        twice = {"keeps": taken, "takes": kept, "either": np.maximum(kept, taken)}[self.how.blend]
        one_way = kept + taken + twice
        rounding = self.how.unit * (np.maximum(one_way, 2 * keep * gap) + np.abs(value))
        rounding += self.how.underflow * (1 + gap)
        reach, worst = self.reach(z), z.worst
        return Rounded(
            value,
            gap**2 * z.variance + take**2 * n.variance,
            gap * z.fixed + take * n.fixed + reach * self.reach(n) + (keep + reach) * state.worst + rounding,
            gap * worst + take * n.worst + worst * n.worst + (keep + worst) * state.worst + rounding,
        )


def _side_by_side(a: Rounded, b: Rounded) -> Rounded:
    if a.exact and b.exact:
        return exactly(np.concatenate([a.value, b.value], axis=1))

    def both(name: str) -> Array:
        parts = [np.broadcast_to(getattr(one, name), one.value.shape) for one in (a, b)]
        return np.concatenate(parts, axis=1)

    return Rounded(both("value"), both("variance"), both("fixed"), both("worst"))


def _widest(ways: Sequence[Rounded]) -> Rounded:
    """One value evaluated in one of several ways, it is not known which."""
    variance, fixed, worst = (
        np.maximum.reduce([getattr(way, name) for way in ways]) for name in ("variance", "fixed", "worst")
    )
    return Rounded(ways[0].value, variance, fixed, worst)


def _random_order(products: Array, squares: Array, terms: int, first: Array) -> Array:
    """Expected sum of squared partial sums of `first` and then `terms` terms in a random order."""
    spread = np.maximum(squares - products**2 / terms, 0)
    offset = terms * (first**2 + np.abs(first * products))
    total: Array = products**2 * (terms / 3) + spread * ((terms + 1) / 6) + offset
    return total


def _natural_order(rows: Array, columns: Array, first: Array) -> Array:
    """Sum of squared partial sums of `first` and then the terms as they stand: [N, K] by [K, H]."""
    partial = np.broadcast_to(first, (len(rows), columns.shape[1])).copy()
    total = np.zeros_like(partial)
    for k in range(len(columns)):
        partial += rows[:, k, None] * columns[k]
        total += partial**2
    return total


def _growth(operations: int, unit: float) -> float:
    """Largest relative error of that many roundings, Higham's gamma."""
    product = operations * unit
    return product / (1 - product) if product < 1 else math.inf
