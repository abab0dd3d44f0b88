"""ONNX models in memory."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto

from grubridge.errors import StackSelectionError, UnsafeFileError, UnsupportedFeatureError
from grubridge.formats.base import Provenance, WriteOptions
from grubridge.formats.onnx import store as onnx_store
from grubridge.formats.onnx.adapter import write
from grubridge.formats.readback import differences
from grubridge.live.onnx import from_model, to_model
from grubridge.spec import GATE_NAMES, GRUSpec, Layout
from tests.onnx_grus import random_node
from tests.zoo import ZOO, member


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_a_model_in_memory_is_the_file(tmp_path: Path, spec: GRUSpec) -> None:
    options = WriteOptions(with_gates=True)
    written = write(spec, tmp_path / "m.onnx", options, Provenance({}), Layout(GATE_NAMES, "output"))

    model = to_model(spec, options)

    onnx.checker.check_model(model, full_check=True)
    assert model == onnx.load(tmp_path / "m.onnx")
    assert differences(written.stored, from_model(model)) == ()


def test_weights_are_those_of_the_model() -> None:
    node = random_node(direction="reverse")

    spec = from_model(node.model())

    assert spec.layers[0].backward is not None
    assert np.array_equal(spec.layers[0].backward.recurrent_weight.reset, node.weights["R"][0, 5:10])


def _two() -> ModelProto:
    model = random_node().model()
    first = model.graph.node[0]
    second = model.graph.node.add()
    second.CopyFrom(first)
    second.name, second.output[:] = "other", ["Y2", "Y_h2"]
    return model


def test_one_of_several_is_chosen_by_name() -> None:
    assert from_model(_two(), "other").name == "other"
    for name, message in (
        (None, "ONNX model: it holds 2 GRUs: gru, other; choose one with stack=NAME"),
        ("othre", "ONNX model: no GRU is called 'othre'. Did you mean 'other'? It holds: gru, other"),
    ):
        with pytest.raises(StackSelectionError) as caught:
            from_model(_two(), name)
        assert str(caught.value) == message
        assert caught.value.candidates == ("gru", "other")


def test_a_layer_of_a_chain_can_be_chosen() -> None:
    model = to_model(member("two_layers_bidirectional"))

    assert from_model(model).name == "gru_0:gru_1"
    assert from_model(model, "gru_1").input_size == 10


def test_a_model_without_a_gru() -> None:
    with pytest.raises(StackSelectionError, match=r"^ONNX model: it holds no GRU that grubridge knows$"):
        from_model(ModelProto())


def test_external_data_must_have_been_loaded() -> None:
    model = random_node().model()
    weight = next(one for one in model.graph.initializer if one.name == "W")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")

    with pytest.raises(
        UnsafeFileError, match="tensor 'W' lies in an external file, and a model in memory has no"
    ):
        from_model(model)


def test_more_than_protobuf_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_store, "_LARGEST_MESSAGE", 1_000)

    with pytest.raises(
        UnsupportedFeatureError, match=r"bytes, and protobuf holds 1,000: write a file instead"
    ):
        to_model(member("reset_after"))
