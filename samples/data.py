"""The two tasks the samples are trained on, with their fixed train and test parts and their scores.

Both data sets ship inside a Python package, so nothing is downloaded. Neither split draws a random number.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["YEARS_SEEN", "Task", "accuracy", "digits", "rmse", "sunspots"]

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


def accuracy(scores: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> float:
    """Share of images whose highest score [N, 10] (logits or probabilities) is at the label [N]."""
    return float(np.mean(scores.argmax(axis=1) == labels))


def rmse(forecast: npt.NDArray[Any], observed: npt.NDArray[Any]) -> float:
    """Root mean square error of a forecast [N, 1] in hundreds of sunspots, returned in sunspots."""
    error = forecast.astype(np.float64) - observed.astype(np.float64)
    return float(np.sqrt(np.mean(error**2)) * SUNSPOT_SCALE)
