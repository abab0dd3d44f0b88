"""Train the bidirectional Keras digits classifier: python -m samples.train_digits_keras [FOLDER]."""

import sys
from pathlib import Path

import keras
import tensorflow as tf

from samples.data import accuracy, digits

SEED = 11
HIDDEN = 16


def train() -> keras.Model:
    """Return the classifier: images [B, 8, 8] -> class probabilities [B, 10]."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    gru = keras.layers.GRU(HIDDEN, reset_after=True, name="gru")
    model = keras.Sequential(
        [
            keras.Input((8, 8), name="rows"),
            keras.layers.Bidirectional(gru, name="bidirectional"),
            keras.layers.Dense(10, activation="softmax", name="head"),
        ],
        name="digits_bidirectional",
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    task = digits()
    model.fit(task.train_x, task.train_y, batch_size=64, epochs=20, verbose=0)
    return model


def main(folder: Path) -> None:
    """Train, save with Keras and print the test accuracy."""
    model = train()
    model.save(folder / "digits_bidirectional.keras")
    task = digits()
    probabilities = model.predict(task.test_x, verbose=0)
    print(f"digits_bidirectional.keras: accuracy {accuracy(probabilities, task.test_y):.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
