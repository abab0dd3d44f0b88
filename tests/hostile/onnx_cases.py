"""ONNX models: data that lies elsewhere, shapes that do not fit, graphs that never end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from grubridge.spec import Array

from .corner import EVIL, Case, Corner

__all__ = ["external", "graphs"]


def _model(corner: Corner) -> onnx.ModelProto:
    return onnx.load_from_string(corner.good["onnx"])


def _tensor(model: onnx.ModelProto) -> TensorProto:
    """Return the input weights [1, 12, 3]."""
    found: TensorProto = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [1, 12, 3])
    return found


def external(corner: Corner) -> Iterator[Case]:
    """Yield models whose weights lie in another file."""
    kept = numpy_helper.to_array(_tensor(_model(corner))).tobytes()
    yield Case("weights.data", kept, "beside")
    yield Case("away", lambda path: path.symlink_to(corner.outside), "beside")
    yield Case("link.data", lambda path: path.symlink_to(corner.secret()), "beside")

    def one(name: str, location: str, *case: str, offset: str = "0", length: str = "144") -> Case:
        model = _model(corner)
        tensor = _tensor(model)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": offset, "length": length}.items():
            tensor.external_data.add(key=key, value=value)
        return Case(f"external_{name}.onnx", model.SerializeToString(), *case)  # type: ignore[arg-type]

    inside, linked = "opens relative paths inside the model's own folder only", "is a link, leads through one"
    yield one("good", "weights.data", "read")
    yield one("climbs", "../outside/secret.bin", "refused", inside)
    yield one("climbs_later", "x/../../outside/secret.bin", "refused", inside)
    yield one("absolute", corner.secret(), "refused", inside)
    yield one("address", "file:///etc/passwd", "refused", inside)
    yield one("nothing", "", "refused", inside)
    yield one("nul", "weights.data\0", "refused", inside)
    yield one("link", "link.data", "refused", linked)
    yield one("linked_folder", "away/secret.bin", "refused", linked)
    yield one("folder", ".", "refused", inside)
    yield one("missing", "none.data", "refused", "which is missing")
    yield one("offset", "weights.data", "refused", "should be 144 bytes at offset 99", offset="99")
    yield one("minus", "weights.data", "refused", "must be a number of bytes", offset="-4")
    yield one("words", "weights.data", "refused", "must be a number of bytes", length="all")
    yield one("length", "weights.data", "refused", "takes 144 bytes; its external data is 8", length="8")


def graphs(corner: Corner) -> Iterator[Case]:
    """Yield models whose graph or tensors are hostile."""

    def tensor(name: str, told: str, **changes: object) -> Case:
        model = _model(corner)
        changed = _tensor(model)
        if "dims" in changes:
            del changed.dims[:]
            changed.dims.extend(changes["dims"])
        if "raw_data" in changes:
            changed.raw_data = changes["raw_data"]  # type: ignore[assignment]
        if "data_type" in changes:
            changed.data_type = changes["data_type"]  # type: ignore[assignment]
        return Case(f"tensor_{name}.onnx", model.SerializeToString(), told=told)

    yield tensor("overflow", "tensor", dims=[1 << 32, 1 << 32, 4])
    yield tensor("negative", "has a negative dimension", dims=[1, -12, -3])
    yield tensor("huge", "tensor", dims=[1, 10**12, 3], raw_data=b"")
    yield tensor("short", "takes 144 bytes", raw_data=bytes(140))
    yield tensor("type", "has type 999", data_type=999)
    yield tensor("rank", "hidden_size", dims=[12, 3])

    def node(name: str, told: str, **attributes: object) -> Case:
        model = _model(corner)
        gru = next(one for one in model.graph.node if one.op_type == "GRU")
        for key, value in attributes.items():
            kept = [one for one in gru.attribute if one.name != key]
            del gru.attribute[:]
            gru.attribute.extend([*kept, helper.make_attribute(key, value)])
        return Case(f"node_{name}.onnx", model.SerializeToString(), told=told)

    yield node("no_units", "hidden_size must be at least 1", hidden_size=0)
    yield node("units", "hidden_size 1000000000000", hidden_size=10**12)
    yield node("text", "the attribute hidden_size", hidden_size="4")
    yield node("direction", "direction must be", direction="sideways")
    yield node("activation", "activation 'Own'", activations=["Own", "Tanh"])

    def computed(name: str, told: str, *nodes: onnx.NodeProto, **constants: Array) -> Case:
        model = _model(corner)
        replaced = _tensor(model).name
        kept = [one for one in model.graph.initializer if one.name != replaced]
        del model.graph.initializer[:]
        model.graph.initializer.extend(
            [*kept, *(numpy_helper.from_array(v, k) for k, v in constants.items())]
        )
        last = helper.make_node("Identity", ["last"], [replaced])
        before = [*nodes, last, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(before)
        return Case(f"graph_{name}.onnx", model.SerializeToString(), told=told)

    fill = helper.make_node("ConstantOfShape", ["shape"], ["last"])
    yield computed("fill", "computing its constants would take", fill, shape=np.array([1, 10**6, 10**6]))
    double = [helper.make_node("Concat", [f"a{n}", f"a{n}"], [f"a{n + 1}"], axis=0) for n in range(40)]
    end = helper.make_node("Identity", ["a40"], ["last"])
    yield computed("double", "computing its constants would take", *double, end, a0=np.ones((99, 99), "f4"))
    circle = (
        helper.make_node("Identity", ["last"], ["back"]),
        helper.make_node("Identity", ["back"], ["last"]),
    )
    yield computed("circle", "which is read before it is made", *circle)
    yield Case("graph_none.onnx", b"\x08\x08", told="no GRU in it")
    yield Case("graph_deep.onnx", _nested(5000), told="nested more than 100 messages deep")
    model = _model(corner)
    next(one for one in model.graph.node if one.op_type == "GRU").name = EVIL
    yield Case("name.onnx", model.SerializeToString(), "read")


def _nested(depth: int) -> bytes:
    """Return a model of If nodes in graphs in If nodes, each one's attribute holding the next."""
    graph = b""
    for _ in range(depth):
        attribute = b"\x0a\x01b\xa0\x01\x05" + _field(6, graph)
        graph = _field(1, b"\x22\x02If" + _field(5, attribute))
    return b"\x08\x08" + _field(7, graph) + _field(8, b"\x10\x11")


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content
