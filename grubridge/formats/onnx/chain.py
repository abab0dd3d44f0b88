"""Which GRU node feeds which: a chain of them is one stack.

The way from one node's Y [T, D, B, H] to the next one's X [T, B, D*H] differs from exporter to exporter
(Squeeze; Transpose and Reshape; Slice and Concat; pairs of Transposes). It is recognised by what it does:
made-up numbers are sent along it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from grubridge.errors import FileFormatError

from .attributes import first_output
from .fold import Folder, RunTime
from .graph import Scope
from .gru_node import GRUNode
from .messages import NodeProto
from .tensors import Tensors

__all__ = ["GATES_PREFIX", "chains"]

GATES_PREFIX = "grubridge/gates/"
"""The names of nodes that `gate_outputs` writes begin so: they look at a layer, and take no part in it."""

_ON_THE_WAY = {"Concat", "Dropout", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose"}
_LONGEST_WAY = 16
_MOST_NUMBERS = 1 << 24

Outputs = Mapping[tuple[Scope, str], GRUNode]
"""Where each GRU's Y is: (graph, name) -> the node."""


def chains(grus: Sequence[GRUNode], tensors: Tensors) -> list[list[GRUNode]]:
    """Group the nodes of a model into chains of nodes that feed only the next one, first layer first."""
    outputs = {(gru.scope, gru.output(0)): gru for gru in grus if gru.output(0)}
    below = {gru: _feeder(gru, outputs, tensors) for gru in grus}
    above = {lower: upper for upper, lower in below.items() if lower is not None}
    found: list[list[GRUNode]] = []
    for gru in grus:
        if below[gru] is None:
            chain = [gru]
            while chain[-1] in above:
                chain.append(above[chain[-1]])
            found.append(chain)
    return found


def _feeder(upper: GRUNode, outputs: Outputs, tensors: Tensors) -> GRUNode | None:
    """Return the node whose whole output is `upper`'s input and nothing else's, if there is one."""
    way = _way_down(upper, outputs)
    if way is None:
        return None
    lower, nodes = way
    scope, taking_part = upper.scope, {first_output(node) for node in (*nodes, upper.node)}
    for name in (lower.output(0), *(node.output[0] for node in nodes)):
        users = (node for node in scope.uses.get(name, ()) if not _only_looks(node))
        if name in scope.outputs or any(first_output(user) not in taking_part for user in users):
            return None
    try:
        arrives = any(_arrives(lower, upper, tensors, *size) for size in _sizes(upper, nodes, tensors))
    except FileFormatError:
        return None  # reading the node will say what is wrong with it
    return lower if arrives else None


def _way_down(upper: GRUNode, outputs: Outputs) -> tuple[GRUNode, list[NodeProto]] | None:
    """Follow `upper`'s input down to the one GRU that it comes from; return that and the nodes between."""
    scope, nodes, found = upper.scope, list[NodeProto](), set[GRUNode]()
    waiting = [upper.input(0)]
    while waiting:
        name = waiting.pop()
        if (scope, name) in outputs:
            found.add(outputs[scope, name])
            continue
        node = scope.definitions.get(name)
        if not isinstance(node, NodeProto) or node.op_type not in _ON_THE_WAY or len(nodes) == _LONGEST_WAY:
            return None
        nodes.append(node)
        waiting += node.input if node.op_type == "Concat" else node.input[:1]
    return (found.pop(), nodes) if len(found) == 1 else None


def _only_looks(node: NodeProto) -> bool:
    return node.op_type == "Shape" or node.name.startswith(GATES_PREFIX)


def _sizes(upper: GRUNode, nodes: Sequence[NodeProto], tensors: Tensors) -> Iterator[tuple[int, int]]:
    """Yield (steps, batch) to try: any will do, unless a Reshape has the sizes of an example built in."""
    yield 2, 3
    for node in nodes:
        if node.op_type == "Reshape" and len(node.input) > 1:
            shape = Folder(tensors).value(upper.scope, node.input[1])
            if not isinstance(shape, RunTime) and shape.size == 3:
                first, second, _ = (int(size) for size in shape.ravel())
                if first > 0 and second > 0:
                    yield first, second
                    yield second, first


def _arrives(lower: GRUNode, upper: GRUNode, tensors: Tensors, steps: int, batch: int) -> bool:
    """Whether Y of `lower`, its directions side by side, is what `upper` receives."""
    hidden_size, directions = lower.hidden_size or 0, len(lower.directions)
    count = steps * batch * directions * hidden_size
    if not 0 < count <= _MOST_NUMBERS:
        return False
    numbers_tbdh = np.arange(count, dtype=np.int32).reshape(steps, batch, directions, hidden_size)
    output = numbers_tbdh.transpose((1, 0, 2, 3) if lower.batch_first else (0, 2, 1, 3))
    constants = Folder(tensors, given={(lower.scope, lower.output(0)): output})
    received = constants.value(upper.scope, upper.input(0))
    expected = numbers_tbdh.reshape(steps, batch, directions * hidden_size)
    if upper.batch_first:
        expected = expected.transpose(1, 0, 2)
    return not isinstance(received, RunTime) and np.array_equal(received, expected)
