"""ONNX files that cannot be used: each is refused with the place, the cause and the way out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto
from onnx.helper import make_attribute, make_node
from onnx.numpy_helper import from_array

from grubridge.artifacts import open_artifact
from grubridge.errors import (
    CorruptFileError,
    FileFormatError,
    GRUBridgeError,
    StackSelectionError,
    UnknownFormatError,
    UnsafeFileError,
)
from grubridge.spec import Array, GRUSpec
from tests.onnx_grus import Node, random_node, save

F32 = np.float32

Change = Callable[[ModelProto], None]


def _read(path: Path) -> GRUSpec:
    artifact = open_artifact(path)
    return artifact.read(artifact.select())


def _refusal(path: Path) -> GRUBridgeError:
    with pytest.raises(GRUBridgeError) as caught:
        _read(path)
    assert str(path) in str(caught.value)
    return caught.value


def _initializer(model: ModelProto, name: str) -> TensorProto:
    tensor: TensorProto = next(one for one in model.graph.initializer if one.name == name)
    return tensor


def _attribute(name: str, value: Any) -> Change:
    def change(model: ModelProto) -> None:
        node = model.graph.node[-1]
        for one in [one for one in node.attribute if one.name == name]:
            node.attribute.remove(one)
        node.attribute.append(make_attribute(name, value))

    return change


def _replaced(name: str, array: Array) -> Change:
    def change(model: ModelProto) -> None:
        tensor = _initializer(model, name)
        tensor.raw_data = array.tobytes()
        tensor.dims[:] = array.shape

    return change


def _type(number: int) -> Change:
    def change(model: ModelProto) -> None:
        _initializer(model, "W").data_type = number

    return change


def _without(name: str) -> Change:
    def change(model: ModelProto) -> None:
        model.graph.initializer.remove(_initializer(model, name))

    return change


def _made_by(operator: str) -> Change:
    def change(model: ModelProto) -> None:
        _initializer(model, "W").name = "w"
        model.graph.node.insert(0, make_node(operator, ["w", "w"], ["W"], "maker"))

    return change


def _mask_as_weight(model: ModelProto) -> None:
    _initializer(model, "W").name = "w"
    model.graph.node.insert(0, make_node("Dropout", ["w"], ["v", "W"], "dropper"))


def _training(model: ModelProto) -> None:
    _initializer(model, "W").name = "w"
    model.graph.initializer.append(from_array(np.array(0.5, F32), "ratio"))
    model.graph.initializer.append(from_array(np.ones((), bool), "training"))
    model.graph.node.insert(0, make_node("Dropout", ["w", "ratio", "training"], ["W"], "dropper"))


def _made_twice(model: ModelProto) -> None:
    _initializer(model, "W").name = "w"
    for name in ("one", "two"):
        model.graph.node.insert(0, make_node("Identity", ["w"], ["W"], name))


def _two_types(model: ModelProto) -> None:
    tensor = _initializer(model, "R")
    numbers = np.frombuffer(tensor.raw_data, np.float32).astype(np.float64)
    tensor.raw_data, tensor.data_type = numbers.tobytes(), TensorProto.DOUBLE


def _out_of_order(model: ModelProto) -> None:
    _initializer(model, "W").name = "w"
    model.graph.node.append(make_node("Identity", ["w"], ["W"], "late"))


def _cycle(model: ModelProto) -> None:
    model.graph.initializer.remove(_initializer(model, "W"))
    model.graph.node.insert(0, make_node("Identity", ["W"], ["a"], "one"))
    model.graph.node.insert(1, make_node("Identity", ["a"], ["W"], "two"))


def _no_input(model: ModelProto) -> None:
    model.graph.node[-1].input[2] = ""


GRU = "node 'gru' (GRU)"
BROKEN: dict[str, tuple[Change, type[GRUBridgeError], str]] = {
    "W of another size": (
        _replaced("W", np.ones((1, 12, 4), F32)),
        CorruptFileError,
        f"{GRU}: with hidden_size 5 and 1 direction(s), W must be [1, 15, input size]; received [1, 12, 4]",
    ),
    "R of another rank": (
        _replaced("R", np.ones((15, 5), F32)),
        CorruptFileError,
        f"{GRU}: with hidden_size 5 and 1 direction(s), R must be [1, 15, 5]; received [15, 5]",
    ),
    "B of another size": (
        _replaced("B", np.ones((1, 15), F32)),
        CorruptFileError,
        f"{GRU}: with hidden_size 5 and 1 direction(s), B must be [1, 30]; received [1, 15]",
    ),
    "hidden_size 0": (
        _attribute("hidden_size", 0),
        CorruptFileError,
        f"{GRU}: hidden_size must be at least 1; received 0",
    ),
    "hidden_size a text": (
        _attribute("hidden_size", "5"),
        CorruptFileError,
        f"{GRU}: the attribute hidden_size must be of type INT",
    ),
    "direction": (
        _attribute("direction", "\x1b[2Jsideways"),
        CorruptFileError,
        f"{GRU}: direction must be forward, reverse or bidirectional; received '\\x1b[2Jsideways'",
    ),
    "activation": (
        _attribute("activations", ["Sigmoid", "Gelu"]),
        FileFormatError,
        (
            f"{GRU}: activation 'Gelu' is none of the ONNX GRU's: Affine, Elu, HardSigmoid, LeakyRelu, Relu, "
            "ScaledTanh, Sigmoid, Softplus, Softsign, Tanh, ThresholdedRelu"
        ),
    ),
    "too few activations": (
        _attribute("activations", ["Sigmoid"]),
        CorruptFileError,
        f"{GRU}: activations must name 2 functions (gates and candidate of every direction); received 1",
    ),
    "unknown attribute": (
        _attribute("forget", 1),
        CorruptFileError,
        f"{GRU}: the ONNX GRU has no attribute forget",
    ),
    "clip 0": (
        _attribute("clip", 0.0),
        GRUBridgeError,
        "clip must be positive and finite; received 0",
    ),
    "two types": (
        _two_types,
        CorruptFileError,
        f"{GRU}: its weights must share one float type; received W float32, R float64, B float32",
    ),
    "quantised": (
        _type(TensorProto.INT8),
        FileFormatError,
        (
            "tensor 'W' has type INT8; expected one of float16, bfloat16, float32, float64, int32, int64, "
            "bool: convert a quantised model before it is quantised"
        ),
    ),
    "unknown type": (_type(99), FileFormatError, "tensor 'W' has type 99; expected one of float16, bfloat16"),
    "no R": (_no_input, CorruptFileError, f"{GRU} has no R"),
    "undefined weight": (
        _without("W"),
        FileFormatError,
        (
            f"{GRU}: its W is not defined anywhere in the model; grubridge reads weights that the "
            "file holds: export the model with its weights as constants"
        ),
    ),
    "computed weight": (
        _made_by("MatMul"),
        FileFormatError,
        f"{GRU}: its W is computed at run time by node 'maker' (MatMul); grubridge reads weights",
    ),
    "arithmetic on weights": (
        _made_by("Add"),
        FileFormatError,
        (
            f"{GRU}: its W cannot be computed: node 'maker' (Add) does not fit its inputs; grubridge "
            "reads weights"
        ),
    ),
    "out of order": (
        _out_of_order,
        CorruptFileError,
        (
            ": node 'late' (Identity) makes 'W', which is read before it is made, or made twice; the nodes "
            "of a graph must be in order, without a cycle"
        ),
    ),
    "second output": (
        _mask_as_weight,
        FileFormatError,
        f"{GRU}: its W is computed at run time by node 'dropper' (Dropout); grubridge reads weights",
    ),
    "dropout in training": (
        _training,
        FileFormatError,
        f"{GRU}: its W cannot be computed: node 'dropper' (Dropout) does not fit its inputs",
    ),
    "made twice": (
        _made_twice,
        CorruptFileError,
        ": node 'one' (Identity) makes 'W', which is read before it is made, or made twice",
    ),
    "cycle": (_cycle, CorruptFileError, ": node 'two' (Identity) makes 'W', which is read before it is made"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_models(tmp_path: Path, name: str) -> None:
    change, kind, message = BROKEN[name]
    model = random_node().model()
    change(model)

    error = _refusal(save(model, tmp_path / "m.onnx"))

    assert isinstance(error, kind)
    assert message in str(error)


def test_sizes_that_do_not_fit_the_data(tmp_path: Path) -> None:
    for hidden_size in (5, 60):  # parsed by protobuf, and mapped from the file
        model = random_node(hidden_size=hidden_size).model()
        size = len(_initializer(model, "R").raw_data)
        _initializer(model, "R").dims[2] = 10**12
        shape = f"[1, {3 * hidden_size}, 1000000000000]"
        wanted = 4 * 3 * hidden_size * 10**12

        error = _refusal(save(model, tmp_path / "m.onnx"))

        assert isinstance(error, CorruptFileError)
        told = f"tensor 'R' of shape {shape} and type float32 takes {wanted} bytes; the file holds {size}"
        assert told in str(error)


def test_negative_dimensions(tmp_path: Path) -> None:
    model = random_node().model()
    _initializer(model, "W").dims[1] = -15

    assert "tensor 'W' has a negative dimension: [1, -15, 4]" in str(
        _refusal(save(model, tmp_path / "m.onnx"))
    )


@pytest.mark.parametrize("length", [8, 100, 5_000, 20_000])
def test_truncated_files(tmp_path: Path, length: int) -> None:
    path = save(random_node(hidden_size=60).model(), tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:length])

    error = _refusal(path)

    assert isinstance(error, CorruptFileError)
    assert str(error).endswith("; the file is truncated or damaged: copy or download it again")


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_text("<!DOCTYPE html><html>not found</html>")

    error = _refusal(path)

    assert isinstance(error, UnknownFormatError)
    assert "its content does not. The file may be damaged or truncated" in str(error)


def test_damage_that_protobuf_finds(tmp_path: Path) -> None:
    path = save(random_node().model(), tmp_path / "m.onnx")
    data = bytearray(path.read_bytes())
    data[data.index(b"hidden_size") - 1] = 90  # the length of the attribute's name
    path.write_bytes(data)

    error = _refusal(path)

    assert isinstance(error, CorruptFileError)
    assert str(error).endswith("protobuf cannot read it: it is damaged, or no ONNX model; copy it again")


def test_graphs_nested_without_end(tmp_path: Path) -> None:
    data = b""
    for _ in range(3_000):  # a graph in an attribute of a node of a graph
        for field in (6, 5, 1):
            data = _field(field, data)
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x08" + _field(7, data))

    error = _refusal(path)

    assert isinstance(error, UnsafeFileError)
    assert "its graphs are nested more than 100 messages deep" in str(error)


def _field(number: int, data: bytes) -> bytes:
    size, left = b"", len(data)
    while left > 127:
        size, left = size + bytes([left & 127 | 128]), left >> 7
    return bytes([number << 3 | 2]) + size + bytes([left]) + data


def test_millions_of_empty_parts(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x08" + _field(7, _field(1, b"") * 1_100_000))

    error = _refusal(path)

    assert isinstance(error, UnsafeFileError)
    assert "its graphs have more than 1,000,000 parts" in str(error)


def test_much_that_is_no_weight(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x08" + _field(6, bytes(40 << 20)) + _field(7, b""))

    error = _refusal(path)

    assert isinstance(error, UnsafeFileError)
    assert "everything but its large raw tensors would take 40 MiB of memory" in str(error)


def test_a_model_without_a_gru(tmp_path: Path) -> None:
    node = make_node("LSTM", ["X", "W", "R"], ["Y"], "old", hidden_size=5)
    path = save(Node(node, {}, random_node().feeds).model(), tmp_path / "m.onnx")

    error = _refusal(path)

    assert isinstance(error, StackSelectionError)
    assert str(error) == f"{path}: no GRU in it; it holds LSTM 'old', which grubridge does not convert"


def test_a_constant_state_that_differs_over_the_batch(tmp_path: Path) -> None:
    plain = random_node(initial_state=True)
    state = plain.feeds.pop("initial_h")
    path = save(
        Node(plain.node, plain.weights, plain.feeds, extra={"initial_h": state}).model(), tmp_path / "m"
    )

    assert (
        f"{GRU}: its constant initial_h differs over the batch, or in type from the weights; grubridge holds "
        "one learned state for all sequences"
    ) in str(_refusal(path))
