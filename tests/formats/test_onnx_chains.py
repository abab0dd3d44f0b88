"""GRU nodes that feed each other and nothing else: one stack, whatever lies between them."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from onnx import NodeProto
from onnx.helper import make_node

from grubridge import reference
from grubridge.spec import Array
from tests.onnx_grus import Node, assert_close, entries, probe_of, random_node, run


def _ints(*values: int) -> Array:
    return np.array(values, np.int64)


def _chain(*between: NodeProto, **constants: Array) -> Node:
    """Return two GRU nodes, Y of the first one going to x of the second one through `between`."""
    lower = random_node(direction="bidirectional", seed=1)
    upper = random_node(input_size=10, hidden_size=6, direction="bidirectional", seed=2)
    renamed = {f"{name}0": array for name, array in lower.weights.items()}
    first = make_node(
        "GRU", ["X", "W0", "R0", "B0"], ["Y0", ""], "low", hidden_size=5, direction="bidirectional"
    )
    upper.node.input[0] = "x"
    upper.node.name = "high"
    return Node(upper.node, upper.weights, lower.feeds, 17, (first, *between), renamed | constants)


SIDE_BY_SIDE: tuple[list[NodeProto], dict[str, Array]] = (
    [
        make_node("Transpose", ["Y0"], ["t"], perm=[0, 2, 1, 3]),
        make_node("Reshape", ["t", "s"], ["r"]),
        make_node("Dropout", ["r"], ["x"]),
    ],
    {"s": _ints(0, 0, -1)},
)


def test_nodes_that_feed_each_other_are_one_stack(onnxruntime: ModuleType, tmp_path: Path) -> None:
    node = _chain(*SIDE_BY_SIDE[0], **SIDE_BY_SIDE[1])
    (entry,) = entries(node.model(), tmp_path)

    assert (entry.name, [member.name for member in entry.members]) == ("low:high", ["low", "high"])
    assert [one["output"] for one in entry.address["nodes"]] == ["Y0", "Y"]
    trace = reference.run(entry.read(), probe_of(entry.read(), node.feeds))
    top = np.stack([trace.places[1, name].hidden for name in ("forward", "backward")])
    assert_close(run(onnxruntime, node.model(), node.feeds)["Y"], top.transpose(2, 0, 1, 3), 2e-6)
    assert entry.members[1].read().input_size == 10


JOINED: dict[str, tuple[list[NodeProto], dict[str, Array]]] = {
    "sizes of an example built in": (
        [
            make_node("Transpose", ["Y0"], ["t"], perm=[0, 2, 1, 3]),
            make_node("Reshape", ["t", "s"], ["x"]),
        ],
        {"s": _ints(5, 3, 10)},
    ),
    "sizes built in, batch first in between": (
        [
            make_node("Transpose", ["Y0"], ["t"], perm=[2, 0, 1, 3]),
            make_node("Reshape", ["t", "s"], ["r"]),
            make_node("Transpose", ["r"], ["x"], perm=[1, 0, 2]),
        ],
        {"s": _ints(3, 5, 10)},
    ),
    "halves cut out and joined": (
        [
            make_node("Gather", ["Y0", "zero"], ["a"], axis=1),
            make_node("Gather", ["Y0", "one"], ["b"], axis=1),
            make_node("Concat", ["a", "b"], ["x"], axis=2),
        ],
        {"zero": np.array(0), "one": np.array(1)},
    ),
}


@pytest.mark.parametrize("name", JOINED)
def test_every_way_from_one_node_to_the_next_is_known(tmp_path: Path, name: str) -> None:
    nodes, constants = JOINED[name]

    assert [entry.name for entry in entries(_chain(*nodes, **constants).model(), tmp_path)] == ["low:high"]


def test_a_chain_of_nodes_with_the_batch_in_front(tmp_path: Path) -> None:
    node = _chain(make_node("Reshape", ["Y0", "s"], ["x"]), s=_ints(0, 0, -1))
    for one in (node.before[0], node.node):
        one.attribute.add(name="layout", i=1)

    assert [entry.name for entry in entries(node.model(), tmp_path)] == ["low:high"]


CUTS: dict[str, tuple[list[NodeProto], dict[str, Array]]] = {
    "directions mixed": ([make_node("Reshape", ["Y0", "s"], ["x"])], {"s": _ints(0, -1, 10)}),
    "time reversed": (
        [
            *SIDE_BY_SIDE[0][:2],
            make_node("Slice", ["r", "from", "to", "axis", "step"], ["x"]),
        ],
        {"s": _ints(0, 0, -1), "from": _ints(-1), "to": _ints(-99), "axis": _ints(0), "step": _ints(-1)},
    ),
    "halves exchanged": (
        [
            make_node("Gather", ["Y0", "one"], ["b"], axis=1),
            make_node("Gather", ["Y0", "zero"], ["a"], axis=1),
            make_node("Concat", ["b", "a"], ["x"], axis=2),
        ],
        {"zero": np.array(0), "one": np.array(1)},
    ),
    "an activation between": ([*SIDE_BY_SIDE[0][:2], make_node("Relu", ["r"], ["x"])], SIDE_BY_SIDE[1]),
    "another reader": ([*SIDE_BY_SIDE[0], make_node("Relu", ["r"], ["elsewhere"])], SIDE_BY_SIDE[1]),
}


@pytest.mark.parametrize("name", CUTS)
def test_nodes_with_something_between_them_are_two_stacks(tmp_path: Path, name: str) -> None:
    nodes, constants = CUTS[name]

    assert [entry.name for entry in entries(_chain(*nodes, **constants).model(), tmp_path)] == ["low", "high"]


def test_an_output_of_the_model_in_between_makes_two_stacks(tmp_path: Path) -> None:
    model = _chain(*SIDE_BY_SIDE[0], **SIDE_BY_SIDE[1]).model()
    model.graph.output.add(name="r")

    assert [entry.name for entry in entries(model, tmp_path)] == ["low", "high"]


def test_names_that_occur_twice_or_not_at_all_become_the_outputs_names(tmp_path: Path) -> None:
    nodes, constants = CUTS["another reader"]
    model = _chain(*nodes, **constants).model()
    for node in model.graph.node:
        node.name = "same" if node.op_type == "GRU" else ""
    assert [entry.name for entry in entries(model, tmp_path)] == ["Y0", "Y"]
    for node in model.graph.node:
        node.name = ""
    assert [entry.name for entry in entries(model, tmp_path)] == ["Y0", "Y"]
