"""The tasks the samples are trained on, with their fixed train and test parts and their scores.

All data ships inside Python or a Python package, so nothing is downloaded. No split draws a random number.
"""

import re
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "CHARACTERS",
    "YEARS_SEEN",
    "Task",
    "Text",
    "accuracy",
    "digits",
    "perplexity",
    "rmse",
    "sunspots",
    "text",
    "windows",
]

CHARACTERS = " abcdefghijklmnopqrstuvwxyz"
"""What a text is reduced to: capitals become small letters, and anything else one space."""

YEARS_SEEN = 24
"""Years of sunspot numbers that come before the year to forecast: about two solar cycles."""

SUNSPOT_SCALE = 100.0
FIRST_TEST_YEAR = 1920


class Task(NamedTuple):
    """Inputs and targets of one task; the shapes are those of the function that returns it."""

    train_x: npt.NDArray[np.float32]
    train_y: npt.NDArray[Any]
    test_x: npt.NDArray[np.float32]
    test_y: npt.NDArray[Any]


class Text(NamedTuple):
    """A text as indices into `CHARACTERS`: train [N] and valid [M], int64."""

    train: npt.NDArray[np.int64]
    valid: npt.NDArray[np.int64]


def digits() -> Task:
    """Handwritten digits of scikit-learn, each image read row by row: a row of 8 pixels is one time step.

    Every sixth image is kept for the test, so both parts run over the whole collection and hold all digits.

    Returns:
        train_x [1498, 8, 8] and test_x [299, 8, 8], float32 in 0..1, shape [images, time, pixels of the row];
        train_y [1498] and test_y [299], int64, the digit.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x = (images.reshape(-1, 8, 8) / 16.0).astype(np.float32)
    y = labels.astype(np.int64)
    test = np.arange(len(x)) % 6 == 5
    return Task(x[~test], y[~test], x[test], y[test])


def sunspots() -> Task:
    """Yearly sunspot numbers 1700 to 2008 of statsmodels: forecast a year from the 24 years before it.

    Returns:
        train_x [196, 24, 1] and test_x [89, 24, 1], float32, hundreds of sunspots, shape [years, time, 1];
        train_y [196, 1] and test_y [89, 1], float32, hundreds, years 1724 to 1919 and 1920 to 2008.
    """
    from statsmodels.datasets import sunspots as source

    table = source.load_pandas().data
    series = (table["SUNACTIVITY"].to_numpy() / SUNSPOT_SCALE).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(series, YEARS_SEEN + 1)
    x, y = windows[:, :YEARS_SEEN, None].copy(), windows[:, YEARS_SEEN:].copy()
    test = table["YEAR"].to_numpy()[YEARS_SEEN:] >= FIRST_TEST_YEAR
    return Task(x[~test], y[~test], x[test], y[test])


def text() -> Text:
    """The texts behind Python's help(), which CPython ships (Python Software Foundation License).

    Every sixth topic is kept for validation. The texts differ a little between versions of Python.
    """
    numbers = {character: index for index, character in enumerate(CHARACTERS)}
    parts: tuple[list[int], list[int]] = ([], [])
    for position, topic in enumerate(sorted(topics)):
        plain = re.sub("[^a-z]+", " ", topics[topic].lower())
        parts[position % 6 == 5].extend(numbers[character] for character in plain)
    train, valid = parts
    return Text(np.array(train), np.array(valid))


def windows(
    characters: npt.NDArray[np.int64], length: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Cut a text into pieces: one-hot inputs [N, length, 27] and the characters that follow, [N, length]."""
    pieces = (len(characters) - 1) // length
    following = characters[1 : pieces * length + 1].reshape(pieces, length)
    x = np.eye(len(CHARACTERS), dtype=np.float32)[characters[: pieces * length].reshape(pieces, length)]
    return x, following


def perplexity(logits: npt.NDArray[Any], following: npt.NDArray[np.int64]) -> float:
    """How many characters a model wavers between: e to the mean of -log p, worked out in float64.

    Args:
        logits: [N, T, 27].
        following: the characters that came, [N, T].
    """
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=2, keepdims=True)
    chosen = np.take_along_axis(exact, following[..., None], axis=2)[..., 0]
    return float(np.exp(np.mean(np.log(np.exp(exact).sum(axis=2)) - chosen)))


def accuracy(scores: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> float:
    """Share of images whose highest score [N, 10] (logits or probabilities) is at the label [N]."""
    return float(np.mean(scores.argmax(axis=1) == labels))


def rmse(forecast: npt.NDArray[Any], observed: npt.NDArray[Any]) -> float:
    """Root mean square error of a forecast [N, 1] in hundreds of sunspots, returned in sunspots."""
    error = forecast.astype(np.float64) - observed.astype(np.float64)
    return float(np.sqrt(np.mean(error**2)) * SUNSPOT_SCALE)
