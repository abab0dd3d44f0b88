"""The activation functions the other way round, in float64: which argument gave a value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grubridge.spec import Activation, Array

__all__ = ["invert"]


def invert(activation: Activation, value: Array) -> Array:
    """Return a with f(a) = `value`, elementwise, float64.

    Where f is flat or takes a value twice, one of the arguments comes back, or NaN or infinity where there is
    none: a caller keeps to a range on which f is strictly monotone.
    """
    alpha = 0.0 if activation.alpha is None else activation.alpha
    beta = 0.0 if activation.beta is None else activation.beta
    with np.errstate(divide="ignore", invalid="ignore"):
        return _INVERSES[activation.name](value, np.float64(alpha), np.float64(beta))


_INVERSES: dict[str, Callable[[Array, np.float64, np.float64], Array]] = {
    "affine": lambda y, alpha, beta: (y - beta) / alpha,
    "elu": lambda y, alpha, beta: np.where(y >= 0, y, np.log1p(y / alpha)),
    "hard_sigmoid": lambda y, alpha, beta: (y - beta) / alpha,
    "leaky_relu": lambda y, alpha, beta: np.where(y >= 0, y, y / alpha),
    "relu": lambda y, alpha, beta: y,
    "scaled_tanh": lambda y, alpha, beta: np.arctanh(y / alpha) / beta,
    "sigmoid": lambda y, alpha, beta: np.log(y) - np.log1p(-y),
    "softplus": lambda y, alpha, beta: y + np.log(-np.expm1(-y)),
    "softsign": lambda y, alpha, beta: y / (1 - np.abs(y)),
    "tanh": lambda y, alpha, beta: np.arctanh(y),
    "thresholded_relu": lambda y, alpha, beta: y,
}
