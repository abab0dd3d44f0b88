"""Weights that a person typed: every nesting that people print, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge import InvalidSpecError, ReadHints

RNG = np.random.default_rng(0)
KERNEL, RECURRENT, BIAS = (RNG.uniform(-1, 1, shape).round(3) for shape in ((2, 9), (3, 9), (2, 9)))
X = RNG.standard_normal((4, 2)).round(3)
ONE: dict[str, Any] = {"kernel": [-0.9, 1.0, -0.04], "recurrent_kernel": [0.2, 0.9, 0.4]}
AFTER = ReadHints(reset_after=True)
BEFORE = ReadHints(reset_after=False)


@pytest.mark.parametrize(("biases", "reset_after"), [(2, True), (1, False)])
def test_as_keras_gives_them(biases: int, reset_after: bool, keras: ModuleType, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    gru = keras.layers.GRU(
        3, reset_after=reset_after, return_sequences=True, recurrent_activation="hard_sigmoid"
    )
    gru.build((None, 4, 2))
    weights = [KERNEL, RECURRENT, BIAS if biases == 2 else BIAS[0]]
    gru.set_weights(weights)
    names = ("gru/gru_cell/kernel", "gru/gru_cell/recurrent_kernel", "gru/gru_cell/bias")
    document: dict[str, Any] = {name: array.tolist() for name, array in zip(names, weights, strict=True)}
    document["recurrent_activation"] = "hard_sigmoid"
    (tmp_path / "w.json").write_text(json.dumps(document), encoding="utf-8")

    story = grubridge.explain(tmp_path / "w.json", X)

    np.testing.assert_allclose(story.hidden, np.asarray(gru(X[None].astype(np.float32)))[0], atol=1e-6)
    assert story.layer.reset_after is reset_after
    assert story.notes == ()


@pytest.mark.parametrize("names", ["_l0", ""])
def test_as_pytorch_names_them(names: str, torch: ModuleType) -> None:
    cell = torch.nn.GRU(2, 3, batch_first=True, dtype=torch.float64)
    arrays = {
        f"encoder.{name.removesuffix('_l0')}{names}": value.numpy()
        for name, value in cell.state_dict().items()
    }
    with torch.no_grad():
        states = cell(torch.tensor(X[None]))[0][0].numpy()

    story = grubridge.explain(arrays, X)

    np.testing.assert_allclose(story.hidden, states, rtol=1e-12)
    assert story.notes == (
        "weights alone do not say activations: assumed sigmoid for the gates and tanh for the candidate",
    )


@pytest.mark.parametrize(
    "document",
    [
        {"kernel": [[-0.9, 1.0, -0.04]], "recurrent_kernel": [[0.2, 0.9, 0.4]]},
        ONE,
        {"weight_ih_l0": [1.0, -0.9, -0.04], "weight_hh_l0": [[0.9], [0.2], [0.4]]},
    ],
    ids=["nested", "flat", "pytorch"],
)
def test_one_unit(document: dict[str, Any]) -> None:
    hints = AFTER if "kernel" in document else ReadHints()
    story = grubridge.explain(document, "1,-2", hints=hints)

    z = 1 / (1 + np.exp(0.9))
    first = (1 - z) * np.tanh(-0.04)
    assert story.hidden[0, 0] == pytest.approx(first, rel=1e-14)
    z, r = 1 / (1 + np.exp(-(1.8 + 0.2 * first))), 1 / (1 + np.exp(-(-2 + 0.9 * first)))
    assert story.hidden[1, 0] == pytest.approx(
        z * first + (1 - z) * np.tanh(0.08 + r * 0.4 * first), rel=1e-14
    )


def test_scalars_by_a_layout() -> None:
    names = {
        "W_xz": 0.5,
        "W_hz": 0.1,
        "b_z": 1,
        "W_xr": 0.2,
        "W_hr": 0.3,
        "b_r": -1,
        "W_xh": 0.7,
        "W_hh": -0.8,
        "b_h": 0,
    }

    story = grubridge.explain(names, "2", hints=ReadHints(layout="d2l"))

    z, n = 1 / (1 + np.exp(-2)), np.tanh(1.4)
    assert story.hidden[0, 0] == pytest.approx((1 - z) * n, rel=1e-14)
    assert story.layout is not None
    assert story.layout.name == "d2l"


def test_old_hard_sigmoid() -> None:
    hints = ReadHints(activation="relu", recurrent_activation="hard_sigmoid(0.2)", reset_after=True)

    story = grubridge.explain({**ONE, "kernel": [-0.9, 1.0, 0.04]}, "1", hints=hints)

    assert story.hidden[0, 0] == pytest.approx((1 - (0.5 - 0.2 * 0.9)) * 0.04, rel=1e-14)


@pytest.mark.parametrize(
    ("document", "hints", "said"),
    [
        (
            ONE,
            ReadHints(),
            "no bias shows whether the reset gate comes after the recurrent product or before it",
        ),
        ({**ONE, "bias": [0, 0, 0]}, AFTER, "a bias of one row is that of reset_after=False"),
        ({**ONE, "bias": [[0, 0, 0]] * 2}, BEFORE, "a bias of two rows is that of reset_after=True"),
        ({**ONE, "bias": [[0, 0, 0]]}, ReadHints(), "tensor bias should be [2, 3]"),
        ({**ONE, "bias": [[0, 0], [0]]}, ReadHints(), "bias must be numbers in nested lists"),
        ({**ONE, "bias": [True, False, True]}, ReadHints(), "bias must be numbers in nested lists"),
        ({**ONE, "bias": ["1", "2", "3"]}, ReadHints(), "bias must be numbers in nested lists"),
        ({**ONE, "units": 1}, AFTER, "units: no part of a GRU in the layout keras, which has kernel"),
        ({**ONE, "a.kernel": [1, 2, 3]}, AFTER, "a.kernel: no part of a GRU in the layout keras"),
        ({**ONE, "reset_after": False}, AFTER, "reset_after is False there, and the option says True"),
        ({**ONE, "reset_after": "yes"}, ReadHints(), "reset_after must be true or false; received 'yes'"),
        ({**ONE, "activation": 3}, AFTER, "activation must be a name such as sigmoid; received 3"),
        ({**ONE, "activation": "gelu"}, AFTER, "the activation is 'gelu'; a GRU can be converted with"),
        ({"weight_ih_l0": [1, 2, 3], "weight_hh_l0": [1, 2, 3]}, AFTER, "reset_after is for Keras's weights"),
        ({"W": [1, 2, 3]}, ReadHints(), "received W"),
        ({}, ReadHints(), "received nothing"),
        (
            {"kernel": [1, 2, 3, 4], "recurrent_kernel": [[1, 2, 3, 4]]},
            AFTER,
            "tensor kernel should be a matrix; received [4]",
        ),
    ],
)
def test_refusals(document: dict[str, Any], hints: ReadHints, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match=f"^typed weights: .*{re.escape(said)}"):
        grubridge.explain(document, "1", hints=hints)
    (tmp_path / "w.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InvalidSpecError, match=re.escape(said)) as refused:
        grubridge.explain(tmp_path / "w.json", "1", hints=hints)
    assert str(refused.value).startswith(str(tmp_path / "w.json"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1, 2]", "received no mapping of names to numbers"),
        ('{"kernel": NaN}', "NaN is no JSON number"),
        (
            '{"kernel": [1e999, 1, 2], "recurrent_kernel": [1, 2, 3], "bias": [1, 2, 3]}',
            "1e999 is larger than any float",
        ),
        ('{"kernel": ' + "[" * 300 + "]" * 300 + "}", "nested more than 200 levels deep"),
        ('{"kernel": 1, "kernel": 2}', "the key 'kernel' is there twice"),
        ("", "the file is empty"),
    ],
)
def test_hostile_files(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(content, encoding="utf-8")

    with pytest.raises(grubridge.GRUBridgeError, match=re.escape(said)):
        grubridge.explain(tmp_path / "w.json", "1")
