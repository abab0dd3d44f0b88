"""What is known of a runtime's arithmetic: its units of rounding, and how good its sigmoid and tanh are."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Arithmetic", "arithmetic_of"]

UNIT_ROUNDOFF: dict[str, float] = {
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
    "float32": 2.0**-24,
    "float64": 2.0**-53,
}

_UNDERFLOW: dict[str, float] = {
    "float16": 2.0**-24,
    "bfloat16": 2.0**-125,
    "float32": 2.0**-125,
    "float64": 2.0**-1021,
}
"""Float16 keeps its smallest numbers, 2^-24 apart; the others may flush what is below their normal range."""

_UNMEASURED = (5.0, 5.0, 10.0)
_HALF_PRECISION = (1.8, 1.8, 1.25)  # measured over every argument, times 1.25
_MEASURED_FLOAT32: dict[str, tuple[float, float, float]] = {
    "pytorch": (1.9, 1.9, 1.25),
    "keras": (3.1, 3.1, 6.8),
    "onnxruntime": (3.1, 5.1, 10.1),
}
"""Largest errors on a CPU over 66,000 arguments, times 1.25: the larger of those inside a runtime's GRU and
of its operators of the same names, which gates are replayed with; the functions need not be the same."""

_WIDE_INSIDE = {("onnxruntime", "float16")}
"""ONNX Runtime has no float16 GRU kernel on a CPU: it computes in float32 and rounds what it returns."""


@dataclass(frozen=True)
class Arithmetic:
    """The precision of a run.

    Args:
        unit: unit roundoff u of elementwise operations and of the state between two steps.
        accumulator: unit roundoff of the sums inside matrix products.
        underflow: largest absolute error of one operation whose result is too small for the format.
        product_input: relative rounding of the factors of matrix products (2^-11 for TF32); 0 if none.
        output: relative rounding of states and gates as they are returned, where they are wider inside.
        output_underflow: likewise, the absolute rounding of what is too small for the returned format.
        update_error: largest |error| of z's activation function, in units of u.
        reset_error: likewise of r's.
        candidate_error: likewise of n's, relative to its value where the function is tanh.
    """

    unit: float
    accumulator: float
    underflow: float
    product_input: float = 0.0
    output: float = 0.0
    output_underflow: float = 0.0
    update_error: float = _UNMEASURED[0]
    reset_error: float = _UNMEASURED[1]
    candidate_error: float = _UNMEASURED[2]


def arithmetic_of(backend: str, dtype: str, device: str = "cpu") -> Arithmetic:
    """Return the arithmetic of a run by the runtime called `backend`, with weights of `dtype`, on `device`.

    Whatever has not been measured gets generous activation errors.
    """
    inside = "float32" if (backend, dtype) in _WIDE_INSIDE else dtype
    unit = UNIT_ROUNDOFF[inside]
    if inside in {"float16", "bfloat16"}:
        errors = _HALF_PRECISION
    elif inside == "float32" and device == "cpu":
        errors = _MEASURED_FLOAT32.get(backend, _UNMEASURED)
    else:
        errors = _UNMEASURED
    update, reset, candidate = errors
    return Arithmetic(
        unit=unit,
        accumulator=unit,
        underflow=_UNDERFLOW[inside],
        output=0.0 if inside == dtype else UNIT_ROUNDOFF[dtype],
        output_underflow=0.0 if inside == dtype else _UNDERFLOW[dtype],
        update_error=update,
        reset_error=reset,
        candidate_error=candidate,
    )
