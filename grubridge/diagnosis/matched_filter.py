"""A matched filter for the change of one weight, far below what a single step can show.

Were one weight of unit i off by c, the one-step residual e of that unit would be c * G * p in every row: G is
the slope of h' along the argument that the weight enters, p what it multiplies (an input, a state, or 1 for a
bias). Rounding is not correlated with G * p, so over N rows

    S = sum(e G p w) / D      D = sqrt(sum(G^2 p^2 w))      w = 1 / (variance + (0.15 fixed)^2)

grows like sqrt(N) for a true change and stays of order one otherwise; c is estimated by S / D. Rounding has a
part that is not random, the error of the machine's sigmoid and tanh: A = sum(|G p| w fixed) / D is how far S
would go if all of it pulled one way. It does where an argument is the same in every row; over a range of
arguments such errors change their sign, and a share of A remains that is the smaller the wider the range. A
score is |S| / (L + share A), where a sum of random errors exceeds L once in 1e9 checks.

This holds for independent rows, which a designed probe has. A trace of a slow network on constant inputs
repeats its rows and their rounding errors: there the score finds the place of a change that is known to be
there, and proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from grubridge.reference.arithmetic import Arithmetic
from grubridge.reference.equations import Cell
from grubridge.reference.inputs import Steps
from grubridge.reference.rounded import Rounded
from grubridge.reference.rounding import deviations, interval, rounded_step
from grubridge.reference.slopes import STRAIGHT, slope, steepest
from grubridge.spec import CANDIDATE, RESET, UPDATE, Activation, Array, Gate

__all__ = ["Filtered", "MatchedFilter", "WeightPart"]

WeightPart = Literal["input_weight", "recurrent_weight", "input_bias", "recurrent_bias", "bias"]
"""Where a number stands; "bias" where the function depends on the sum of both biases only."""

_FALSE_ALARM = 1e-9
_RANDOM_SHARE = 0.15  # of the fixed part of an error, in its standard deviation
_ALIKE = 0.03  # standard deviation of arguments below which errors of an activation may all be alike
_LEAST_ALIKE = 0.05  # share that may pull one way over any range; a third of either was seen at most
_FLAT = 0.01  # of the steepest slope: flatter rows tell nothing of weights, and errors there are all alike
_SHARPEST = 1e15  # gain of a row whose square, and a sum of such, is within float32; 0 that stays 0 has more
_CHUNK = 2**18  # elements of one float64 array that are worked on at a time


@dataclass(frozen=True)
class Filtered:
    """The filter's answer for all weights of one gate and part; float32, each [H, K].

    Args:
        gate: which.
        part: which; K is I, H, or 1 for a bias.
        deviations: |S|, which a change of the right weight raises most.
        score: above 1 the runtime's weight is not the spec's.
        change: estimate of the runtime's weight less the spec's.
        detectable: the |change| that brings the score to 1; infinite where no row tells.
    """

    gate: Gate
    part: WeightPart
    deviations: Array
    score: Array
    change: Array
    detectable: Array


@dataclass(frozen=True)
class _Pull:
    """What rows contribute for one gate, but for what the weight multiplies; float32, each [N, H]."""

    signal: Array
    power: Array
    systematic: Array


class MatchedFilter:
    """The filter over the steps of one direction.

    Args:
        cell: the direction's numbers.
        steps: what the runtime did.
        how: its arithmetic.

    Attributes:
        headroom: the largest error over its statistical bound, infinite where something is no number; above
            1 it is no rounding.
    """

    def __init__(self, cell: Cell, steps: Steps, how: Arithmetic) -> None:
        self._cell, self._how = cell, how
        rows, hidden_size = steps.hidden.shape
        self._x, self._previous = steps.x.astype(np.float32), steps.previous.astype(np.float32)
        # of every row; in units of the unit roundoff or of the standard deviation, to fit float32
        self._error, self._fixed, self._update, self._reset, self._candidate, self._r, self._r_fixed = (
            np.empty((rows, hidden_size), np.float32) for _ in range(7)
        )
        self.headroom = 0.0
        arguments = _Spread(hidden_size)
        width = deviations(rows, hidden_size)
        chunk = max(1, _CHUNK // max(hidden_size, steps.x.shape[1]))
        with np.errstate(all="ignore"):  # rows that are not finite get no weight
            for first in range(0, rows, chunk):
                self._work_out(slice(first, first + chunk), steps, width, arguments)
        self._share = self._alike(arguments.deviation())

    def parts(self) -> Iterator[Filtered]:
        """Yield the answer for every gate and part, one at a time: each is as large as its weights."""
        x, h, one = self._x, self._previous, np.ones((len(self._x), 1), np.float32)
        after = self._cell.layer.reset_after
        direct = self._along(self._candidate)
        recurrent = self._along(self._candidate * self._r) if after else direct
        for gate, pull in ((UPDATE, self._along(self._update)), (RESET, self._reset_pull())):
            if gate in self._cell.direction.absent_gates:
                continue
            yield self._filtered(gate, "bias", pull, one)
            yield self._filtered(gate, "input_weight", pull, x)
            yield self._filtered(gate, "recurrent_weight", pull, h)
        yield self._filtered(CANDIDATE, "input_bias" if after else "bias", direct, one)
        if after:
            yield self._filtered(CANDIDATE, "recurrent_bias", recurrent, one)
        yield self._filtered(CANDIDATE, "input_weight", direct, x)
        yield self._filtered(CANDIDATE, "recurrent_weight", recurrent, h if after else self._r * h)

    def _work_out(self, rows: slice, steps: Steps, width: float, arguments: _Spread) -> None:
        cell, how, previous = self._cell, self._how, steps.previous[rows]
        step = rounded_step(cell, steps.x[rows], previous, how, deviations=width)
        hidden = step.hidden.value
        z_slope, z_flat = _slope(cell, cell.direction.activation(UPDATE), step.update_argument)
        r_slope, r_flat = _slope(cell, cell.direction.activation(RESET), step.reset_argument)
        n_slope, n_flat = _slope(cell, cell.direction.activation(CANDIDATE), step.candidate_argument)
        candidate = (1 - step.update.value) * n_slope

        error = steps.hidden[rows] - hidden
        ratio = np.abs(error) / interval(step.hidden, how, deviations=width).statistical
        ratio = np.nan_to_num(np.where(error != 0, ratio, 0), nan=np.inf)  # what is no number is no rounding
        self.headroom = max(self.headroom, float(ratio.max(initial=0)))

        fixed = step.hidden.fixed + how.output * np.abs(hidden) + how.output_underflow
        flat = z_flat | n_flat
        if cell.layer.reset_after:
            flat |= r_flat
            reset = candidate * step.multiplied * r_slope
        else:
            reset = np.where(r_flat, 0, previous * r_slope)
        scale = 1 / np.sqrt(step.hidden.variance + (_RANDOM_SHARE * fixed) ** 2)
        known = ~flat & (scale * how.unit < _SHARPEST) & np.isfinite(error)
        gain = np.where(known, scale * how.unit, 0)
        arguments.add(known, (step.update_argument, step.reset_argument, step.candidate_argument))
        self._error[rows] = np.where(known, error * scale, 0)
        self._fixed[rows] = np.where(known, fixed * scale, 0)
        self._update[rows] = (previous - step.candidate.value) * z_slope * gain
        self._candidate[rows] = candidate * gain
        self._reset[rows] = reset * gain if cell.layer.reset_after else reset
        self._r[rows] = step.reset.value
        self._r_fixed[rows] = step.reset.fixed / how.unit

    def _alike(self, spread: Array) -> Array:
        """Return the share that may pull one way, by unit [H], from the spread of its arguments, [3, H]."""
        narrowest = spread.min(axis=0)
        if not self._cell.layer.reset_after:  # every unit's reset gate reaches all
            narrowest = np.minimum(narrowest, spread[1].min())
        share: Array = np.maximum(_ALIKE / np.maximum(narrowest, _ALIKE), _LEAST_ALIKE)
        return share.astype(np.float32)

    def _along(self, gain: Array) -> _Pull:
        return _Pull(self._error * gain, gain**2, self._fixed * np.abs(gain))

    def _reset_pull(self) -> _Pull:
        """Where r comes after the product it reaches its own unit, else every unit i, by U_n[i, k] h_k."""
        if self._cell.layer.reset_after:
            return self._along(self._reset)
        onto, through = self._along(self._candidate), self._cell.recurrent_weight.candidate.astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # a unit with weights of 1e20 tells nothing here
            lever, squares = np.abs(self._reset), through**2
            power = (onto.power @ squares) * lever
            # errors of other units pull at random or alike in sign, those of this gate the way a change would
            others = np.sqrt(onto.systematic**2 @ squares) + np.abs(onto.systematic @ through)
            own = power * np.abs(self._previous) * self._r_fixed
            return _Pull((onto.signal @ through) * self._reset, power * lever, others * lever + own)

    def _filtered(self, gate: Gate, part: WeightPart, pull: _Pull, factor: Array) -> Filtered:
        """Correlate with what the weights of one gate and part multiply, [N, K]."""
        largest = np.abs(factor).max(axis=0)
        largest[largest == 0] = 1
        factor = factor / largest  # squares stay within float32
        with np.errstate(over="ignore", invalid="ignore"):
            signal = pull.signal.T @ factor
            size = np.sqrt(pull.power.T @ factor**2)
            systematic = pull.systematic.T @ np.abs(factor)
        told = (size > 0) & np.isfinite(size) & np.isfinite(signal) & np.isfinite(systematic)
        signal[~told], size[~told], systematic[~told] = 0, 1, 0
        deviations = np.where(told, np.abs(signal) / size, 0)
        threshold = self._most() + self._share[:, None] * systematic / size
        unit = np.float32(self._how.unit) / (largest * size)
        return Filtered(
            gate,
            part,
            deviations,
            deviations / threshold,
            np.where(told, signal / size * unit, 0),
            np.where(told, threshold * unit, np.inf),
        )

    def _most(self) -> float:
        """How many standard deviations no weight's S exceeds, but for one direction in 1e9."""
        direction = self._cell.direction
        inputs, units = direction.input_size + 1, direction.hidden_size
        tests = units * (3 * (inputs + units) + (1 if self._cell.layer.reset_after else 0))
        return math.sqrt(2 * math.log(2 * tests / _FALSE_ALARM))


