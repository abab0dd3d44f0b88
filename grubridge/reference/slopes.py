"""How far an activation carries an error of its argument, and what its own evaluation adds.

By the mean value theorem |f(a + e) - f(a)| <= |e| * (the largest |f'| within |e| of a), which holds at a
kink as well as on a curve, so every function needs its steepest slope near a point and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grubridge.spec import SIGMOID, Activation, Array

from .activations import evaluate

__all__ = ["STRAIGHT", "evaluation_error", "slope", "steepest"]

STRAIGHT = frozenset({"affine", "hard_sigmoid", "leaky_relu", "relu", "thresholded_relu"})
"""The functions made of straight pieces, which a machine evaluates without approximation."""

_APART = 2.0**-16


def steepest(activation: Activation, a: Array, reach: Array) -> Array:
    """Return the largest |f'| on [a - reach, a + reach], elementwise.

    Where the function jumps inside that interval (thresholded_relu), it is infinite.
    """
    alpha = 0.0 if activation.alpha is None else activation.alpha
    beta = 0.0 if activation.beta is None else activation.beta
    return _STEEPEST[activation.name](a, reach, alpha, beta)


def slope(activation: Activation, a: Array) -> Array:
    """Return f'(a) with its sign, elementwise: a central difference, good to nine digits.

    At a kink it is the mean of both sides, at a jump it is very large.
    """
    return (evaluate(activation, a + _APART) - evaluate(activation, a - _APART)) / (2 * _APART)


def evaluation_error(activation: Activation, a: Array, value: Array, constant: float) -> Array:
    """Return how far a machine's f(a) may lie from `value` = f(a), in units of its unit roundoff.

    Args:
        activation: f.
        a: its argument.
        value: f(a).
        constant: largest error of the machine's own sigmoid (absolute) or tanh (relative), in the same units.
            What is piecewise linear needs none: its error is that of the few operations it takes, with
            alpha and beta rounded to the machine's format first.
    """
    alpha = 0.0 if activation.alpha is None else activation.alpha
    beta = 0.0 if activation.beta is None else activation.beta
    return _EVALUATION_ERRORS[activation.name](a, np.abs(value), alpha, beta, constant)


def _linear_error(a: Array, alpha: float, beta: float) -> Array:
    return 2 * np.abs(alpha * a) + abs(beta) + np.abs(alpha * a + beta)


_EVALUATION_ERRORS: dict[str, Callable[[Array, Array, float, float, float], Array]] = {
    "affine": lambda a, size, alpha, beta, constant: _linear_error(a, alpha, beta),
    "elu": lambda a, size, alpha, beta, constant: np.where(a < 0, abs(alpha) * constant + 2 * size, 0),
    "hard_sigmoid": lambda a, size, alpha, beta, constant: np.where(
        np.abs(alpha * a + beta - 0.5) <= 1, _linear_error(a, alpha, beta), 0
    ),
    "leaky_relu": lambda a, size, alpha, beta, constant: np.where(a < 0, 2 * size, 0),
    "relu": lambda a, size, alpha, beta, constant: np.zeros_like(a),
    "scaled_tanh": lambda a, size, alpha, beta, constant: (constant + 2) * size + abs(alpha),
    "sigmoid": lambda a, size, alpha, beta, constant: np.full_like(a, constant),
    "softplus": lambda a, size, alpha, beta, constant: constant * (1 + size),
    "softsign": lambda a, size, alpha, beta, constant: 3 * size,
    "tanh": lambda a, size, alpha, beta, constant: constant * size,
    "thresholded_relu": lambda a, size, alpha, beta, constant: np.zeros_like(a),
}


def _nearest_to_zero(a: Array, reach: Array) -> Array:
    nearest: Array = np.maximum(np.abs(a) - reach, 0)
    return nearest


def _sigmoid_slope(a: Array) -> Array:
    z = evaluate(SIGMOID, a)
    slope: Array = z * (1 - z)
    return slope


def _left_and_right(a: Array, reach: Array, left: Array | float, right: float) -> Array:
    """The larger of two slopes that meet at 0, of those that the interval touches."""
    larger = np.maximum(left, right)
    return np.where(a - reach > 0, right, np.where(a + reach < 0, left, larger))


_STEEPEST: dict[str, Callable[[Array, Array, float, float], Array]] = {
    "affine": lambda a, reach, alpha, beta: np.full_like(a, abs(alpha)),
    "elu": lambda a, reach, alpha, beta: _left_and_right(
        a, reach, abs(alpha) * np.exp(np.minimum(a + reach, 0)), 1
    ),
    "hard_sigmoid": lambda a, reach, alpha, beta: np.where(
        np.abs(alpha * a + beta - 0.5) - abs(alpha) * reach <= 0.5, abs(alpha), 0
    ),
    "leaky_relu": lambda a, reach, alpha, beta: _left_and_right(a, reach, abs(alpha), 1),
    "relu": lambda a, reach, alpha, beta: _left_and_right(a, reach, 0, 1),
    "scaled_tanh": lambda a, reach, alpha, beta: (
        abs(alpha * beta) * (1 - np.tanh(abs(beta) * _nearest_to_zero(a, reach)) ** 2)
    ),
    "sigmoid": lambda a, reach, alpha, beta: _sigmoid_slope(_nearest_to_zero(a, reach)),
    "softplus": lambda a, reach, alpha, beta: evaluate(SIGMOID, a + reach),
    "softsign": lambda a, reach, alpha, beta: (1 + _nearest_to_zero(a, reach)) ** -2,
    "tanh": lambda a, reach, alpha, beta: 1 - np.tanh(_nearest_to_zero(a, reach)) ** 2,
    "thresholded_relu": lambda a, reach, alpha, beta: np.where(
        np.abs(a - alpha) <= reach, np.inf, np.where(a > alpha, 1.0, 0.0)
    ),
}
