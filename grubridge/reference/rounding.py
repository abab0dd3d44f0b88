"""How far rounding may carry one step of a GRU: bounds on z, r, n and h' around their exact values.

Every quantity is followed from the inputs to h' as an exact value with three measures of the error of a
low-precision evaluation (`Rounded`). Two bounds come of them:

- statistical: rounding errors are zero-mean and conditionally independent, so that a sum of n of them
  grows like sqrt(n) (Azuma's inequality; Higham and Mary, SIAM J. Sci. Comput. 41(5), 2019; Ipsen and
  Zhou, arXiv:1906.10465). It is exceeded with probability 1e-9 in a whole comparison.
- worst: nothing is assumed about signs, a sum of n errors grows like n (Higham, Accuracy and Stability
  of Numerical Algorithms, section 3.1). Only an error of another kind exceeds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from grubridge.spec import GATE_NAMES, Activation, Array

from .activations import evaluate
from .arithmetic import UNIT_ROUNDOFF, Arithmetic
from .equations import Cell
from .slopes import evaluation_error, steepest

__all__ = ["QUANTITIES", "Interval", "Quantity", "deviations", "one_step_bounds"]

Quantity = Literal["hidden", "update", "reset", "candidate"]
QUANTITIES: tuple[Quantity, ...] = ("hidden", *GATE_NAMES)

_FALSE_ALARM = 1e-9
_SECOND_ORDER = 2.0**-10  # products of two relative errors, which the first-order terms leave out
_REFERENCE_UNIT = UNIT_ROUNDOFF["float64"]


@dataclass(frozen=True)
class Interval:
    """An exact value (in float64) and how far from it a rounded evaluation may lie; each [N, H].

    A bound is infinite where no judgement is possible, at a jump of thresholded_relu.
    """

    value: Array
    statistical: Array
    worst: Array


def deviations(rows: int, hidden_size: int) -> float:
    """Return how many standard deviations hold z, r, n and h' of all rows with probability 1 - 1e-9."""
    return math.sqrt(2 * math.log(2 * 4 * rows * hidden_size / _FALSE_ALARM))


def one_step_bounds(
    cell: Cell, x: Array, previous: Array, how: Arithmetic, *, deviations: float, in_order: bool = False
) -> dict[Quantity, Interval]:
    """Compute one step exactly, and how far a runtime may be from it.

    Args:
        cell: the direction's numbers.
        x: inputs as the runtime received them, [N, I], float64.
        previous: hidden states as the runtime returned them, [N, H], float64.
        how: the runtime's arithmetic.
        deviations: of `deviations`, for all rows of the comparison.
        in_order: bound the partial sums of matrix products in their natural order too, rather than only in
            a random one. Slower by far; needed where large terms cancel in a row that is sorted so.
    """
    with np.errstate(all="ignore"):  # an infinite bound, or NaN among the weights, is met by the caller
        return _one_step(_Evaluation(how, deviations, in_order), cell, x, previous)


def _one_step(run: _Evaluation, cell: Cell, x: Array, previous: Array) -> dict[Quantity, Interval]:
    how = run.how
    state = run.returned_state(previous)
    inputs = _exactly(x)
    w, b, u, c = cell.input_weight, cell.input_bias, cell.recurrent_weight, cell.recurrent_bias
    gate, clip = cell.direction.gate_activation, cell.layer.clip

    z_argument = run.add(run.dot(inputs, w.update, b.update), run.dot(state, u.update, c.update))
    r_argument = run.add(run.dot(inputs, w.reset, b.reset), run.dot(state, u.reset, c.reset))
    z = run.activate(gate, z_argument, how.update_error, clip)
    r = run.activate(gate, r_argument, how.reset_error, clip)
    if cell.layer.reset_after:
        recurrent = run.multiply(r, run.dot(state, u.candidate, c.candidate))
    else:
        recurrent = run.dot(run.multiply(r, state), u.candidate, c.candidate)
    n_argument = run.add(run.dot(inputs, w.candidate, b.candidate), recurrent)
    n = run.activate(cell.direction.candidate_activation, n_argument, how.candidate_error, clip)
    found = {"hidden": run.blend(z, n, state), "update": z, "reset": r, "candidate": n}
    return {quantity: run.interval(found[quantity]) for quantity in QUANTITIES}


@dataclass(frozen=True)
class _Rounded:
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


def _exactly(value: Array) -> _Rounded:
    zero = np.zeros(())
    return _Rounded(value, zero, zero, zero)


