"""Train the Keras sunspot forecaster (reset before): python -m samples.train_sunspots_keras [FOLDER]."""

import sys
from pathlib import Path

import keras
import tensorflow as tf

from samples.data import YEARS_SEEN, rmse, sunspots

SEED = 12
HIDDEN = 12


def train() -> keras.Model:
    """Return the forecaster: past years [B, 24, 1] -> the next year [B, 1], in hundreds of sunspots."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    model = keras.Sequential(
        [
            keras.Input((YEARS_SEEN, 1), name="years"),
            keras.layers.GRU(HIDDEN, reset_after=False, name="gru"),
            keras.layers.Dense(1, name="head"),
        ],
        name="sunspots_reset_before",
    )
    # Loss as an object: Keras 3 cannot look up the name "mse" again when it opens an .h5 file.
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=keras.losses.MeanSquaredError())
    task = sunspots()
    model.fit(task.train_x, task.train_y, batch_size=32, epochs=120, verbose=0)
    return model


def main(folder: Path) -> None:
    """Train, save with Keras in its HDF5 format and print the test error."""
    model = train()
    model.save(folder / "sunspots_reset_before.h5")
    task = sunspots()
    forecast = model.predict(task.test_x, verbose=0)
    print(f"sunspots_reset_before.h5: rmse {rmse(forecast, task.test_y):.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
