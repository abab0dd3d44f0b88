"""Train TensorFlow 1's GRU cells and save them by its Saver: python -m samples.cells.train_tf1 [FOLDER].

The variables have the names and shapes that TensorFlow 1 gave them. Of every cell a checkpoint under
cells/tf1/ and a recorded run: inputs x [B, T, I] and the states of all steps, hidden [B, T, H].
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from samples.data import Task, accuracy, digits

tf1 = tf.compat.v1
SEED = 51
INPUT, HIDDEN = 8, 8
RECORDED = 3


def variables(prefix: str, rows: int, columns: int) -> tuple[Any, Any]:
    """Return the variables prefix/kernel [rows, columns] and prefix/bias [columns]."""
    kernel = tf1.get_variable(
        f"{prefix}/kernel", (rows, columns), initializer=tf1.glorot_uniform_initializer()
    )
    return kernel, tf1.get_variable(f"{prefix}/bias", (columns,), initializer=tf1.ones_initializer())


def gru_cell() -> Callable[[Any, Any], Any]:
    """rnn_cell.GRUCell: gates r and u of [x, h], the candidate of [x, r*h]; u keeps the state."""
    gates, gates_bias = variables("gates", INPUT + HIDDEN, 2 * HIDDEN)
    kernel, bias = variables("candidate", INPUT + HIDDEN, HIDDEN)

    def step(x: Any, h: Any) -> Any:  # noqa: ANN401 - TensorFlow ships no types
        r, u = tf.split(tf.sigmoid(tf.concat([x, h], 1) @ gates + gates_bias), 2, axis=1)
        c = tf.tanh(tf.concat([x, r * h], 1) @ kernel + bias)
        return u * h + (1 - u) * c

    return step


def cudnn_compatible_gru_cell() -> Callable[[Any, Any], Any]:
    """contrib.cudnn_rnn.CudnnCompatibleGRUCell: gates as GRUCell's, r after the product."""
    gates, gates_bias = variables("gates", INPUT + HIDDEN, 2 * HIDDEN)
    kernel_x, bias_x = variables("candidate/input_projection", INPUT, HIDDEN)
    kernel_h, bias_h = variables("candidate/hidden_projection", HIDDEN, HIDDEN)

    def step(x: Any, h: Any) -> Any:  # noqa: ANN401
        r, u = tf.split(tf.sigmoid(tf.concat([x, h], 1) @ gates + gates_bias), 2, axis=1)
        c = tf.tanh(x @ kernel_x + bias_x + r * (h @ kernel_h + bias_h))
        return u * h + (1 - u) * c

    return step


CELLS = {cell.__name__: cell for cell in (gru_cell, cudnn_compatible_gru_cell)}


def train(name: str, task: Task, folder: Path) -> None:
    """Train a classifier of digits around one cell; save it, record it and print its accuracy."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(SEED)
        rows = tf1.placeholder(tf.float32, (None, 8, INPUT))
        labels = tf1.placeholder(tf.int64, (None,))
        with tf1.variable_scope(f"rnn/{name}"):
            step = CELLS[name]()
        states = [tf.zeros((tf.shape(rows)[0], HIDDEN))]
        for x in tf.unstack(rows, axis=1):
            states.append(step(x, states[-1]))
        with tf1.variable_scope("head"):
            kernel, bias = variables("dense", HIDDEN, 10)
        logits, hidden = states[-1] @ kernel + bias, tf.stack(states[1:], axis=1)
        loss = tf1.losses.sparse_softmax_cross_entropy(labels, logits)
        saver = tf1.train.Saver(tf1.trainable_variables())
        optimize = tf1.train.AdamOptimizer(0.02).minimize(loss)
        session.run(tf1.global_variables_initializer())
        rng = np.random.default_rng(SEED)
        for _ in range(15):
            for batch in np.array_split(rng.permutation(len(task.train_x)), 24):
                session.run(optimize, {rows: task.train_x[batch], labels: task.train_y[batch]})
        saver.save(session, str(folder / name), write_meta_graph=False, write_state=False)
        recorded = task.test_x[:RECORDED]
        np.savez_compressed(folder / f"{name}.npz", x=recorded, hidden=session.run(hidden, {rows: recorded}))
        score = accuracy(session.run(logits, {rows: task.test_x}), task.test_y)
        print(f"cells/tf1/{name}.index: accuracy {score:.4f}")


def save_block_cell(folder: Path) -> None:
    """Save contrib.rnn.GRUBlockCell with the weights of the trained gru_cell, and record its operation.

    TensorFlow still has the operation, but no longer its gradient, so it cannot be trained by itself.
    """
    trained = tf.train.load_checkpoint(str(folder / "gru_cell"))
    old = {"w_ru": "gates/kernel", "b_ru": "gates/bias", "w_c": "candidate/kernel", "b_c": "candidate/bias"}
    with tf1.Graph().as_default(), tf1.Session() as session:
        with tf1.variable_scope("rnn/gru_block_cell"):
            weights = {
                new: tf1.get_variable(new, initializer=trained.get_tensor(f"rnn/gru_cell/{name}"))
                for new, name in old.items()
            }
        recorded = digits().test_x[:RECORDED]
        states = [tf.zeros((RECORDED, HIDDEN))]
        for x in tf.unstack(tf.constant(recorded), axis=1):
            states.append(tf.raw_ops.GRUBlockCell(x=x, h_prev=states[-1], **weights).h)
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(
            session, str(folder / "gru_block_cell"), write_meta_graph=False, write_state=False
        )
        hidden = session.run(tf.stack(states[1:], axis=1))
    np.savez_compressed(folder / "gru_block_cell.npz", x=recorded, hidden=hidden)


def main(folder: Path) -> None:
    """Train and save every cell under cells/tf1/."""
    (folder / "cells" / "tf1").mkdir(parents=True, exist_ok=True)
    for name in CELLS:
        train(name, digits(), folder / "cells" / "tf1")
    save_block_cell(folder / "cells" / "tf1")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
