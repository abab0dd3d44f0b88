"""The graphs of an ONNX model, nested ones too: which node or tensor a name stands for, and who uses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from grubridge.errors import CorruptFileError
from grubridge.files.text import quoted

from .attributes import describe, first_output
from .messages import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

__all__ = ["STANDARD_DOMAINS", "Definition", "Scope", "scopes"]

STANDARD_DOMAINS = {"", "ai.onnx"}

_RECURRENT = {"GRU", "LSTM", "Loop", "RNN", "Scan", "Tanh"}

Definition = TensorProto | NodeProto | ValueInfoProto
"""What a name stands for: an initializer, an output of a node, or an input of the graph."""


@dataclass(eq=False)
class Scope:
    """One graph: a model's own, or one inside an If, Loop or Scan, which sees the names around it.

    Args:
        graph: its protobuf.
        parent: the scope around it.
        path: where it is, outermost first: (first output of the node that holds it, attribute name).
        definitions: what the names that this graph defines stand for.
        uses: name -> the nodes that read it, nested graphs included.
        recurrent: operator -> its nodes, in order; of the operators that tell of a recurrent layer.
    """

    graph: GraphProto
    parent: Scope | None = None
    path: tuple[tuple[str, str], ...] = ()
    definitions: dict[str, Definition] = field(default_factory=dict)
    uses: dict[str, list[NodeProto]] = field(default_factory=dict)
    recurrent: dict[str, list[NodeProto]] = field(default_factory=dict)

    def home(self, name: str) -> Scope | None:
        """Return the scope that defines `name`: this one or one around it."""
        scope: Scope | None = self
        while scope is not None and name not in scope.definitions:
            scope = scope.parent
        return scope

    @cached_property
    def outputs(self) -> frozenset[str]:
        """The names that the graph gives out."""
        return frozenset(output.name for output in self.graph.output)


def scopes(model: ModelProto) -> list[Scope]:
    """Return every graph of `model`, its own first, with its names resolved.

    Raises:
        CorruptFileError: when nodes are not in order, so that following inputs back might never end.
    """
    found: list[Scope] = []
    waiting = [Scope(model.graph)]
    while waiting:
        scope = waiting.pop()
        found.append(scope)
        inner = list(_define(scope))
        waiting += reversed(inner)
    return found


def _given(graph: GraphProto) -> dict[str, Definition]:
    """Return what is there before any node: inputs, and initializers, which may be an input's default."""
    known: dict[str, Definition] = {given.name: given for given in graph.input}
    for tensor in graph.initializer:
        if isinstance(known.get(tensor.name), TensorProto):
            raise CorruptFileError(
                f"the initializer {quoted(tensor.name)} is there twice; programs differ in which they read"
            )
        known[tensor.name] = tensor
    return known


def _define(scope: Scope) -> Iterator[Scope]:
    """Fill in the names of `scope` and yield the scopes right inside it."""
    known, read = scope.definitions, set[str]()
    known.update(_given(scope.graph))
    for node in scope.graph.node:
        if node.op_type in _RECURRENT and node.domain in STANDARD_DOMAINS:
            scope.recurrent.setdefault(node.op_type, []).append(node)
        read.update(node.input)
        for name in filter(None, node.input):
            home = scope.home(name)
            if home is not None:
                home.uses.setdefault(name, []).append(node)
        for name in filter(None, node.output):
            if name in read or name in known:
                raise CorruptFileError(
                    f"{describe(node)} makes {quoted(name)}, which is read before it is made, or made "
                    "twice; the nodes of a graph must be in order, without a cycle"
                )
            known[name] = node
        for one in node.attribute:
            for nested in (*((one.g,) if one.HasField("g") else ()), *one.graphs):
                yield Scope(nested, scope, (*scope.path, (first_output(node), one.name)))
