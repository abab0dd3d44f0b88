"""What a sequence may be given as, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge import ProbeError, ReadHints

RNG = np.random.default_rng(0)
TWO = {"kernel": RNG.standard_normal((2, 3)), "recurrent_kernel": RNG.standard_normal((1, 3))}
ONE = {"kernel": RNG.standard_normal((1, 3)), "recurrent_kernel": RNG.standard_normal((1, 3))}
X = np.array([[1.0, -2.0], [9.5, 8.0], [0.25, 3.0]])
HINTS = ReadHints(reset_after=True)


def _x(inputs: object, weights: object = TWO) -> list[Any]:
    found: list[Any] = grubridge.explain(weights, inputs, hints=HINTS).probe.x[0].tolist()
    return found


def test_tables(tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    for content in (
        "1,-2\n9.5,8\n0.25,3\n",
        "time,value\n1,-2\n9.5,8\n0.25,3",
        "\ufeff1, -2\r\n\r\n9.5 ,8\r\n.25,3e0\r\n",
    ):
        table.write_bytes(content.encode())
        assert _x(table) == X.tolist()


def test_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    np.savez(tmp_path / "x.npz", x=np.stack([X, -X]), lengths=[2, 3])
    np.savez(tmp_path / "recording.npz", x=X[None], hidden=np.zeros((1, 3, 1)), update=np.zeros((1, 3, 1)))

    assert _x(tmp_path / "x.npy") == _x(tmp_path / "recording.npz") == X.tolist()
    assert _x(tmp_path / "x.npz") == X[:2].tolist()
    assert _x(X) == _x(X[None]) == _x(X.tolist()) == X.tolist()
    assert _x([1, 2.5], ONE) == [[1.0], [2.5]]


def test_typed_numbers() -> None:
    assert _x("1,-2;9.5,8;.25,3") == X.tolist()
    assert _x("1, 2, 9, 8", ONE) == [[1.0], [2.0], [9.0], [8.0]]
    assert _x("5", ONE) == [[5.0]]
    assert _x("5,6") == [[5.0, 6.0]]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("1,2,3", "x must have a row for every step and 2 columns, the layer's input size; received [1, 3]"),
        ("1,2;3", "every step must have as many numbers as the others; received '1,2;3'"),
        ("1,nan;1,2", "x must be finite"),
        ([[1.0, 2.0], [3.0]], "the inputs cannot be made NumPy arrays"),
        ({"y": X}, "it must hold x and may hold lengths and initial_state; it holds y"),
        (np.zeros((0, 2)), "x must be [batch, time, input]; received [1, 0, 2]"),
        (np.array([["a", "b"]]), "x must be [batch, time, 2] numbers"),
    ],
)
def test_refused_inputs(inputs: object, said: str) -> None:
    with pytest.raises(ProbeError, match=re.escape(said)):
        grubridge.explain(TWO, inputs, hints=HINTS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1,2\n3,four\n", "row 2: expected numbers with commas between; received 'four'"),
        (b"a,b\n1,2\n3,\x1b[2J\n", r"row 3: expected numbers with commas between; received '\x1b[2J'"),
        (b"1,2\n3\n", "row 2 has 1 column, the rows before it 2"),
        (b"a,b\n", "the table holds no numbers"),
        (b"\xff\xfe1", "this is no table of numbers with commas between"),
        (b"1,2,3\n", "x must have a row for every step and 2 columns"),
        (b"1,inf\n", "x must be finite"),
    ],
)
def test_refused_tables(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(content)

    with pytest.raises(ProbeError, match=re.escape(said)) as refused:
        grubridge.explain(TWO, tmp_path / "x.csv", hints=HINTS)
    assert str(refused.value).startswith(str(tmp_path / "x.csv"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer": 1}, "layer must be 0 to 0; received 1"),
        ({"direction": "backward"}, "layer 0 runs forward; received direction 'backward'"),
        ({"unit": 1}, "unit must be 0 to 0; received 1"),
        ({"step": 3}, "step must be 0 to 2, for the sequence is that long; received 3"),
        ({"digits": 0}, "digits must be 1 to 17; received 0"),
        ({"expect": ["a"]}, "an expected value must be a number such as -0.4628; received 'a'"),
        ({"expect": ["nan"]}, "an expected value must be a number such as -0.4628; received 'nan'"),
        ({"expect": ["1e999"]}, "an expected value must be a number that float64 holds; received '1e999'"),
    ],
)
def test_refused_choices(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ProbeError, match=re.escape(said)):
        grubridge.explain(TWO, X, hints=HINTS, **options)