class _Spread:
    """The standard deviation of the three arguments of every unit, over rows that come in chunks."""

    def __init__(self, hidden_size: int) -> None:
        self._count = np.zeros(hidden_size)
        self._sum, self._squares = np.zeros((3, hidden_size)), np.zeros((3, hidden_size))

    def add(self, known: Array, arguments: tuple[Rounded, Rounded, Rounded]) -> None:
        """Take in rows [N, H] of each argument, those that are `known`."""
        values = np.stack([np.where(known, argument.value, 0) for argument in arguments])
        self._count += known.sum(axis=0)
        self._sum += values.sum(axis=1)
        self._squares += (values**2).sum(axis=1)

    def deviation(self) -> Array:
        """[3, H]."""
        count = np.maximum(self._count, 1)
        mean = self._sum / count
        spread: Array = np.sqrt(np.maximum(self._squares / count - mean**2, 0))
        return spread


def _slope(cell: Cell, activation: Activation, argument: Rounded) -> tuple[Array, Array]:
    """The slope along an argument, and where it is so flat that it tells nothing."""
    clipped = cell.clipped(argument.value)
    found = slope(activation, clipped)
    flat = np.zeros(found.shape, bool)
    if activation.name not in STRAIGHT:
        flat = np.abs(found) < _FLAT * steepest(activation, np.zeros(()), np.array(np.inf))
    return np.where(clipped == argument.value, found, 0), flat
