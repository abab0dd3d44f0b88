"""ONNX files that say two things, or what cannot be: programs differ in what they make of those."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
from onnx import AttributeProto, ModelProto, TensorProto

from grubridge.artifacts import open_artifact
from grubridge.errors import CorruptFileError
from tests.onnx_grus import random_node, save


def _refusal(path: Path) -> CorruptFileError:
    def read() -> None:
        artifact = open_artifact(path)
        artifact.read(artifact.select())

    with pytest.raises(CorruptFileError) as caught:
        read()
    assert str(path) in str(caught.value)
    return caught.value


def _weights(model: ModelProto) -> TensorProto:
    tensor: TensorProto = next(one for one in model.graph.initializer if one.name == "W")
    return tensor


@pytest.mark.parametrize("dims", [[1 << 62] * 1000, [1] * 100, [0, 1 << 62, 1 << 62]])
def test_shapes_that_no_array_can_have(tmp_path: Path, dims: list[int]) -> None:
    """Their number of bytes has too many digits to be printed, or NumPy refuses them in its own words."""
    model = random_node().model()
    weights = _weights(model)
    weights.dims[:] = dims
    weights.raw_data = weights.raw_data[: 4 * prod(dims) if len(dims) < 1000 else 0]

    assert "tensor 'W' has a shape that no array can have: [" in str(
        _refusal(save(model, tmp_path / "m.onnx"))
    )


def test_an_initializer_that_is_there_twice(tmp_path: Path) -> None:
    """ONNX Runtime warns, and takes one of them."""
    model = random_node().model()
    other = model.graph.initializer.add()
    other.CopyFrom(_weights(model))
    other.raw_data = bytes(len(other.raw_data))

    assert "the initializer 'W' is there twice" in str(_refusal(save(model, tmp_path / "m.onnx")))


def test_an_attribute_that_is_there_twice(tmp_path: Path) -> None:
    model = random_node().model()
    model.graph.node[0].attribute.add(name="hidden_size", type=AttributeProto.INT, i=7)

    assert "the attribute hidden_size is there twice" in str(_refusal(save(model, tmp_path / "m.onnx")))