@dataclass(frozen=True)
class _Evaluation:
    """The operations of a GRU as one arithmetic rounds them."""

    how: Arithmetic
    deviations: float
    in_order: bool

    def reach(self, a: _Rounded) -> Array:
        """How far the statistical error of `a` goes."""
        return self.deviations * np.sqrt(a.variance) + a.fixed

    def interval(self, a: _Rounded) -> Interval:
        # the reference is rounded too; its own bound is the same one in units of float64
        slack = 1 + _SECOND_ORDER + _REFERENCE_UNIT / self.how.unit
        returned = self.returned(a.value)
        return Interval(a.value, *(_judgeable(b * slack + returned) for b in (self.reach(a), a.worst)))

    def returned(self, value: Array) -> Array:
        """How far `value` is rounded when it leaves a runtime that is wider inside."""
        return self.how.output * np.abs(value) + self.how.output_underflow

    def returned_state(self, state: Array) -> _Rounded:
        """The previous state, known only to the precision it was returned in."""
        if not self.how.output:
            return _exactly(state)
        off = self.returned(state)
        # uniform rounding has a variance of off^2/3; tripled because z, r and n share these errors
        return _Rounded(state, off**2, np.zeros(()), off)

    def dot(self, a: _Rounded, weight: Array, bias: Array) -> _Rounded:
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
        return _Rounded(total, variance, fixed, worst)

    def add(self, a: _Rounded, b: _Rounded) -> _Rounded:
        value = a.value + b.value
        rounding = self.how.unit * np.abs(value)
        return _Rounded(
            value, a.variance + b.variance, a.fixed + b.fixed + rounding, a.worst + b.worst + rounding
        )

    def multiply(self, a: _Rounded, b: _Rounded) -> _Rounded:
        value, one, other = a.value * b.value, np.abs(a.value), np.abs(b.value)
        rounding = self.how.unit * np.abs(value) + self.how.underflow
        return _Rounded(
            value,
            one**2 * b.variance + other**2 * a.variance,
            one * b.fixed + other * a.fixed + self.reach(a) * self.reach(b) + rounding,
            one * b.worst + other * a.worst + a.worst * b.worst + rounding,
        )

    def activate(self, function: Activation, a: _Rounded, error: float, clip: float | None) -> _Rounded:
        if clip is not None:
            a = self._clip(a, clip)
        if function.name != "sigmoid":
            error = max(error, self.how.candidate_error)
        value = evaluate(function, a.value)
        own = self.how.unit * evaluation_error(function, a.value, value, error) + self.how.underflow
        slope = steepest(function, a.value, self.reach(a))
        return _Rounded(
            value,
            slope**2 * a.variance,
            slope * a.fixed + own,
            steepest(function, a.value, a.worst) * a.worst + own,
        )

    def _clip(self, a: _Rounded, clip: float) -> _Rounded:
        """Clipping brings errors no closer to each other than they were; beyond the clip there are none."""
        beyond = np.abs(a.value) - self.reach(a) > clip
        surely_beyond = np.abs(a.value) - a.worst > clip
        rounding = self.how.unit * clip  # of the clip itself
        return _Rounded(
            np.clip(a.value, -clip, clip),
            np.where(beyond, 0, a.variance),
            np.where(beyond, 0, a.fixed) + rounding,
            np.where(surely_beyond, 0, a.worst) + rounding,
        )

    def blend(self, z: _Rounded, n: _Rounded, state: _Rounded) -> _Rounded:
        """Take z * state + (1 - z) * n, however it is written: also as n + z * (state - n)."""
        value = z.value * state.value + (1 - z.value) * n.value
        keep, take, gap = np.abs(z.value), np.abs(1 - z.value), np.abs(state.value - n.value)
        one_way = np.abs(z.value * state.value) + 2 * take * np.abs(n.value)
        rounding = self.how.unit * (np.maximum(one_way, 2 * keep * gap) + np.abs(value))
        rounding += self.how.underflow * (1 + gap)
        reach, worst = self.reach(z), z.worst
        return _Rounded(
            value,
            gap**2 * z.variance + take**2 * n.variance,
            gap * z.fixed + take * n.fixed + reach * self.reach(n) + (keep + reach) * state.worst + rounding,
            gap * worst + take * n.worst + worst * n.worst + (keep + worst) * state.worst + rounding,
        )


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


def _judgeable(bound: Array) -> Array:
    """An infinite slope times a zero error says nothing: infinite."""
    return np.where(np.isnan(bound), np.inf, bound)
