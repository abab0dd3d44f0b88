"""Bounds of gates read out of a fused kernel by spare units, and the proof that they are its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grubridge.spec import CANDIDATE, RESET, UPDATE, Array, Gate

from .arithmetic import Arithmetic
from .equations import Cell
from .rounded import Evaluation, exactly
from .rounding import Interval, Quantity
from .slopes import steepest
from .taps import plan_taps

__all__ = ["Recomposition", "recomposed", "tap_error", "with_tap_errors"]


def tap_error(gate: Gate, value: Array, cell: Cell, how: Arithmetic) -> Array:
    """Return how far a gate read out of spare units may lie from the gate that the kernel computed.

    It adds to the bound of the gate itself. The spare units of `taps` return a blend z*h + (1 - z)*n of one
    gate and constants; let E be the largest error of that blend, whatever the signs of rounding errors
    (`Evaluation.blend`; the errors of n0, z0 and f(a) are those of the runtime's own activations). Solving
    for the gate divides it:

        z: E / |1 - n0|        n: E / |1 - z0|        r: E / (|1 - z0| * scale * |f'(a)|) + u*|r|

    The term u*|r| is the rounding of the r that was solved for. What a runtime rounds when it returns h'
    passes through the same quotients. For sigmoid and tanh, with their errors c_z and c_n in units of u, that
    is 3*u*z, (3 + c_z)*u*|n| and (4 + c_z + c_n)*u*r at most.

    Args:
        gate: which.
        value: its exact values, [N, H], float64.
        cell: the direction's numbers; its activations and clip decide.
        how: the runtime's arithmetic.
    """
    gate_function, candidate = cell.direction.gate_activation, cell.direction.candidate_activation
    plan = plan_taps(gate_function, candidate, cell.layer.clip)
    if plan is None:  # the runtime has other activations than the spec, and read its gates by them
        return np.zeros_like(value)
    run = Evaluation(how, deviations=0.0, in_order=False)
    clip = cell.layer.clip
    zero = np.zeros_like(value)
    off = run.activate(gate_function, exactly(zero + plan.off_argument), how.update_error, clip)
    if gate == UPDATE:
        rest = run.activate(candidate, exactly(zero + plan.rest_argument), how.candidate_error, clip)
        read = run.blend(exactly(value), rest, exactly(zero + 1))
        return (read.worst + run.returned(read.value)) / abs(1 - plan.rest)
    if gate == CANDIDATE:
        read = run.blend(off, exactly(value), exactly(zero))
        return (read.worst + run.returned(read.value)) / abs(1 - plan.off)
    argument = exactly(plan.scale * value)
    if plan.offset:
        argument = run.add(exactly(zero + plan.offset), argument)
    read = run.blend(off, run.activate(candidate, argument, how.candidate_error, clip), exactly(zero))
    steepness = steepest(candidate, argument.value, zero)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_argument = (read.worst + run.returned(read.value)) / (abs(1 - plan.off) * plan.scale * steepness)
    rounding: Array = per_argument + how.unit * np.abs(value)
    return rounding


def with_tap_errors(
    bounds: Mapping[Quantity, Interval], cell: Cell, how: Arithmetic
) -> dict[Quantity, Interval]:
    """Return the bounds of `one_step_bounds` for gates that were observed: each wider by its `tap_error`."""
    wider = dict(bounds)
    for gate in (UPDATE, RESET, CANDIDATE):
        interval = bounds[gate]
        added = tap_error(gate, interval.value, cell, how)
        wider[gate] = Interval(interval.value, interval.statistical + added, interval.worst + added)
    return wider


@dataclass(frozen=True)
class Recomposition:
    """Whether gates belong to their run: z*h + (1 - z)*n of them must give the states that were returned.

    Args:
        max_abs: the largest |z*h + (1 - z)*n - h'|; infinite where a state is NaN.
        headroom: the largest over its bound; above 1 they are not the gates of this run.
    """

    max_abs: float
    headroom: float

    @classmethod
    def worst(cls, found: Sequence[Recomposition]) -> Recomposition | None:
        """Return the worst of several parts of a run; None where there are none."""
        if not found:
            return None
        return cls(max(one.max_abs for one in found), max(one.headroom for one in found))


def recomposed(
    received: Mapping[Quantity, Array], previous: Array, bounds: Mapping[Quantity, Interval]
) -> Recomposition:
    """Recompose h' from the gates of a run and its previous states, and hold it against the h' returned.

    With z, n and h' each within its bound B of the exact step from `previous`, and h' recomposed in float64,

        |z*h + (1 - z)*n - h'| <= |h - n|*B_z + |1 - z|*B_n + B_z*B_n + B_h

    at the exact z and n; the bounds are the statistical ones. Rows without a finite bound are left out.

    Args:
        received: "hidden", "update" and "candidate" as the runtime returned them, each [N, H].
        previous: h, [N, H].
        bounds: of `one_step_bounds` for the same rows, those of observed gates widened by `with_tap_errors`.
    """
    z, n = (received[gate].astype(np.float64) for gate in (UPDATE, CANDIDATE))
    update, candidate = bounds[UPDATE], bounds[CANDIDATE]
    with np.errstate(all="ignore"):
        error = np.abs(z * previous + (1 - z) * n - received["hidden"])
        bound = (
            np.abs(previous - candidate.value) * update.statistical
            + np.abs(1 - update.value) * candidate.statistical
            + update.statistical * candidate.statistical
            + bounds["hidden"].statistical
        )
        judged = np.isfinite(bound)
        error, bound = error[judged], bound[judged]
        headroom = np.where(error == 0, 0, error / bound)
    largest = (np.nan_to_num(one, nan=np.inf).max(initial=0) for one in (error, headroom))
    return Recomposition(*map(float, largest))
