"""The activation functions in float64. Formulas: the ONNX operators of the same names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grubridge.spec import Activation, Array

__all__ = ["evaluate"]


def evaluate(activation: Activation, a: Array) -> Array:
    """Return the activation of `a`, elementwise, float64."""
    alpha = 0.0 if activation.alpha is None else activation.alpha
    beta = 0.0 if activation.beta is None else activation.beta
    return _FUNCTIONS[activation.name](a, alpha, beta)


def _sigmoid(a: Array) -> Array:
    # exp of a negative number never overflows, on either side
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1 / (1 + e), e / (1 + e))


def _softplus(a: Array) -> Array:
    return np.logaddexp(0.0, a)


_FUNCTIONS: dict[str, Callable[[Array, float, float], Array]] = {
    "affine": lambda a, alpha, beta: alpha * a + beta,
    "elu": lambda a, alpha, beta: np.where(a >= 0, a, alpha * np.expm1(np.minimum(a, 0))),
    "hard_sigmoid": lambda a, alpha, beta: np.clip(alpha * a + beta, 0, 1),
    "leaky_relu": lambda a, alpha, beta: np.where(a >= 0, a, alpha * a),
    "relu": lambda a, alpha, beta: np.maximum(a, 0),
    "scaled_tanh": lambda a, alpha, beta: alpha * np.tanh(beta * a),
    "sigmoid": lambda a, alpha, beta: _sigmoid(a),
    "softplus": lambda a, alpha, beta: _softplus(a),
    "softsign": lambda a, alpha, beta: a / (1 + np.abs(a)),
    "tanh": lambda a, alpha, beta: np.tanh(a),
    "thresholded_relu": lambda a, alpha, beta: np.where(a > alpha, a, 0.0),
}
