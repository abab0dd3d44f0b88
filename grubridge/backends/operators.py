"""A framework's ordinary operators, as far as a cell that is run by its description needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grubridge.spec import Activation, Array

__all__ = ["Operators", "Tensor", "tensorflow_operators", "torch_operators"]

Tensor = Any
"""A torch.Tensor or a tf.Tensor: both know + - * @, slices and a shape."""


@dataclass(frozen=True)
class Operators:
    """The operators of one framework, for one dtype and device.

    Args:
        tensor: a NumPy array as a tensor of the dtype, on the device.
        array: a tensor as a NumPy array; bfloat16, which NumPy does not know, as float32.
        transpose: of a matrix.
        flat: a tensor as a vector.
        concat: tensors side by side along the last axis.
        stack: T tensors [B, H] as one, [B, T, H].
        where: elementwise, the second where the first is true, otherwise the third.
        functions: every activation function by its name, with alpha and beta (0 where it takes none).
    """

    tensor: Callable[[Array], Tensor]
    array: Callable[[Tensor], Array]
    transpose: Callable[[Tensor], Tensor]
    flat: Callable[[Tensor], Tensor]
    concat: Callable[[Sequence[Tensor]], Tensor]
    stack: Callable[[Sequence[Tensor]], Tensor]
    where: Callable[[Tensor, Tensor, Tensor], Tensor]
    functions: Mapping[str, Callable[[Tensor, float, float], Tensor]]

    def activate(self, function: Activation, a: Tensor) -> Tensor:
        """Return function(a)."""
        alpha = 0.0 if function.alpha is None else function.alpha
        beta = 0.0 if function.beta is None else function.beta
        return self.functions[function.name](a, alpha, beta)


def torch_operators(like: Tensor) -> Operators:
    """Return torch's operators for tensors of the dtype and device of `like`."""
    import torch
    from torch.nn import functional

    def tensor(array: Array) -> Tensor:
        made = torch.from_numpy(np.ascontiguousarray(array))
        return made.to(like.device, torch.bool if array.dtype == bool else like.dtype)

    def array(tensor: Tensor) -> Array:
        there = tensor.detach().cpu()
        made: Array = (there.float() if there.dtype == torch.bfloat16 else there).numpy()
        return made

    return Operators(
        tensor,
        array,
        transpose=lambda matrix: matrix.T,
        flat=lambda tensor: tensor.reshape(-1),
        concat=lambda tensors: torch.cat(tuple(tensors), -1),
        stack=lambda tensors: torch.stack(tuple(tensors), 1),
        where=torch.where,
        functions={
            "affine": lambda a, alpha, beta: alpha * a + beta,
            "elu": lambda a, alpha, beta: functional.elu(a, alpha),
            "hard_sigmoid": lambda a, alpha, beta: torch.clamp(alpha * a + beta, 0, 1),
            "leaky_relu": lambda a, alpha, beta: functional.leaky_relu(a, alpha),
            "relu": lambda a, alpha, beta: torch.relu(a),
            "scaled_tanh": lambda a, alpha, beta: alpha * torch.tanh(beta * a),
            "sigmoid": lambda a, alpha, beta: torch.sigmoid(a),
            # functional.softplus returns a itself above 20, which is 2e-9 too little
            "softplus": lambda a, alpha, beta: functional.softplus(a, threshold=40),
            "softsign": lambda a, alpha, beta: functional.softsign(a),
            "tanh": lambda a, alpha, beta: torch.tanh(a),
            "thresholded_relu": lambda a, alpha, beta: functional.threshold(a, alpha, 0.0),
        },
    )


def tensorflow_operators(like: Tensor) -> Operators:
    """Return TensorFlow's operators for tensors of the dtype of `like`, on the device of the caller."""
    import tensorflow as tf

    def array(tensor: Tensor) -> Array:
        made: Array = (tf.cast(tensor, tf.float32) if tensor.dtype == tf.bfloat16 else tensor).numpy()
        return made

    return Operators(
        tensor=lambda array: tf.constant(array) if array.dtype == bool else tf.cast(array, like.dtype),
        array=array,
        transpose=tf.transpose,
        flat=lambda tensor: tf.reshape(tensor, [-1]),
        concat=lambda tensors: tf.concat(list(tensors), -1),
        stack=lambda tensors: tf.stack(list(tensors), 1),
        where=tf.where,
        functions={
            "affine": lambda a, alpha, beta: alpha * a + beta,
            "elu": lambda a, alpha, beta: tf.where(a >= 0, a, alpha * tf.math.expm1(tf.minimum(a, 0))),
            "hard_sigmoid": lambda a, alpha, beta: tf.clip_by_value(alpha * a + beta, 0, 1),
            "leaky_relu": lambda a, alpha, beta: tf.where(a < 0, alpha * a, a),  # its own has a float32 alpha
            "relu": lambda a, alpha, beta: tf.nn.relu(a),
            "scaled_tanh": lambda a, alpha, beta: alpha * tf.tanh(beta * a),
            "sigmoid": lambda a, alpha, beta: tf.sigmoid(a),
            "softplus": lambda a, alpha, beta: tf.nn.softplus(a),
            "softsign": lambda a, alpha, beta: tf.nn.softsign(a),
            "tanh": lambda a, alpha, beta: tf.tanh(a),
            "thresholded_relu": lambda a, alpha, beta: tf.where(a > alpha, a, tf.zeros_like(a)),
        },
    )
