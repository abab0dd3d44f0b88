"""What is known of a runtime's arithmetic: its units of rounding, and how good its activations are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "UNDERFLOW",
    "UNIT_ROUNDOFF",
    "ActivationErrors",
    "Arithmetic",
    "Blend",
    "Products",
    "arithmetic_of",
    "dtype_inside",
    "generic_errors",
]

Blend = Literal["keeps", "takes", "either"]
Products = Literal["apart", "xh", "hx", "unknown"]

UNIT_ROUNDOFF: dict[str, float] = {
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
    "float32": 2.0**-24,
    "float64": 2.0**-53,
}

UNDERFLOW: dict[str, float] = {
    "float16": 2.0**-24,
    "bfloat16": 2.0**-125,
    "float32": 2.0**-125,
    "float64": 2.0**-1021,
}
"""Float16 keeps its smallest numbers, 2^-24 apart; the others may flush what is below their normal range."""

_WIDE_INSIDE = {("onnxruntime", "float16", "cpu")}
"""ONNX Runtime has no float16 GRU kernel on a CPU: it computes in float32 and rounds what it returns."""


@dataclass(frozen=True)
class ActivationErrors:
    """How far a runtime's activation functions are from the exact ones, in units of its unit roundoff.

    Args:
        update: largest |error| of z's function (relative to its value where that is how it errs: tanh).
        reset: likewise of r's.
        candidate: likewise of n's.
    """

    update: float
    reset: float
    candidate: float


_GENERIC = ActivationErrors(5.0, 5.0, 10.0)
_GENERIC_HALF = ActivationErrors(2.5, 2.5, 2.5)
"""For what was not measured: more than any runtime was seen to need. In half precision functions are
evaluated more finely and rounded once, which is an error of 1."""


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
        blend: whether the update gate that it computes "keeps" the state, so that 1 - z is rounded beside n,
            or "takes" the candidate, so that z is 1 minus it and rounded beside h; "either": not known.
        products: whether W x and U h are sums "apart", or one sum with [x, h] or [h, x] in this order, which
            rounds every term beside all before it; "unknown": any of these.
    """

    unit: float
    accumulator: float
    underflow: float
    product_input: float = 0.0
    output: float = 0.0
    output_underflow: float = 0.0
    update_error: float = _GENERIC.update
    reset_error: float = _GENERIC.reset
    candidate_error: float = _GENERIC.candidate
    blend: Blend = "keeps"
    products: Products = "apart"


def dtype_inside(backend: str, dtype: str, device: str) -> str:
    """Return the dtype that a runtime computes in, where weights and states are of `dtype`."""
    return "float32" if (backend, dtype, device) in _WIDE_INSIDE else dtype


def generic_errors(dtype: str) -> ActivationErrors:
    """Return the activation errors to allow for in a runtime that was not measured in `dtype`."""
    return _GENERIC_HALF if dtype in {"float16", "bfloat16"} else _GENERIC


def arithmetic_of(
    backend: str,
    dtype: str,
    device: str = "cpu",
    errors: ActivationErrors | None = None,
    *,
    blend: Blend = "keeps",
    products: Products = "apart",
) -> Arithmetic:
    """Return the arithmetic of a run.

    Args:
        backend: the runtime's name.
        dtype: of weights and states.
        device: e.g. "cpu".
        errors: of its activation functions, as measured; None for generous ones.
        blend: what its update gate does.
        products: how it multiplies x and h.
    """
    inside = dtype_inside(backend, dtype, device)
    errors = errors or generic_errors(inside)
    return Arithmetic(
        unit=UNIT_ROUNDOFF[inside],
        accumulator=UNIT_ROUNDOFF[inside],
        underflow=UNDERFLOW[inside],
        output=0.0 if inside == dtype else UNIT_ROUNDOFF[dtype],
        output_underflow=0.0 if inside == dtype else UNDERFLOW[dtype],
        update_error=errors.update,
        reset_error=errors.reset,
        candidate_error=errors.candidate,
        blend=blend,
        products=products,
    )
