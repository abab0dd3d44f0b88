"""What is said about how each framework stores its weights."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import grubridge
from grubridge.explanation.storage import layout_of
from grubridge.spec import Gates, GRUDirection, GRULayer, GRUSpec

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.mark.parametrize(
    ("name", "sizes", "said"),
    [
        ("digits_two_layer.pt", 8, "Stored as pytorch: weight_ih_l1 [3H, I]: W of r, z, n, in that order."),
        ("digits_two_layer.onnx", 8, "Stored as onnx: W [3H, I]: W of z, r, n, in that order."),
        (
            "digits_two_layer.onnx",
            8,
            "B [6H]: b and c of z, r, n, in that order; the first half is b, the second c.",
        ),
        ("digits_bidirectional.keras", 8, "Stored as keras: kernel [I, 3H]: W of z, r, n, in that order."),
        ("sunspots_reset_before.h5", 1, "Stored as keras-reset-before: kernel [I, 3H]: W of z, r, n"),
        ("sunspots_reset_before.h5", 1, "bias [3H]: b of z, r, n, in that order."),
    ],
)
def test_files(name: str, sizes: int, said: str) -> None:
    layer = 1 if name.startswith("digits_two") else 0
    story = grubridge.explain(SAMPLES / name, np.ones((2, sizes)), layer=layer)

    assert said in " ".join(grubridge.render(story).split())


@pytest.mark.parametrize("reset_after", [True, False])
def test_onnx_in_memory(reset_after: bool) -> None:  # noqa: FBT001 - a parameter
    rng = np.random.default_rng(0)
    weight = Gates(*rng.standard_normal((3, 1, 1)).astype(np.float32))
    model = grubridge.to_model(GRUSpec((GRULayer(GRUDirection(weight, weight), None, reset_after),)))

    layout = grubridge.explain(model, "1,2").layout

    assert layout is not None
    assert (layout.name, layout.reset) == ("onnx", "after" if reset_after else "before")


def test_keras_in_memory(keras: ModuleType) -> None:
    gru = keras.layers.GRU(2)
    gru.build((None, 3, 1))

    layout = grubridge.explain(gru, "1,2,3").layout

    assert layout is not None
    assert layout.name == "keras"


def test_a_runtime_without_a_layout() -> None:
    weight = Gates(*np.ones((3, 1, 1)))
    spec = GRUSpec((GRULayer(GRUDirection(weight, weight), None, reset_after=True),))

    assert layout_of("something", spec, 0) is None
