"""The grid of language models: what is counted, that runtimes agree, and its table."""

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from samples.data import CHARACTERS, Text, perplexity, text, windows


def test_text_is_split_and_reduced() -> None:
    source = text()

    assert len(source.train) > 100_000
    assert len(source.valid) > 10_000
    for part in source:
        words = "".join(CHARACTERS[index] for index in part[:20_000])
        assert re.fullmatch("[a-z ]+", words)
        assert {"the", "is", "value"} <= set(words.split())
    assert perplexity(np.zeros((1, 100, 27)), source.valid[None, :100]) == pytest.approx(27)


def test_windows_are_followed_by_their_targets() -> None:
    x, following = windows(np.array([3, 1, 4, 1, 5, 9, 2]), 3)

    np.testing.assert_array_equal(x.argmax(axis=2), [[3, 1, 4], [1, 5, 9]])
    np.testing.assert_array_equal(x.sum(axis=2), 1)
    np.testing.assert_array_equal(following, [[1, 4, 1], [5, 9, 2]])


def test_perplexity_of_known_probabilities() -> None:
    logits = np.log(np.array([[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]])) + 1000

    assert perplexity(logits, np.array([[0, 2]])) == pytest.approx((0.5 * 0.1) ** -0.5)


def test_runtimes_agree_on_a_small_grid(
    torch: ModuleType, keras: ModuleType, onnxruntime: ModuleType, tmp_path: Path
) -> None:
    del keras, onnxruntime
    from samples import language_models

    whole = text()
    source = Text(whole.train[:20_000], whole.valid[:2000])
    rows = list(language_models.grid((8,), (6, 12), source, 60, tmp_path))

    assert [(row.cell, row.length) for row in rows] == [
        (c, n) for c in language_models.CELLS for n in (6, 12)
    ]
    for row in rows:
        assert row.largest_difference < 1e-6
        assert set(row.train) == set(row.valid) == {"PyTorch", "Keras", "ONNX Runtime", "reference"}
        assert all(5 < value < 20 for value in row.valid.values())
    weights = torch.load(tmp_path / "d2l-8-12.pt", weights_only=True)
    assert weights["rnn.W_xz"].shape == (27, 8)


def test_table_and_largest_difference() -> None:
    from samples.language_models import Row, table

    one = {"PyTorch": 5.0, "Keras": 5.0, "reference": 5.0001}
    two = {"PyTorch": 6.0, "Keras": 6.0, "reference": 6.0}
    row = Row("d2l-reset-only", 16, 8, one, two)

    assert row.largest_difference == pytest.approx(2e-5)
    assert table([row]) == [
        "| cell | H | T | PyTorch | Keras | reference | largest difference |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| d2l-reset-only | 16 | 8 | 5.0000 / 6.0000 | 5.0000 / 6.0000 | 5.0001 / 6.0000 | 2.0e-05 |",
    ]
