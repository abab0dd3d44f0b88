"""Looking into files: a GRU that cannot be converted hides no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grubridge.errors import UnsupportedFeatureError
from grubridge.inspection import inspect
from grubridge.spec import Array
from tests.keras_files import legacy_file


def _two_grus(path: Path, first: str, second: str) -> Path:
    """Write a model of two GRUs with these activations, and a layer between them that makes them no chain."""
    rng = np.random.default_rng(0)

    def arrays(name: str) -> dict[str, Array]:
        shapes = {"kernel": (2, 6), "recurrent_kernel": (2, 6), "bias": (6,)}
        return {
            f"{name}/{part}:0": rng.standard_normal(shape).astype(np.float32)
            for part, shape in shapes.items()
        }

    def gru(name: str, activation: str) -> dict[str, object]:
        settings = {"units": 2, "activation": activation, "recurrent_activation": "sigmoid"}
        return {"class_name": "GRU", "config": {"name": name, **settings}}

    dense = {"class_name": "Dense", "config": {"name": "between", "units": 2}}
    model = {"class_name": "Sequential", "config": [gru("one", first), dense, gru("two", second)]}
    layers = {"one": arrays("one"), "between": {}, "two": arrays("two")}
    return legacy_file(path, layers, model=model, version="2.2.4")


def test_a_gru_that_cannot_be_converted_hides_no_other(tmp_path: Path) -> None:
    path = _two_grus(tmp_path / "a.h5", "tanh", "gelu")
    seen = inspect(path)

    assert [stack.name for stack in seen.stacks] == ["one"]
    assert len(seen.others) == 1
    assert seen.others[0].startswith(f"{path}, two: activation: the activation is 'gelu'; ")
    with pytest.raises(UnsupportedFeatureError, match="the activation is 'gelu'"):
        inspect(path, "two")


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFeatureError, match="one: activation: the activation is 'gelu'"):
        inspect(_two_grus(tmp_path / "a.h5", "gelu", "gelu"))
