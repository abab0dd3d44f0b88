"""ONNX models with GRU nodes, made with onnx.helper and random weights, apart from grubridge's own writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from onnx.numpy_helper import from_array

from grubridge.formats.base import ReadHints, StackEntry
from grubridge.formats.onnx import adapter as onnx
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Place, Probe

__all__ = ["Node", "assert_close", "entries", "probe_of", "random_node", "read_one", "run", "save", "tensor"]

STEPS, BATCH = 5, 3
LARGEST = 0.6


@dataclass(frozen=True)
class Node:
    """One GRU node with what it reads.

    Args:
        node: the node.
        weights: its initializers.
        feeds: its other inputs.
        opset: the model's opset.
    """

    node: NodeProto
    weights: dict[str, Array]
    feeds: dict[str, Array]
    opset: int = 17
    before: tuple[NodeProto, ...] = ()
    extra: dict[str, Array] = field(default_factory=dict)

    def model(self) -> ModelProto:
        """Return the model of this node alone, its Y and Y_h the outputs."""
        data_type = int(from_array(self.feeds["X"]).data_type)
        inputs = [
            make_tensor_value_info(name, int(from_array(array).data_type), array.shape)
            for name, array in self.feeds.items()
        ]
        outputs = [make_tensor_value_info(name, data_type, None) for name in self.node.output if name]
        held = [from_array(array, name) for name, array in (self.weights | self.extra).items()]
        graph = make_graph([*self.before, self.node], "made", inputs, outputs, held)
        return make_model(graph, opset_imports=[make_opsetid("", self.opset)], ir_version=8)


def random_node(
    *,
    input_size: int = 4,
    hidden_size: int = 5,
    direction: str = "forward",
    bias: bool = True,
    lengths: Sequence[int] = (),
    initial_state: bool = False,
    layout: int = 0,
    dtype: str = "float32",
    opset: int = 17,
    seed: int = 0,
    **attributes: Any,
) -> Node:
    """Return a GRU node with random weights and inputs; further arguments are attributes of the node."""
    rng = np.random.default_rng(seed)
    directions = 2 if direction == "bidirectional" else 1

    def numbers(*shape: int) -> Array:
        return rng.uniform(-LARGEST, LARGEST, shape).astype(dtype)

    def ordered(first: int, second: int, *rest: int) -> Array:
        array = numbers(first, second, *rest)
        return np.ascontiguousarray(array.swapaxes(0, 1)) if layout else array

    weights = {
        "W": numbers(directions, 3 * hidden_size, input_size),
        "R": numbers(directions, 3 * hidden_size, hidden_size),
        **({"B": numbers(directions, 6 * hidden_size)} if bias else {}),
    }
    feeds = {"X": ordered(STEPS, BATCH, input_size)}
    inputs = ["X", "W", "R", "B" if bias else ""]
    if lengths or initial_state:
        inputs += ["sequence_lens" if lengths else ""]
    if lengths:
        feeds["sequence_lens"] = np.array(lengths, np.int32)
    if initial_state:
        feeds["initial_h"] = ordered(directions, BATCH, hidden_size)
        inputs += ["initial_h"]
    if layout:
        attributes["layout"] = layout
    node = make_node(
        "GRU", inputs, ["Y", "Y_h"], "gru", direction=direction, hidden_size=hidden_size, **attributes
    )
    return Node(node, weights, feeds, opset)


def tensor(name: str, array: Array) -> TensorProto:
    """Return an initializer."""
    return from_array(array, name)


def save(model: ModelProto, path: Path) -> Path:
    """Write a model to a file."""
    path.write_bytes(model.SerializeToString())
    return path


def entries(model: ModelProto, folder: Path) -> tuple[StackEntry, ...]:
    """Return the stacks of a model, read from a file in `folder`."""
    return onnx.contents(save(model, folder / "model.onnx"), ReadHints()).stacks


def read_one(model: ModelProto, folder: Path) -> GRUSpec:
    """Read the only stack of a model."""
    (entry,) = entries(model, folder)
    return entry.read()


def run(session: Any, model: ModelProto | Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs of a model in ONNX Runtime (the module `session`)."""
    options = session.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    made = session.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in made.get_outputs()]
    return dict(zip(names, made.run(None, dict(feeds)), strict=True))


def probe_of(spec: GRUSpec, feeds: Mapping[str, Array], *, layout: int = 0) -> Probe:
    """Return the probe that has the inputs of a node (X, initial_h, sequence_lens) in it."""
    x = feeds["X"] if layout else feeds["X"].swapaxes(0, 1)
    states: dict[Place, Array] = {}
    if "initial_h" in feeds:
        state_dbh = feeds["initial_h"].swapaxes(0, 1) if layout else feeds["initial_h"]
        places = [(index, name) for index, name, _ in spec.directions()]
        states = dict(zip(places, state_dbh, strict=True))
    return Probe(x.astype(np.float64), states, feeds.get("sequence_lens"))


def assert_close(actual: Array, expected: Array, tolerance: float) -> None:
    """Assert that two arrays of one shape differ by at most `tolerance`, relative to the largest above 1."""
    assert actual.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max()))
    assert float(np.abs(actual.astype(np.float64) - expected).max()) <= tolerance * scale
