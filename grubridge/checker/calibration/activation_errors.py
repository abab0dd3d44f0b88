"""The errors of a runtime's activation functions, out of its run of a GRU that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grubridge.reference.activations import evaluate
from grubridge.reference.arithmetic import UNDERFLOW, UNIT_ROUNDOFF, ActivationErrors, generic_errors
from grubridge.reference.slopes import evaluation_error, steepest
from grubridge.spec import (
    CANDIDATE,
    RESET,
    SIGMOID,
    TANH,
    UPDATE,
    Activation,
    Array,
    Gate,
    hard_sigmoid,
    numpy_dtype,
)
from grubridge.traces import DirectionTrace

from .activation_taps import UNITS, arguments, small

__all__ = ["MARGIN", "Measured", "largest_error", "measure"]

MARGIN = 1.25
"""What is measured on some arguments is allowed for with this factor on all."""
_LARGEST_ERROR, _LARGEST_ERROR_HALF = 20.0, 5.0
_KNOWN = (
    SIGMOID,
    hard_sigmoid(0.2),
    hard_sigmoid(1 / 6),
    TANH,
    Activation("softsign"),
    Activation("relu"),
    Activation("softplus"),
    Activation("elu", 1.0),
    Activation("affine", 1.0, 0.0),
)


@dataclass(frozen=True)
class Measured:
    """What the taps showed.

    Args:
        errors: of the activations; None where one of them is another function.
        remarks: which function that is, what is wrong with it and which one it may be.
    """

    errors: ActivationErrors | None
    remarks: tuple[str, ...] = ()


def largest_error(dtype: str) -> float:
    """Return the error in units above which a function counts as another one.

    The worst runtime was seen to err by 8 units in float32, and by 1.5 in half precision, where 20 units
    would be as much as a hard_sigmoid is away from a sigmoid.
    """
    return _LARGEST_ERROR_HALF if numpy_dtype(dtype).itemsize == 2 else _LARGEST_ERROR


def measure(made: DirectionTrace, gate: Activation, candidate: Activation, dtype: str) -> Measured:
    """Measure the functions of a run of `tapped_spec` on `tapped_probe`.

    Hidden states tell of the kernel. Gates that were replayed with the runtime's operators are judged by the
    same constants, so the larger error counts. Observed gates come out of the kernel too, and nothing is
    learnt of them.
    """
    a = arguments(dtype)
    hidden: Array = made.hidden.astype(np.float64)
    if hidden.shape != (len(a), 1, 3 * a.shape[1]):
        return Measured(None, (f"it returned hidden states of the shape {list(hidden.shape)}",))
    with np.errstate(all="ignore"):
        shown = {kind: [hidden[:, 0, units]] for kind, units in UNITS.items()}
        r = evaluate(gate, a)
        visible = _is_line(candidate, small(dtype) * np.clip(r, -1, 1))
        shown[RESET] = [_before(candidate, r, shown[RESET][0], dtype)] if visible else []
        if made.gates is not None and made.gate_source == "replayed":
            for kind, units in UNITS.items():
                shown[kind].append(made.gates[kind].astype(np.float64)[:, 0, units])
        found = {kind: _largest(kind, gate, a, shown[kind], dtype) for kind in (UPDATE, RESET)}
        found[CANDIDATE] = _largest(CANDIDATE, candidate, a, shown[CANDIDATE], dtype)
    remarks = tuple(remark for _, remark in found.values() if remark)
    if remarks:
        return Measured(None, remarks)
    errors = {kind: MARGIN * largest for kind, (largest, _) in found.items()}
    if not visible:
        errors[RESET] = max(errors[RESET], generic_errors(dtype).reset)
    return Measured(ActivationErrors(**errors))


def _is_line(candidate: Activation, a: Array) -> bool:
    """Whether the function shows its argument there: its own error is small beside the argument."""
    own = evaluation_error(candidate, a, evaluate(candidate, a), 1.0)
    return bool((own <= 8 * steepest(candidate, a, np.zeros_like(a)) * np.abs(a)).all())


def _before(candidate: Activation, r: Array, received: Array, dtype: str) -> Array:
    """Return the r that led to received = f(s r), where |r| <= 1; the error of f counts as one of r."""
    a = small(dtype) * r
    error = received - evaluate(candidate, a)
    error = np.sign(error) * np.maximum(np.abs(error) - 2 * UNDERFLOW[dtype], 0)
    off = error / (small(dtype) * steepest(candidate, a, np.zeros_like(a)))
    return r + np.where(np.abs(r) <= 1, off, 0)


def _largest(
    kind: Gate, function: Activation, a: Array, shown: Sequence[Array], dtype: str
) -> tuple[float, str]:
    """Return the largest error in units of the function's constant, and a remark when it is too large."""
    largest = 1.0  # of a correctly rounded function
    for received in shown:
        errors = _errors(function, a, received, dtype)
        largest = max(largest, float(errors.max()))
        if largest > largest_error(dtype):
            return largest, _remark(kind, function, a, received, dtype)
    return largest, ""


def _errors(function: Activation, a: Array, received: Array, dtype: str) -> Array:
    """The smallest constant that explains each received f(a); infinite where none does."""
    import ml_dtypes

    value = evaluate(function, a)
    largest = float(ml_dtypes.finfo(numpy_dtype(dtype)).max)  # type: ignore[no-untyped-call]
    off = np.abs(received - value)
    off = np.maximum(np.where(np.isnan(off), np.inf, off) - 2 * UNDERFLOW[dtype], 0) / UNIT_ROUNDOFF[dtype]
    none, one = (evaluation_error(function, a, value, constant) for constant in (0.0, 1.0))
    straight = np.where(off > none + 2 + 2 * np.abs(value), np.inf, 0)  # there f needs no constant
    needed = np.where(one > none, (off - none) / (one - none), straight)
    return np.where(np.abs(value) < largest / 2, needed, 0)


def _remark(kind: Gate, function: Activation, a: Array, received: Array, dtype: str) -> str:
    limit = largest_error(dtype)
    off = np.abs(received - evaluate(function, a))
    too_far = _errors(function, a, received, dtype) > limit
    worst = np.where(too_far, np.nan_to_num(off, nan=np.inf), -1).argmax()
    alike = (one for one in _KNOWN if _errors(one, a, received, dtype).max() <= limit)
    what = next((f"; it behaves like {one}" for one in alike), "")
    return f"{kind} gate: {function} is off by {off.flat[worst]:.3g} at {a.flat[worst]:.6g}{what}"
