"""Train a GRUCell of Keras 2 that shows its gates: python -m samples.cells.train_gates_keras [FOLDER].

People who want to see the gates write such a subclass. Saved are the model, cells/gates_cell.h5, and a
recorded run of it: inputs x [B, T, I], the states of all steps and the gates, [B, T, H] each.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from samples.data import accuracy, digits

SEED = 52
HIDDEN = 8
RECORDED = 3


@keras.saving.register_keras_serializable("samples")
class GatesCell(keras.layers.GRUCell):  # type: ignore[misc]  # Keras ships no types
    """A GRUCell that returns (h, r, z)."""

    def __init__(self, units: int, **options: Any) -> None:  # noqa: ANN401
        super().__init__(units, **options)
        self.output_size = (units, units, units)

    def call(self, inputs: Any, states: Any, training: bool | None = None) -> Any:  # noqa: ANN401, ARG002, FBT001
        """Return (h', r, z) and the new states, of inputs [B, I] and states ([B, H],)."""
        (h,) = states
        input_bias, recurrent_bias = tf.unstack(self.bias)
        x_z, x_r, x_n = tf.split(inputs @ self.kernel + input_bias, 3, axis=1)
        h_z, h_r, h_n = tf.split(h @ self.recurrent_kernel + recurrent_bias, 3, axis=1)
        z, r = tf.sigmoid(x_z + h_z), tf.sigmoid(x_r + h_r)
        h = z * h + (1 - z) * tf.tanh(x_n + r * h_n)
        return (h, r, z), [h]


def train() -> tuple[keras.Model, keras.Model]:
    """Return the classifier, images [B, 8, 8] -> logits [B, 10], and the model of its states and gates."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    rows = keras.Input((8, 8), name="rows")
    hidden, reset, update = keras.layers.RNN(GatesCell(HIDDEN), return_sequences=True, name="gru")(rows)
    model = keras.Model(rows, keras.layers.Dense(10, name="head")(hidden[:, -1]), name="gates_cell")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss=loss)
    task = digits()
    model.fit(task.train_x, task.train_y, batch_size=64, epochs=15, verbose=0)
    return model, keras.Model(rows, [hidden, reset, update])


def main(folder: Path) -> None:
    """Train, save with Keras in its HDF5 format, record a run and print the test accuracy."""
    (folder / "cells").mkdir(exist_ok=True)
    model, gates = train()
    model.save(folder / "cells" / "gates_cell.h5", include_optimizer=False)
    task = digits()
    x = task.test_x[:RECORDED]
    hidden, reset, update = gates.predict(x, verbose=0)
    path = folder / "cells" / "gates_cell.npz"
    np.savez_compressed(path, x=x, hidden=hidden, reset=reset, update=update)
    print(f"cells/gates_cell.h5: accuracy {accuracy(model.predict(task.test_x, verbose=0), task.test_y):.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
