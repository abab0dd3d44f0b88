"""A GRU that shows its activation functions, to measure how a runtime evaluates them inside its own kernel.

A runtime's GRU need not evaluate the functions that it offers under the same names: ONNX Runtime's GRU errs
by 8 units in tanh and its Tanh by 5. So the GRU itself is run, one step on a batch of arguments a, and its
units show in turn

    update      h' = g(a)           n = 0 and h = 1
    reset       h' = f(s g(a))      z = 0 and U_n h = s, so small that f is a line there
    candidate   h' = f(a)           z = 0 and h = 0

for the gates' function g and the candidate's f. Every sum has one term that is not zero, so that arguments
are exact in whatever way a runtime multiplies; every unit, in vectors or in what is left of them, has
arguments of its own from the whole range.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from grubridge.reference.activations import evaluate
from grubridge.reference.arithmetic import UNIT_ROUNDOFF
from grubridge.reference.slopes import evaluation_error
from grubridge.spec import (
    CANDIDATE,
    RESET,
    UPDATE,
    Activation,
    Array,
    Gate,
    Gates,
    GRUDirection,
    GRULayer,
    GRUSpec,
    numpy_dtype,
)
from grubridge.traces import Probe

__all__ = ["UNITS", "arguments", "is_approximated", "small", "tapped_probe", "tapped_spec"]

_EACH = 13  # units of each kind: 39 in all leave a remainder in vectors of 4, 8 and 16
UNITS: dict[Gate, slice] = {
    UPDATE: slice(0, None, 3),
    RESET: slice(1, None, 3),
    CANDIDATE: slice(2, None, 3),
}
"""Which units show which function."""

_ARGUMENTS = 66_300
_OCTAVES = (-14, 8)
_SPECIAL = (0.0, 20.0, -20.0, 100.0, -100.0)
_FAR_LEFT = -800.0  # where exp is 0 in float64 too


def small(dtype: str) -> float:
    """Return the s of the reset tap: s^3/3, which tanh takes off, is below s u, and s is a normal number."""
    return 2.0 ** round(math.log2(UNIT_ROUNDOFF[dtype]) * 2 / 3)


@cache
def arguments(dtype: str) -> Array:
    """Return what the functions are evaluated at, [B, 13], float64 and exact in `dtype`; B is 5100."""
    rng = np.random.default_rng(0)
    kind = numpy_dtype(dtype)
    if kind.itemsize == 2:
        every = np.arange(2**16, dtype=np.uint16).view(kind)
        with np.errstate(invalid="ignore"):  # signalling NaNs
            every = every[np.isfinite(every)]
        chosen = np.concatenate([every, every[: _ARGUMENTS - len(every)]])
    else:
        octaves = np.repeat(np.arange(*_OCTAVES), (_ARGUMENTS - len(_SPECIAL)) // 44)
        drawn = 2.0**octaves * (1 + rng.random(len(octaves)))
        chosen = np.concatenate([_SPECIAL, drawn, -drawn])
        chosen = np.resize(chosen, _ARGUMENTS)
    exact: Array = rng.permutation(chosen.astype(kind).astype(np.float64)).reshape(-1, _EACH)
    return exact


def is_approximated(function: Activation) -> bool:
    """Whether a machine's error in a function depends on how it approximates it."""
    a = np.array([-1.0])
    value = evaluate(function, a)
    return bool(evaluation_error(function, a, value, 1.0) > evaluation_error(function, a, value, 0.0))


def tapped_spec(gate: Activation, candidate: Activation, *, reset_after: bool, dtype: str) -> GRUSpec:
    """Return the GRU, [I, H] = [13, 39], of two functions that are not made of straight pieces."""
    size = 3 * _EACH
    own: dict[Gate, Array] = {}
    for kind, units in UNITS.items():
        own[kind] = np.zeros((size, _EACH))
        own[kind][units] = np.eye(_EACH)
    zeros, through = np.zeros((size, size)), np.zeros((size, size))
    through[UNITS[RESET], UNITS[RESET]] = np.eye(_EACH)
    shut_update, shut_candidate = np.full(size, _root(gate)), np.zeros(size)
    shut_update[UNITS[UPDATE]] = 0
    shut_candidate[UNITS[UPDATE]] = _root(candidate)
    direction = GRUDirection(
        Gates(own[UPDATE], own[RESET], own[CANDIDATE]),
        Gates(zeros, zeros, through),
        Gates(shut_update, np.zeros(size), shut_candidate),
        gate_activation=gate,
        candidate_activation=candidate,
    )
    return GRUSpec((GRULayer(direction, None, reset_after),), "calibration").astype(dtype)


def tapped_probe(dtype: str) -> Probe:
    """Return one step of 66,300 arguments: of all magnitudes, or, of 16 bits, nearly all there are."""
    a = arguments(dtype)
    start = np.zeros((len(a), 3 * _EACH))
    start[:, UNITS[UPDATE]] = 1
    start[:, UNITS[RESET]] = small(dtype)
    return Probe(a[:, None], {(0, "forward"): start}, None, "calibration")


def _root(function: Activation) -> float:
    """Where a function that is not made of straight pieces is 0."""
    return _FAR_LEFT if function.name in {"sigmoid", "softplus"} else 0.0
