"""Subclasses of Keras's GRUCell as people write them to see gates, for the tests."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

INPUT, HIDDEN = 3, 4


def gated_cell(framework: ModuleType, *, together: bool, reset_after: bool = True) -> Any:
    """Return a built cell, random weights, that returns h, r and z, side by side if `together`.

    Its class and its arithmetic are its own; of GRUCell it has the weights alone.
    """
    import tensorflow as tf

    @framework.saving.register_keras_serializable("grubridge_tests")
    class GatedCell(framework.layers.GRUCell):  # type: ignore[misc, name-defined]
        @property
        def output_size(self) -> Any:
            return 3 * self.units if together else (self.units,) * 3

        @output_size.setter
        def output_size(self, size: Any) -> None:
            pass

        def call(self, inputs: Any, states: Any, training: Any = None) -> Any:  # noqa: ARG002
            h = states[0] if isinstance(states, (list, tuple)) else states
            bias = tf.convert_to_tensor(self.bias)
            input_bias, recurrent_bias = (
                (bias[0], bias[1]) if self.reset_after else (bias, tf.zeros_like(bias))
            )
            x_z, x_r, x_n = tf.split(inputs @ self.kernel + input_bias, 3, axis=1)
            h_z, h_r, h_n = tf.split(h @ self.recurrent_kernel + recurrent_bias, 3, axis=1)
            z, r = tf.sigmoid(x_z + h_z), tf.sigmoid(x_r + h_r)
            before = (r * h) @ tf.convert_to_tensor(self.recurrent_kernel)[:, 2 * self.units :]
            n = tf.tanh(x_n + (r * h_n if self.reset_after else before))
            h = z * h + (1 - z) * n
            return (tf.concat([h, r, z], 1) if together else (h, r, z)), [h]

    cell = GatedCell(HIDDEN, reset_after=reset_after)
    cell.build((None, INPUT))
    rng = np.random.default_rng(11)
    cell.set_weights([rng.uniform(-1, 1, weight.shape) for weight in cell.get_weights()])
    return cell


def shown(cell: Any, x: Any) -> tuple[Any, Any, Any]:
    """Return h, r and z, each [B, T, H], as the class itself returns them for x [B, T, I]."""
    state = np.zeros((len(x), HIDDEN), np.float32)
    steps = []
    for t in range(x.shape[1]):
        output, (state,) = cell(x[:, t], [state])
        steps.append(np.split(np.asarray(output), 3, 1) if not isinstance(output, tuple) else output)
    h, r, z = (np.stack([np.asarray(one) for one in column], 1) for column in zip(*steps, strict=True))
    return h, r, z
