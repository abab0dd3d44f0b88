"""The precision ladder: matrix products of rounded factors, weights that were cast, narrower formats.

Factors and weights are known, so their rounding is repeated exactly and the bound stays that of the run's own
arithmetic. Only the product r * h of a reset gate before the recurrent product is known up to its rounding:
where that reaches across a border between two rounded values, both are allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from grubridge.reference import Cell
from grubridge.reference.arithmetic import UNIT_ROUNDOFF, Arithmetic, arithmetic_of
from grubridge.reference.rounded import Evaluation, Rounded
from grubridge.reference.rounding import Interval, interval, step_of
from grubridge.spec import Array, Gates, numpy_dtype

from .edits import Edit
from .steps import Rows

__all__ = ["LADDER", "Precision", "bounds", "ladder"]

Rounding = Callable[[Array], Array]


@dataclass(frozen=True)
class Precision:
    """One rung: what is rounded on the way.

    Args:
        edit: what it is called.
        factors: rounds the input, the state and the kernels where they are multiplied as matrices.
        kernels: rounds the three gates of a kernel, [3, H, K], beforehand.
        biases: rounds the biases beforehand.
        format: the dtype of every operation, where it is narrower than that of the run.
    """

    edit: Edit
    factors: Rounding | None = None
    kernels: Rounding | None = None
    biases: Rounding | None = None
    format: str | None = None

    def on_kernel(self, kernel: Array) -> Array:
        """Return the kernel [3, H, K] that is multiplied with."""
        kernel = kernel if self.kernels is None else self.kernels(kernel)
        return kernel if self.factors is None else self.factors(kernel)

    def on_bias(self, bias: Array) -> Array:
        """Return the bias that is added."""
        return bias if self.biases is None else self.biases(bias)

    def on_factor(self, factor: Array) -> Array:
        """Return the input or state that is multiplied with."""
        return factor if self.factors is None else self.factors(factor)

    def on_cell(self, cell: Cell) -> Cell:
        """Return `cell` with its weights rounded."""

        def kernel(gates: Gates[Array]) -> Gates[Array]:
            return Gates(*self.on_kernel(np.stack([array for _, array in gates.items()])))

        return replace(
            cell,
            input_weight=kernel(cell.input_weight),
            recurrent_weight=kernel(cell.recurrent_weight),
            input_bias=cell.input_bias.map(self.on_bias),
            recurrent_bias=cell.recurrent_bias.map(self.on_bias),
        )

    def arithmetic(self, how: Arithmetic) -> Arithmetic:
        """Return the arithmetic of the run."""
        return how if self.format is None else arithmetic_of("", self.format)


def bounds(
    cell: Cell,
    rows: Rows,
    how: Arithmetic,
    precision: Precision | None,
    *,
    deviations: float,
    in_order: bool = False,
) -> Interval:
    """Return h' of every row and how far a run in this precision may be from it, [N, H] each."""
    if precision is None:
        run = Evaluation(how, deviations, in_order)
    else:
        cell, how = precision.on_cell(cell), precision.arithmetic(how)
        run = _RoundedFactors(how, deviations, in_order, precision)
    with np.errstate(all="ignore"):  # an infinite bound, or NaN among the weights, explains nothing
        return interval(step_of(run, cell, rows.x, rows.previous).hidden, how, deviations=deviations)


@dataclass(frozen=True)
class _RoundedFactors(Evaluation):
    """An arithmetic that rounds what it multiplies as matrices; the kernels are rounded already."""

    precision: Precision

    def dot(self, a: Rounded, weight: Array, bias: Array) -> Rounded:
        return super().dot(self._factor(a), weight, bias)

    def _factor(self, a: Rounded) -> Rounded:
        rounded = self.precision.on_factor
        value = rounded(a.value)
        if a.exact or self.precision.factors is None:
            return replace(a, value=value)
        reached = (
            np.maximum(rounded(a.value + by) - value, value - rounded(a.value - by))
            for by in (self.reach(a), a.worst)
        )
        fixed, worst = reached
        return Rounded(value, np.zeros_like(value), fixed, worst)


