"""The GRU stacks of an ONNX model, found in its graphs, and what else in it is recurrent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from grubridge.files.text import printable, quoted
from grubridge.formats.base import Contents, StackEntry
from grubridge.spec import GRUSpec, Source, StackIO

from .attributes import first_output, integers
from .chain import chains
from .fold import Folder
from .graph import STANDARD_DOMAINS, Scope, scopes
from .gru_node import LAYOUT, GRUNode, read_layer
from .messages import ModelProto, NodeProto
from .tensors import Tensors

__all__ = ["contents_of"]

_FEW = 3


def contents_of(model: ModelProto, tensors: Tensors, path: str) -> Contents:
    """List the GRUs of a model.

    Args:
        model: its protobuf; long tensors may be marks (see `protobuf`).
        tensors: its tensors.
        path: the file as the user named it, for the specs' source.

    Raises:
        CorruptFileError: when its graphs are not in order.
    """
    graphs = scopes(model)
    framework = printable(f"{model.producer_name} {model.producer_version}".strip())
    grus = [GRUNode(scope, node) for scope, node in _nodes(graphs, "GRU") if first_output(node)]
    stacks = _Stacks(tensors, path, framework, _names(grus))
    entries = tuple(stacks.entry(chain) for chain in chains(grus, tensors))
    return Contents(entries, tuple(_others(model, graphs)), framework)


class _Stacks:
    """Makes the entries of one file's stacks."""

    def __init__(self, tensors: Tensors, path: str, framework: str, names: dict[GRUNode, str]) -> None:
        self._tensors = tensors
        self._constants = Folder(tensors)
        self._path = path
        self._framework = framework
        self._names = names

    def entry(self, chain: Sequence[GRUNode]) -> StackEntry:
        members = tuple(self.entry([gru]) for gru in chain) if len(chain) > 1 else ()
        name = ":".join(dict.fromkeys((self._names[chain[0]], self._names[chain[-1]])))
        address = {"nodes": [_address(gru) for gru in chain]}
        return StackEntry(name, address, LAYOUT, lambda: self._read(chain, name), members)

    def _read(self, chain: Sequence[GRUNode], name: str) -> GRUSpec:
        read = [read_layer(gru, self._tensors, self._constants) for gru in chain]
        notes = tuple(note for _, notes in read for note in notes)
        source = Source(self._path, "onnx", name, self._framework, notes)
        return GRUSpec(tuple(layer for layer, _ in read), name, _io(chain), source)


def _address(gru: GRUNode) -> dict[str, object]:
    return {
        "output": first_output(gru.node),
        "name": gru.node.name,
        "graph": [list(step) for step in gru.scope.path],
    }


def _names(grus: Sequence[GRUNode]) -> dict[GRUNode, str]:
    """Name every node: by its own name where that is unique, else by its first output."""
    wanted = Counter(gru.node.name for gru in grus)
    names: dict[GRUNode, str] = {}
    taken: set[str] = set()
    for gru in grus:
        name = gru.node.name
        if not name or wanted[name] > 1:
            name = first_output(gru.node)
        while name in taken:  # outputs are unique within one graph only
            name += "'"
        taken.add(name)
        names[gru] = name
    return names


def _io(chain: Sequence[GRUNode]) -> StackIO:
    first, last = chain[0], chain[-1]
    below = first.scope.definitions.get(first.input(0))
    swapped = (
        isinstance(below, NodeProto) and below.op_type == "Transpose" and integers(below, "perm") == [1, 0, 2]
    )
    used = [_is_used(last.scope, last.output(index)) for index in (0, 1)]
    return StackIO(
        time_major=not (first.batch_first or swapped),
        return_sequences=used[0] or not used[1],
        return_state=used[1],
        masking=any(gru.input(4) for gru in chain),
    )


def _is_used(scope: Scope, name: str) -> bool:
    return bool(name) and (name in scope.outputs or bool(scope.uses.get(name)))


def _nodes(graphs: Sequence[Scope], *operators: str) -> Iterator[tuple[Scope, NodeProto]]:
    return (
        (scope, node)
        for scope in graphs
        for operator in operators
        for node in scope.recurrent.get(operator, ())
    )


def _others(model: ModelProto, graphs: Sequence[Scope]) -> Iterator[str]:
    """Say what else is recurrent, so that a message about a missing GRU can tell why."""
    for _, node in _nodes(graphs, "LSTM", "RNN"):
        yield f"{node.op_type} {quoted(node.name or first_output(node))}"
    for _, node in _nodes(graphs, "Loop", "Scan"):
        name = quoted(node.name or first_output(node))
        yield f"{node.op_type} {name} (Keras 3 and tf2onnx export GRUs as loops)"
    for function in model.functions:
        if any(node.op_type == "GRU" and node.domain in STANDARD_DOMAINS for node in function.node):
            name = quoted(function.name)
            yield f"function {name} with a GRU in it (inline the functions with onnx.inliner first)"
    steps = sum(1 for _ in _nodes(graphs, "Tanh"))
    if steps >= _FEW and not any(_nodes(graphs, "GRU", "LSTM", "RNN", "Loop", "Scan")):
        yield f"{steps} single Tanh nodes (an exporter may have unrolled a GRU step by step: export it anew)"
