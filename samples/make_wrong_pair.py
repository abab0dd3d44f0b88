"""Make the wrong pair of keras-team/keras#15915: python -m samples.make_wrong_pair [FOLDER].

A one-layer PyTorch classifier is copied into Keras with a transposition and nothing else. Every shape fits,
and Keras takes the weights without a word, but PyTorch stacks the gates as reset, update, candidate and Keras
as update, reset, candidate.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch

os.environ["KERAS_BACKEND"] = (
    "torch"  # the file is the same from any backend of Keras, and this one is loaded already
)
import keras

from samples.data import accuracy, digits
from samples.train_digits_pytorch import HIDDEN, DigitsClassifier, score, train

SEED = 14


def copy_unreordered(source: DigitsClassifier) -> keras.Model:
    """Return a Keras classifier with the weights of `source` transposed, their gates in the wrong order."""
    model = keras.Sequential(
        [
            keras.Input((8, 8), name="rows"),
            keras.layers.GRU(HIDDEN, reset_after=True, name="gru"),
            keras.layers.Dense(10, name="head"),
        ],
        name="unreordered_gates",
    )
    w = {name: tensor.numpy() for name, tensor in source.state_dict().items()}
    kernel_rzn_i3h, recurrent_kernel_rzn_h3h = w["gru.weight_ih_l0"].T, w["gru.weight_hh_l0"].T
    bias_rzn_23h = np.stack([w["gru.bias_ih_l0"], w["gru.bias_hh_l0"]])
    model.get_layer("gru").set_weights([kernel_rzn_i3h, recurrent_kernel_rzn_h3h, bias_rzn_23h])
    model.get_layer("head").set_weights([w["head.weight"].T, w["head.bias"]])
    return model


def main(folder: Path) -> None:
    """Train the source, save it and its wrong copy under wrong/, and print both test accuracies."""
    (folder / "wrong").mkdir(exist_ok=True)
    source = train(num_layers=1, seed=SEED)
    torch.save(source.state_dict(), folder / "wrong" / "source.pt")
    copy = copy_unreordered(source)
    copy.save(folder / "wrong" / "unreordered_gates.keras")
    task = digits()
    logits = copy.predict(task.test_x, verbose=0)
    print(f"wrong/source.pt: accuracy {score(source):.4f}")
    print(f"wrong/unreordered_gates.keras: accuracy {accuracy(logits, task.test_y):.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