def ladder(hidden: Array, how: Arithmetic) -> Iterator[Precision]:
    """Yield the rungs that lie below `how`; a narrower format of all operations where every state is in it.

    Args:
        hidden: states that the run returned, float64.
        how: the arithmetic that the run declared.
    """
    for precision in LADDER:
        if precision.format is not None:
            narrower = UNIT_ROUNDOFF[precision.format] > max(how.unit, how.output)
            if narrower and np.array_equal(_as(precision.format)(hidden), hidden):
                yield precision
        elif how.unit < UNIT_ROUNDOFF["float16"]:
            yield precision


def _as(name: str) -> Rounding:
    dtype = numpy_dtype(name)

    def cast(a: Array) -> Array:
        with np.errstate(over="ignore"):
            return a.astype(dtype).astype(np.float64)

    return cast


_MANTISSA, _TF32 = 52, 10  # bits stored, of float64 and of TF32
_DROPPED = np.uint64(_MANTISSA - _TF32)
_KEEP = ~np.uint64((1 << (_MANTISSA - _TF32)) - 1)
_HALF = np.uint64(1 << (_MANTISSA - _TF32 - 1))
_ONE = np.uint64(1)


def _bits(a: Array) -> Array:
    return np.ascontiguousarray(a, np.float64).view(np.uint64)


def _nearest_even(a: Array) -> Array:
    bits = _bits(a)
    rounded: Array = ((bits + _HALF - _ONE + ((bits >> _DROPPED) & _ONE)) & _KEEP).view(np.float64)
    return rounded


def _nearest_away(a: Array) -> Array:
    rounded: Array = ((_bits(a) + _HALF) & _KEEP).view(np.float64)
    return rounded


def _truncated(a: Array) -> Array:
    rounded: Array = (_bits(a) & _KEEP).view(np.float64)
    return rounded


def _int8(steps: float, axes: tuple[int, ...]) -> Rounding:
    """Quantise [3, H, K] symmetrically, with one scale for all that `axes` run over."""

    def quantise(kernel: Array) -> Array:
        largest = np.abs(kernel).max(axis=axes, keepdims=True)
        scale = np.where(largest > 0, largest, 1) / steps
        with np.errstate(invalid="ignore"):  # no scale holds infinity
            quantised: Array = np.clip(np.rint(kernel / scale), -128, 127) * scale
        return quantised

    return quantise


def _products(value: str, what: str, factors: Rounding) -> Precision:
    return Precision(Edit("precision", value, f"matrix products round their factors to {what}"), factors)


def _stored(value: str, phrase: str, kernels: Rounding, biases: Rounding | None = None) -> Precision:
    return Precision(Edit("precision", value, phrase), kernels=kernels, biases=biases)


def _whole(name: str) -> Precision:
    phrase = f"every operation is carried out in {name}"
    return Precision(Edit("precision", name, phrase), kernels=_as(name), biases=_as(name), format=name)


LADDER = (
    _whole("float32"),
    _whole("float16"),
    _whole("bfloat16"),
    _products("tf32_nearest_even", "TF32 (nearest, ties to even)", _nearest_even),
    _products("tf32_nearest_away", "TF32 (nearest, ties away from zero)", _nearest_away),
    _products("tf32_truncated", "TF32 (truncated)", _truncated),
    _products("float16_products", "float16", _as("float16")),
    _products("bfloat16_products", "bfloat16", _as("bfloat16")),
    _stored("float16_weights", "the weights were cast to float16", _as("float16"), _as("float16")),
    _stored("bfloat16_weights", "the weights were cast to bfloat16", _as("bfloat16"), _as("bfloat16")),
    _stored("float16_kernels", "the kernels, not the biases, were cast to float16", _as("float16")),
    _stored("bfloat16_kernels", "the kernels, not the biases, were cast to bfloat16", _as("bfloat16")),
    _stored("tf32_kernels", "the kernels were rounded to TF32", _nearest_even),
    _stored("int8_kernels", "the kernels were quantised to int8, one scale for each", _int8(127, (0, 1, 2))),
    _stored(
        "int8_kernels_torch", "the kernels were quantised to int8 as PyTorch does it", _int8(127.5, (0, 1, 2))
    ),
    _stored("int8_gates", "the kernels were quantised to int8, one scale for each gate", _int8(127, (1, 2))),
    _stored("int8_units", "the kernels were quantised to int8, one scale for each unit", _int8(127, (2,))),
)
"""From fine to coarse in each kind; where two coincide on a model, the first is named first."""
