"""TensorFlow checkpoints for the tests: written by TensorFlow 1's Saver, as its programs did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from grubridge.spec import Array

INPUT, HIDDEN = 3, 4


def gru_cell(seed: int = 0, dtype: str = "float32") -> dict[str, Array]:
    """Return the weights of rnn_cell.GRUCell by their names, random and all distinct."""
    return _random(
        {
            "gates/kernel": (INPUT + HIDDEN, 2 * HIDDEN),
            "gates/bias": (2 * HIDDEN,),
            "candidate/kernel": (INPUT + HIDDEN, HIDDEN),
            "candidate/bias": (HIDDEN,),
        },
        seed,
        dtype,
    )


def cudnn_compatible_cell() -> dict[str, Array]:
    """Return the weights of CudnnCompatibleGRUCell by their names."""
    return _random(
        {
            "gates/kernel": (INPUT + HIDDEN, 2 * HIDDEN),
            "gates/bias": (2 * HIDDEN,),
            "candidate/input_projection/kernel": (INPUT, HIDDEN),
            "candidate/input_projection/bias": (HIDDEN,),
            "candidate/hidden_projection/kernel": (HIDDEN, HIDDEN),
            "candidate/hidden_projection/bias": (HIDDEN,),
        },
        1,
        "float32",
    )


def block_cell() -> dict[str, Array]:
    """Return the weights of GRUBlockCell by their names: those of `gru_cell`."""
    names = {"w_ru": "gates/kernel", "b_ru": "gates/bias", "w_c": "candidate/kernel", "b_c": "candidate/bias"}
    weights = gru_cell()
    return {new: weights[old] for new, old in names.items()}


def save(
    tensorflow: ModuleType, prefix: Path, weights: Mapping[str, Array], scope: str = "rnn/gru_cell"
) -> Path:
    """Save variables as TensorFlow 1's Saver does, with what an optimizer keeps, and return the prefix."""
    tf1 = tensorflow.compat.v1
    with tf1.Graph().as_default(), tf1.Session() as session:
        with tf1.variable_scope(scope):
            variables = [tf1.get_variable(name, initializer=values) for name, values in weights.items()]
        step = tf1.train.get_or_create_global_step()
        loss = sum(tf1.reduce_sum(tensorflow.cast(one * one, "float32")) for one in variables)
        tf1.train.AdamOptimizer().minimize(loss, global_step=step)
        session.run(tf1.global_variables_initializer())
        return Path(tf1.train.Saver().save(session, str(prefix), write_meta_graph=False))


def _random(shapes: Mapping[str, tuple[int, ...]], seed: int, dtype: str) -> dict[str, Array]:
    from grubridge.spec import numpy_dtype

    rng = np.random.default_rng(seed)
    return {name: rng.uniform(-1, 1, shape).astype(numpy_dtype(dtype)) for name, shape in shapes.items()}
