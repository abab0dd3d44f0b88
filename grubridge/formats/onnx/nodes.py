"""What an ONNX graph is put together from: nodes, constants, and the weights that are stored later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from grubridge.files.text import printable
from grubridge.formats.base import WriteOptions
from grubridge.spec import Array, Fused, GRULayer, GRUSpec

from .messages import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto
from .tensors import DATA_TYPES

__all__ = ["Builder", "Model", "Place", "Side", "Weight", "make_node"]

Side = Literal["input", "output"]

Attribute = float | int | str | list[float] | list[int] | list[str]

_KINDS = {float: "FLOAT", int: "INT", str: "STRING"}


@dataclass(frozen=True)
class Weight:
    """A tensor of the model that holds a part of the spec.

    Args:
        name: its name in the graph.
        shape: its shape there.
        data: its values in that order, as [rows, columns] or [numbers].
        made_of: the canonical parts in it, e.g. ("layer 0 forward input_weight",).
    """

    name: str
    shape: tuple[int, ...]
    data: Fused
    made_of: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """A model whose weights are still to be stored.

    Args:
        proto: everything but the weights.
        weights: initializers that the graph needs and does not have yet.
    """

    proto: ModelProto
    weights: tuple[Weight, ...]


@dataclass(frozen=True)
class Place:
    """One layer's part of the graph: the names of values.

    Args:
        index: the layer's index.
        layer: the layer.
        x: its input, [time, batch, I].
        y: Y of its node, [time, D, batch, H].
        state: its initial state, [D, batch, H]; '' starts from zero.
        weights: "W", "R" and "B" (if any) -> the names of the node's tensors.
    """

    index: int
    layer: GRULayer
    x: str
    y: str
    state: str
    weights: Mapping[str, str]


class Builder:
    """Collects the nodes and constants of one graph whose input is `x`."""

    def __init__(self, spec: GRUSpec, options: WriteOptions, opset: int) -> None:
        self.opset = opset
        self.dtype = spec.dtype
        self.time_major = options.time_major
        self.graph = GraphProto(name=printable(spec.name) or "gru")
        self._made: set[str] = set()

    def add(
        self, operator: str, inputs: Sequence[str], output: str, **attributes: int | float | list[int]
    ) -> str:
        """Append a node, called like its output unless there is one already; return the output."""
        if output not in self._made:
            self._made.add(output)
            self.graph.node.append(make_node(operator, inputs, [output], output, **attributes))
        return output

    def constant(self, name: str, values: Array) -> str:
        """Add a small constant unless there is one of that name already; return the name."""
        if name not in self._made:
            self._made.add(name)
            tensor = TensorProto(dims=values.shape, data_type=DATA_TYPES[values.dtype.name], name=name)
            tensor.raw_data = values.tobytes()
            self.graph.initializer.append(tensor)
        return name

    def integers(self, name: str, *values: int) -> str:
        """Add a constant list of int64 unless there is one of that name already; return the name."""
        return self.constant(name, np.array(values, np.int64))

    def declare(self, kind: Side, name: str, *shape: int | str) -> None:
        """Declare an input or output of the graph."""
        value = ValueInfoProto(name=name)
        tensor = value.type.tensor_type
        tensor.elem_type = DATA_TYPES[self.dtype.name]
        for size in shape:
            tensor.shape.dim.add(**{"dim_param" if isinstance(size, str) else "dim_value": size})
        getattr(self.graph, kind).append(value)

    def sequence(self, features: int) -> tuple[int | str, ...]:
        """Return the shape of a sequence as it leaves or enters the graph."""
        return ("time", "batch", features) if self.time_major else ("batch", "time", features)

    def turned(self, sequence: str, output: str) -> str:
        """Turn a sequence between the order outside and [time, batch, *]; return its name."""
        if self.time_major:
            return self.add("Identity", [sequence], output)
        return self.add("Transpose", [sequence], output, perm=[1, 0, 2])

    def for_batch(self, state: str) -> str:
        """Repeat `state`, [D, 1, H], for every sequence of x; return the name of [D, batch, H]."""
        axis = self.integers("batch_axis", 1 if self.time_major else 0)
        size = self.add("Gather", [self.add("Shape", ["x"], "x_shape"), axis], "batch_size")
        one = self.integers("one", 1)
        repeats = self.add("Concat", [one, size, one], "one_batch_one", axis=0)
        return self.add("Tile", [state, repeats], f"{state}_for_batch")


def make_node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], name: str, **attributes: Attribute
) -> NodeProto:
    """Return a node; its attributes stand in the order of their names."""
    made = (_attribute(key, value) for key, value in sorted(attributes.items()))
    return NodeProto(op_type=operator, input=inputs, output=outputs, name=name, attribute=made)


def _attribute(name: str, value: Attribute) -> AttributeProto:
    """Put a value into the field of its type: 3 is an INT and goes into `i`, [3] is INTS, into `ints`."""
    values = value if isinstance(value, list) else [value]
    kind = _KINDS[type(values[0])]
    stored: Any = [one.encode() if isinstance(one, str) else one for one in values]
    if isinstance(value, list):
        return AttributeProto(name=name, type=f"{kind}S", **{f"{kind.lower()}s": stored})
    return AttributeProto(name=name, type=kind, **{kind[0].lower(): stored[0]})
