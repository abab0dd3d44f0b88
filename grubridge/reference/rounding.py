"""How far rounding may carry one step of a GRU: bounds on z, r, n and h' around their exact values.

Every quantity is followed from the inputs to h' as an exact value with three measures of the error of a
low-precision evaluation (`rounded.Rounded`). Two bounds come of them:

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

from grubridge.spec import CANDIDATE, GATE_NAMES, RESET, UPDATE, Array

from .arithmetic import UNIT_ROUNDOFF, Arithmetic
from .equations import Cell
from .rounded import Evaluation, Rounded, exactly

__all__ = [
    "QUANTITIES",
    "Interval",
    "Quantity",
    "RoundedStep",
    "deviations",
    "interval",
    "one_step_bounds",
    "rounded_step",
    "step_of",
]

Quantity = Literal["hidden", "update", "reset", "candidate"]
QUANTITIES: tuple[Quantity, ...] = ("hidden", *GATE_NAMES)

_FALSE_ALARM = 1e-9
_SECOND_ORDER = 2.0**-10  # products of two relative errors, which the first-order terms leave out
_REFERENCE_UNIT = UNIT_ROUNDOFF["float64"]


@dataclass(frozen=True)
class Interval:
    """An exact value (in float64) and how far from it a rounded evaluation may lie; each [N, H].

    A bound is infinite where no judgement is possible: at a jump of thresholded_relu, where an observed gate
    cannot be read, and where infinite weights or an overflow leave no bound.
    """

    value: Array
    statistical: Array
    worst: Array


def deviations(rows: int, hidden_size: int) -> float:
    """Return how many standard deviations hold z, r, n and h' of all rows with probability 1 - 1e-9."""
    return math.sqrt(2 * math.log(2 * 4 * rows * hidden_size / _FALSE_ALARM))


@dataclass(frozen=True)
class RoundedStep:
    """One step and its errors; each [N, H]. The arguments are those of the activations, before any clip.

    Args:
        update_argument: of z's activation.
        reset_argument: of r's.
        candidate_argument: of n's.
        multiplied: what r multiplies, exactly: U_n h + c_n where it comes after the product, h where before.
        update: z.
        reset: r.
        candidate: n.
        hidden: h'.
    """

    update_argument: Rounded
    reset_argument: Rounded
    candidate_argument: Rounded
    multiplied: Array
    update: Rounded
    reset: Rounded
    candidate: Rounded
    hidden: Rounded


def rounded_step(
    cell: Cell, x: Array, previous: Array, how: Arithmetic, *, deviations: float, in_order: bool = False
) -> RoundedStep:
    """Compute one step exactly, with the errors of a runtime's evaluation. Arguments: see `one_step_bounds`.

    What a runtime rounds when it returns a value (`Arithmetic.output`) is not part of them.
    """
    return step_of(Evaluation(how, deviations, in_order), cell, x, previous)


def step_of(run: Evaluation, cell: Cell, x: Array, previous: Array) -> RoundedStep:
    """Compute one step by the operations of `run`."""
    how = run.how
    state = run.returned_state(previous)
    inputs = exactly(x)
    w, b, u, c = cell.input_weight, cell.input_bias, cell.recurrent_weight, cell.recurrent_bias
    function, clip = cell.direction.activation, cell.layer.clip

    z_argument = _sure(run.products((inputs, w.update, b.update), (state, u.update, c.update)))
    r_argument = _sure(run.products((inputs, w.reset, b.reset), (state, u.reset, c.reset)))
    z = run.activate(function(UPDATE), z_argument, how.update_error, clip)
    r = run.activate(function(RESET), r_argument, how.reset_error, clip)
    received = inputs, w.candidate, b.candidate
    ungated = RESET in cell.direction.absent_gates
    if cell.layer.reset_after and not ungated:
        recurrent = run.dot(state, u.candidate, c.candidate)
        multiplied = recurrent.value
        n_argument = run.add(run.dot(*received), run.multiply(r, recurrent))
    else:
        multiplied = previous
        gated = state if ungated else run.multiply(r, state)
        n_argument = run.products(received, (gated, u.candidate, c.candidate))
    n = run.activate(function(CANDIDATE), n_argument, how.candidate_error, clip)
    return RoundedStep(z_argument, r_argument, n_argument, multiplied, z, r, n, run.blend(z, n, state))


def _sure(a: Rounded) -> Rounded:
    """An infinite weight or bias makes a sum of products of known factors infinite in every arithmetic."""
    infinite = np.isinf(a.value)
    if not infinite.any():
        return a
    return Rounded(a.value, *(np.where(infinite, 0, error) for error in (a.variance, a.fixed, a.worst)))


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
        step = rounded_step(cell, x, previous, how, deviations=deviations, in_order=in_order)
        found: dict[Quantity, Rounded] = {quantity: getattr(step, quantity) for quantity in QUANTITIES}
        return {quantity: interval(a, how, deviations=deviations) for quantity, a in found.items()}


def interval(a: Rounded, how: Arithmetic, *, deviations: float) -> Interval:
    """Return the bounds on what a runtime returns for `a`."""
    run = Evaluation(how, deviations, in_order=False)
    # the reference is rounded too; its own bound is the same one in units of float64
    slack = 1 + _SECOND_ORDER + _REFERENCE_UNIT / how.unit
    returned = run.returned(a.value)
    return Interval(a.value, *(_judgeable(b * slack + returned) for b in (run.reach(a), a.worst)))


def _judgeable(bound: Array) -> Array:
    """An infinite slope times a zero error says nothing: infinite."""
    return np.where(np.isnan(bound), np.inf, bound)
