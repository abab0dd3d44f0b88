"""How far a free run may come from the equations by rounding alone: the spread of sixteen perturbed runs.

Where only the outputs of a whole run are known, no step can be judged by itself, and what rounding does in
one step the next ones carry on. The equations are run in float64 sixteen times beside the exact run, and to
every state of every step an error is added that is as large as the runtime's arithmetic may make it there:

    h_t  <-  F(x_t, h_{t-1}) + sqrt(v_t) * N(0, 1) + d_t * (U(-1, 1) + S)

v_t is the variance and d_t the fixed part of the error of that step in the exact run (`reference.rounding`);
d_t holds the errors of activation functions, which are the same wherever their arguments are. S is therefore
uniform on (-1, 1) too, but drawn once for each run, sequence and unit, so that errors that always have one
sign add up as they would.

An output is judged by its distance from the exact run in standard deviations, which are estimated from the
runs. An estimate from K of them makes that quotient Student's t with K degrees of freedom (Student,
Biometrika 6, 1908), as long as small errors add up linearly: runs are followed only while what would be
accepted of every state on the way is below 1e-2. Beyond that a chaotic network has lost all memory of its
inputs, and nothing can be said. The idea of random perturbation: Parker, Monte Carlo Arithmetic, 1997.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from grubridge.reference import cell, one_step, run
from grubridge.reference.activations import evaluate
from grubridge.reference.arithmetic import UNIT_ROUNDOFF, Arithmetic
from grubridge.reference.equations import Cell
from grubridge.reference.rounding import deviations, rounded_step
from grubridge.reference.slopes import evaluation_error
from grubridge.spec import Activation, Array, Direction, GRUSpec
from grubridge.traces import DirectionTrace, Probe, previous_state, valid_steps

__all__ = ["FOLLOWED", "MEMBERS", "Envelope", "Followed", "envelope", "student"]

MEMBERS = 16
FOLLOWED = 1e-2
"""Larger deviations of a state are no longer small: what follows from it is not judged."""

_FALSE_ALARM = 1e-9
_SEED = 20
_NUMBERS = 2**24  # of one array of all members
_CHUNK = 2**16  # of one array whose bounds are computed at a time


@dataclass(frozen=True)
class Envelope:
    """What the outputs of one direction of the top layer should be; each [B, T, H], steps in time order.

    Args:
        value: the exact outputs.
        reach: how far an honest run may be from them; infinite where that is not known, and past a
            sequence's end.
    """

    value: Array
    reach: Array


@dataclass(frozen=True)
class Followed:
    """What an ensemble could judge.

    Args:
        members: perturbed runs.
        outputs: numbers that were recorded.
        judged: how many of them could be judged: before rounding alone may carry a run far off.
        accepted: the largest deviation that would have been accepted of one of them.
    """

    members: int
    outputs: int
    judged: int
    accepted: float


def student(outputs: int, members: int = MEMBERS) -> float:
    """Return how many estimated standard deviations hold all `outputs` with probability 1 - 1e-9.

    For Student's t with K degrees of freedom and density c (1 + t^2/K)^(-(K+1)/2),

        P(|t| > q) <= 2 c integral_q (t^2/K)^(-(K+1)/2) dt = 2 c / sqrt(K) * (q / sqrt(K))^-K

    which is solved for q; at these probabilities it is a few percent more than the quantile itself.
    """
    k = float(members)
    density = math.exp(math.lgamma((k + 1) / 2) - math.lgamma(k / 2)) / math.sqrt(k * math.pi)
    quantile: float = math.sqrt(k) * (2 * density * outputs / (math.sqrt(k) * _FALSE_ALARM)) ** (1 / k)
    return quantile


def envelope(
    spec: GRUSpec,
    probe: Probe,
    how: Arithmetic,
    outputs: int,
    *,
    output: Activation | None = None,
    in_order: bool = False,
) -> dict[Direction, Envelope]:
    """Return what an honest run of `spec` on `probe` may return, for each direction of the top layer.

    Args:
        spec: the equations.
        probe: the inputs.
        how: the runtime's arithmetic.
        outputs: how many of them will be judged.
        output: the function of the top layer's states that the run returns; None returns the states.
        in_order: see `reference.rounding.one_step_bounds`.
    """
    found: dict[Direction, list[Envelope]] = {}
    rng = np.random.default_rng(_SEED)
    widest = max(layer.output_size for layer in spec.layers)
    together = max(1, _NUMBERS // (MEMBERS * probe.steps * widest))
    with np.errstate(all="ignore"):  # what overflows is not calm
        for first in range(0, probe.batch, together):
            part = _sequences(probe, slice(first, first + together))
            for name, made in _Runs(spec, part, how, outputs, rng, in_order=in_order).top(output):
                found.setdefault(name, []).append(made)
    return {
        name: Envelope(
            np.concatenate([one.value for one in parts]), np.concatenate([one.reach for one in parts])
        )
        for name, parts in found.items()
    }


def _sequences(probe: Probe, chosen: slice) -> Probe:
    states = {place: state[chosen] for place, state in probe.initial_state.items()}
    lengths = None if probe.lengths is None else probe.lengths[chosen]
    return replace(probe, x=probe.x[chosen], initial_state=states, lengths=lengths)


class _Runs:
    """The members, layer by layer."""

    def __init__(
        self,
        spec: GRUSpec,
        probe: Probe,
        how: Arithmetic,
        outputs: int,
        rng: np.random.Generator,
        *,
        in_order: bool,
    ) -> None:
        self._spec, self._probe, self._how, self._rng = spec, probe, how, rng
        self._exact = run(spec, probe)
        self._valid = valid_steps(probe.batch, probe.steps, probe.lengths)
        self._width = deviations(int(self._valid.sum()), max(layer.hidden_size for layer in spec.layers))
        # the exact run is rounded too, to float64
        self._accepted = student(outputs) * (1 + UNIT_ROUNDOFF["float64"] / how.unit)
        self._in_order = in_order

    def top(self, output: Activation | None) -> Iterator[tuple[Direction, Envelope]]:
        """Yield the envelope of every direction of the top layer, of `output` of its states."""
        x: Array = self._probe.x.astype(np.float64)  # [B, T, I]; of higher layers [K, B, T, I]
        calm = self._valid
        last = len(self._spec.layers) - 1
        for index, layer in enumerate(self._spec.layers):
            members: list[Array] = []
            calms: list[Array] = []
            for name, direction in layer.directions():
                exact = self._exact[index, name]
                states = self._members(cell(layer, direction), name, exact, x)
                reach = self._reach(states, exact.hidden)
                small = calm & (reach < FOLLOWED).all(axis=2)
                calms.append(_so_far(name, small | ~self._valid) & self._valid)
                if index == last:
                    value = exact.hidden
                    if output is not None:
                        value, states = evaluate(output, value), evaluate(output, states)
                        reach = self._reach(states, value) + self._own_error(output, exact.hidden, value)
                    yield name, Envelope(value, np.where(calms[-1][..., None], reach, np.inf))
                else:
                    members.append(states)
            if index < last:
                x, calm = np.concatenate(members, axis=-1), np.logical_and.reduce(calms)

    def _reach(self, members: Array, exact: Array) -> Array:
        """How far an honest run may be from `exact`, [B, T, H], by the spread of the members."""
        reach: Array = self._accepted * np.sqrt(((members - exact) ** 2).mean(axis=0))
        return reach

    def _own_error(self, output: Activation, states: Array, value: Array) -> Array:
        """How far a machine's own evaluation of the output's function may be off, [B, T, H]."""
        error = max(self._how.update_error, self._how.candidate_error)
        return self._how.unit * evaluation_error(output, states, value, error) + self._how.underflow

    def _members(self, numbers: Cell, name: Direction, exact: DirectionTrace, x: Array) -> Array:
        """The states of every member, [K, B, T, H]; steps past a sequence's end are as in the exact run."""
        batch, steps, hidden_size = exact.hidden.shape
        random, fixed = self._errors(numbers, name, exact)
        lasting = self._rng.uniform(-1, 1, (MEMBERS, batch, hidden_size))
        states = np.empty((MEMBERS, batch, steps, hidden_size))
        h = np.broadcast_to(exact.initial_state, (MEMBERS, batch, hidden_size))
        for t in range(steps) if name == "forward" else range(steps - 1, -1, -1):
            _, following = one_step(numbers, x[..., t, :], h)
            following += random[:, t] * self._rng.standard_normal(h.shape)
            following += fixed[:, t] * (self._rng.uniform(-1, 1, h.shape) + lasting)
            keep = self._valid[:, t, None]
            h = np.where(keep, following, h)
            states[:, :, t] = np.where(keep, following, 0)
        return states

    def _errors(self, numbers: Cell, name: Direction, exact: DirectionTrace) -> tuple[Array, Array]:
        """What one step adds: the deviation of its random errors, and its fixed ones, each [B, T, H]."""
        random, fixed = np.zeros_like(exact.hidden), np.zeros_like(exact.hidden)
        previous = previous_state(name, exact.hidden, exact.initial_state, self._probe.lengths)
        places = np.argwhere(self._valid)
        chunk = max(1, _CHUNK // max(exact.hidden.shape[2], exact.x.shape[2]))
        for first in range(0, len(places), chunk):
            b, t = places[first : first + chunk].T
            step = rounded_step(
                numbers,
                exact.x[b, t],
                previous[b, t],
                self._how,
                deviations=self._width,
                in_order=self._in_order,
            )
            random[b, t], fixed[b, t] = np.sqrt(step.hidden.variance), step.hidden.fixed
        return random, fixed


def _so_far(name: Direction, calm: Array) -> Array:
    """Whether a step and all that were read before it are calm, [B, T]."""
    along = calm if name == "forward" else calm[:, ::-1]
    kept: Array = np.logical_and.accumulate(along, axis=1)
    return kept if name == "forward" else kept[:, ::-1]
