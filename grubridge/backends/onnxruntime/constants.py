"""Nodes in an ONNX graph, found by address, and the constants that they depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from grubridge.errors import BackendError
from grubridge.files.text import printable, quoted

__all__ = ["OLDEST_IR_VERSION", "Scopes", "constants_model", "find_node", "opset", "unexpanded"]

OLDEST_IR_VERSION = 4
"""The first whose initializers need not be listed as inputs of the graph."""

_REPEATING = {"Expand", "Tile"}

Scopes = list[GraphProto]
"""The graph that holds a node, after the graphs around it, outermost first."""


def find_node(model: ModelProto, address: Mapping[str, Any]) -> tuple[NodeProto, Scopes]:
    """Return the GRU node at `address` and its scopes.

    Args:
        model: the model.
        address: {"output": its first output, "graph": [[output of the node that holds it, attribute], ...]}.

    Raises:
        BackendError: when the file has no such node.
    """
    scopes = [model.graph]
    for output, attribute in address["graph"]:
        holder = _producer(scopes[-1], output)
        scopes.append(next(a.g for a in holder.attribute if a.name == attribute))
    node = _producer(scopes[-1], address["output"])
    if node.op_type != "GRU":
        output = quoted(address["output"])
        raise BackendError(f"the node that makes {output} is a {printable(node.op_type)}, not a GRU")
    return node, scopes


def unexpanded(scopes: Scopes, name: str) -> str:
    """Return what `name` repeats: a learned initial state is a constant, repeated over the batch."""
    producers = {output: node for graph in scopes for node in graph.node for output in node.output if output}
    seen: set[str] = set()
    while name in producers and producers[name].op_type in _REPEATING and name not in seen:
        seen.add(name)
        name = producers[name].input[0]
    return name


def opset(model: ModelProto) -> int:
    """Return the version of ONNX's own operators that the model asks for."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)


def constants_model(model: ModelProto, scopes: Scopes, names: Sequence[str]) -> tuple[ModelProto, list[str]]:
    """Return a model without inputs that computes those of `names` that are constant, and their names.

    Its outputs are constants and what nodes make of them (Constant, Transpose, Concat, ...), as the file has
    them. What depends on an input of a graph is left out.
    """
    initializers = {tensor.name: tensor for graph in scopes for tensor in graph.initializer}
    producers = {name: node for graph in scopes for node in graph.node for name in node.output if name}
    nodes: dict[tuple[str, ...], NodeProto] = {}
    tensors: dict[str, TensorProto] = {}
    constant: list[str] = []
    for name in names:
        needed = _needed(name, initializers, producers)
        if needed is None:
            continue
        constant.append(name)
        for part in needed:
            if part in initializers:
                tensors[part] = initializers[part]
            else:
                nodes[tuple(producers[part].output)] = producers[part]
    outputs = [helper.make_empty_tensor_value_info(name) for name in constant]
    graph = helper.make_graph(list(nodes.values()), "constants", [], outputs, list(tensors.values()))
    version = max(model.ir_version, OLDEST_IR_VERSION)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=version), constant


def _needed(
    name: str, initializers: Mapping[str, TensorProto], producers: Mapping[str, NodeProto]
) -> list[str] | None:
    """Return every value that `name` is computed from and itself, in order; None when one is no constant."""
    done: dict[str, None] = {}
    pending = [name]
    while pending:
        current = pending[-1]
        if current in done:
            pending.pop()
            continue
        if current in initializers:
            inputs: list[str] = []
        elif current in producers and not _has_subgraph(producers[current]):
            inputs = [value for value in producers[current].input if value]
        else:
            return None
        missing = [value for value in inputs if value not in done]
        if any(value in pending for value in missing):
            return None  # a circle: the file is damaged
        pending.extend(missing)
        if not missing:
            done[pending.pop()] = None
    return list(done)


def _has_subgraph(node: NodeProto) -> bool:
    kinds = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
    return any(attribute.type in kinds for attribute in node.attribute)


def _producer(graph: GraphProto, output: str) -> NodeProto:
    for node in graph.node:
        if output in node.output:
            found: NodeProto = node
            return found
    raise BackendError(f"the file has no node with the output {quoted(output)}")
