"""Weights and states that a graph computes from constants, as exporters and optimisers leave them."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from onnx import NodeProto, TensorProto
from onnx.helper import make_node
from onnx.numpy_helper import from_array

from grubridge import reference
from grubridge.errors import FileFormatError, UnsafeFileError
from grubridge.formats.readback import differences
from grubridge.spec import Array
from tests.onnx_grus import Node, assert_close, probe_of, random_node, read_one, run


def _ints(*values: int) -> Array:
    return np.array(values, np.int64)


def _with(node: Node, made: dict[str, tuple[Sequence[NodeProto], dict[str, Array]]]) -> Node:
    """Return `node` with some of its weights computed by other nodes from other constants."""
    weights = {name: array for name, array in node.weights.items() if name not in made}
    before = tuple(step for steps, _ in made.values() for step in steps)
    extra = {name: array for _, constants in made.values() for name, array in constants.items()}
    return Node(node.node, weights, node.feeds, node.opset, before, extra)


def _ways(weight: Array) -> dict[str, tuple[int, list[NodeProto], dict[str, Array]]]:
    """Return ways to compute W [2, 15, 4]: name -> (opset, nodes, constants)."""
    halves = {"a": weight[:1], "b": weight[1:]}
    blocks = {f"g{number}": weight[0, 5 * number : 5 * number + 5] for number in range(3)}
    padded = np.concatenate([weight, weight], axis=2)
    value = {"value": from_array(weight)}
    return {
        "Constant": (13, [make_node("Constant", [], ["W"], **value)], {}),
        "Identity": (13, [make_node("Identity", ["w"], ["W"])], {"w": weight}),
        "Cast": (13, [make_node("Cast", ["w"], ["W"], to=TensorProto.FLOAT)], {"w": weight.astype("f8")}),
        "Concat": (13, [make_node("Concat", ["a", "b"], ["W"], axis=0)], halves),
        "Concat of gates": (
            13,
            [
                make_node("Concat", ["g0", "g1", "g2"], ["one"], axis=0),
                make_node("Unsqueeze", ["one", "zero"], ["first"]),
                make_node("Concat", ["first", "b"], ["W"], axis=-3),
            ],
            {**blocks, "b": weight[1:], "zero": _ints(0)},
        ),
        "Transpose": (13, [make_node("Transpose", ["w"], ["W"], perm=[2, 1, 0])], {"w": weight.T.copy()}),
        "Transpose without perm": (13, [make_node("Transpose", ["w"], ["W"])], {"w": weight.T.copy()}),
        "Slice": (
            13,
            [make_node("Slice", ["w", "s", "e", "x", "p"], ["W"])],
            {
                "w": padded[:, ::-1],
                "s": _ints(0, -1),
                "e": _ints(4, -99),
                "x": _ints(2, 1),
                "p": _ints(1, -1),
            },
        ),
        "Slice with attributes": (
            9,
            [make_node("Slice", ["w"], ["W"], starts=[4], ends=[8], axes=[2])],
            {"w": padded},
        ),
        "Unsqueeze and Squeeze": (
            13,
            [make_node("Unsqueeze", ["w", "x"], ["u"]), make_node("Squeeze", ["u", "y"], ["W"])],
            {"w": weight, "x": _ints(0, -1), "y": _ints(0, 4)},
        ),
        "Unsqueeze and Squeeze with attributes": (
            11,
            [make_node("Unsqueeze", ["w"], ["u"], axes=[1]), make_node("Squeeze", ["u"], ["W"], axes=[1])],
            {"w": weight},
        ),
        "Reshape": (
            13,
            [make_node("Reshape", ["w", "s"], ["W"])],
            {"w": weight.reshape(2, 60), "s": _ints(0, 15, -1)},
        ),
        "Reshape to the shape of another": (
            15,
            [make_node("Shape", ["v"], ["s"], start=0, end=3), make_node("Reshape", ["w", "s"], ["W"])],
            {"w": weight.ravel(), "v": weight[:, :, :, None]},
        ),
        "Gather": (
            13,
            [make_node("Gather", ["w", "i"], ["W"], axis=0)],
            {"w": weight[::-1], "i": _ints(1, 0)},
        ),
        "Expand": (13, [make_node("Expand", ["w", "s"], ["W"])], {"w": weight, "s": _ints(1, 1, 4)}),
        "Tile": (13, [make_node("Tile", ["w", "n"], ["W"])], {"w": weight, "n": _ints(1, 1, 1)}),
        "Dropout": (13, [make_node("Dropout", ["w"], ["W", "mask"])], {"w": weight}),
    }


@pytest.mark.parametrize("name", sorted(_ways(np.zeros((2, 15, 4), np.float32))))
def test_a_computed_weight_is_the_one_that_onnx_runtime_computes(
    onnxruntime: ModuleType, tmp_path: Path, name: str
) -> None:
    plain = random_node(direction="bidirectional")
    opset, nodes, constants = _ways(plain.weights["W"])[name]
    contiguous = {key: np.ascontiguousarray(array) for key, array in constants.items()}
    node = _with(plain, {"W": (nodes, contiguous)})
    model = Node(node.node, node.weights, node.feeds, opset, node.before, node.extra).model()

    spec = read_one(model, tmp_path)

    assert differences(spec, read_one(plain.model(), tmp_path)) == ()
    outputs = run(onnxruntime, model, node.feeds)
    expected = run(onnxruntime, plain.model(), plain.feeds)
    assert np.array_equal(outputs["Y"], expected["Y"])


def _learned(rng: np.random.Generator) -> Array:
    return rng.uniform(-0.6, 0.6, (2, 1, 5)).astype(np.float32)


def _batch_of_x() -> tuple[list[NodeProto], dict[str, Array]]:
    nodes = [make_node("Shape", ["X"], ["shape"]), make_node("Gather", ["shape", "axis"], ["batch"])]
    return nodes, {"axis": _ints(1)}


def _states(learned: Array) -> dict[str, tuple[list[NodeProto], dict[str, Array]]]:
    """Return ways to write a learned state for a batch whose size is known at run time only."""
    nodes, constants = _batch_of_x()
    return {
        "Expand": (
            [
                *nodes,
                make_node("Concat", ["two", "batch", "five"], ["wanted"], axis=0),
                make_node("Expand", ["h", "wanted"], ["initial_h"]),
            ],
            {**constants, "h": learned, "two": _ints(2), "five": _ints(5)},
        ),
        "Expand with a guarded shape": (
            [
                *nodes,
                make_node("Concat", ["minus", "batch", "minus"], ["wanted"], axis=0),
                make_node("Mul", ["ones", "minus"], ["minuses"]),
                make_node("Equal", ["wanted", "minuses"], ["kept"]),
                make_node("Where", ["kept", "ones", "wanted"], ["guarded"]),
                make_node("Expand", ["h", "guarded"], ["initial_h"]),
            ],
            {**constants, "h": learned, "minus": _ints(-1), "ones": _ints(1, 1, 1)},
        ),
        "Tile of one row of two": (
            [
                *nodes,
                make_node("Concat", ["one", "batch", "one"], ["times"], axis=0),
                make_node("Slice", ["h", "zero", "two", "zero"], ["half"]),
                make_node("Tile", ["half", "times"], ["initial_h"]),
            ],
            {
                **constants, "h": np.concatenate([learned, learned + 1]), "one": _ints(1), "zero": _ints(0),
                "two": _ints(2),
            },
        ),
        "baked for the example's batch": ([], {"initial_h": np.repeat(learned, 3, axis=1)}),
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(_states(np.zeros((2, 1, 5), np.float32))))
def test_a_learned_state_is_found(onnxruntime: ModuleType, tmp_path: Path, name: str) -> None:
    learned = _learned(np.random.default_rng(5))
    plain = random_node(direction="bidirectional", initial_state=True)
    del plain.feeds["initial_h"]
    before, extra = _states(learned)[name]
    node = Node(plain.node, plain.weights, plain.feeds, 17, tuple(before), extra)

    spec = read_one(node.model(), tmp_path)

    for (_, _, direction), row in zip(spec.directions(), learned[:, 0], strict=True):
        assert direction.initial_state is not None
        assert np.array_equal(direction.initial_state, row)
    assert spec.source is not None
    assert spec.source.notes == ()
    trace = reference.run(spec, probe_of(spec, node.feeds))
    y = np.stack([trace.places[place].hidden for place in trace]).transpose(2, 0, 1, 3)
    assert_close(run(onnxruntime, node.model(), node.feeds)["Y"], y, 2e-6)


def _zeros() -> dict[str, tuple[list[NodeProto], dict[str, Array]]]:
    nodes, constants = _batch_of_x()
    shape = make_node("Concat", ["two", "batch", "ten"], ["wanted"], axis=0)
    held = {**constants, "two": _ints(2), "ten": _ints(10)}
    halves = [
        make_node("Shape", ["wide"], ["sizes"]),
        make_node("Gather", ["sizes", "last"], ["width"]),
        make_node("Div", ["width", "two"], ["half"]),
        make_node("Slice", ["wide", "zero", "half", "last"], ["initial_h"]),
    ]
    return {
        "constant": ([], {"initial_h": np.zeros((2, 3, 5), np.float32)}),
        "half of a ConstantOfShape": (
            [*nodes, shape, make_node("ConstantOfShape", ["wanted"], ["wide"]), *halves],
            {**held, "zero": _ints(0), "last": _ints(2)},
        ),
    }


@pytest.mark.parametrize("name", sorted(_zeros()))
def test_zeros_are_no_learned_state(onnxruntime: ModuleType, tmp_path: Path, name: str) -> None:
    plain = random_node(direction="bidirectional", initial_state=True)
    del plain.feeds["initial_h"]
    before, extra = _zeros()[name]
    node = Node(plain.node, plain.weights, plain.feeds, 17, tuple(before), extra)

    spec = read_one(node.model(), tmp_path)

    assert [direction.initial_state for _, _, direction in spec.directions()] == [None, None]
    assert spec.source is not None
    assert spec.source.notes == ()
    assert run(onnxruntime, node.model(), node.feeds)["Y"].any()


def test_a_state_of_one_direction_only(tmp_path: Path) -> None:
    learned = _learned(np.random.default_rng(6))
    learned[1] = 0
    plain = random_node(direction="bidirectional", initial_state=True)
    del plain.feeds["initial_h"]
    node = Node(plain.node, plain.weights, plain.feeds, 17, (), {"initial_h": learned})

    forward, backward = (direction for _, _, direction in read_one(node.model(), tmp_path).directions())

    assert forward.initial_state is not None
    assert np.array_equal(forward.initial_state, learned[0, 0])
    assert backward.initial_state is None


def test_a_learned_state_in_the_other_layout(tmp_path: Path) -> None:
    learned = _learned(np.random.default_rng(8))
    plain = random_node(direction="bidirectional", initial_state=True, layout=1)
    state_bdh = np.repeat(learned.swapaxes(0, 1), 3, axis=0)
    node = Node(plain.node, plain.weights, {"X": plain.feeds["X"]}, 17, (), {"initial_h": state_bdh})

    spec = read_one(node.model(), tmp_path)

    states = [
        state for _, _, direction in spec.directions() if (state := direction.initial_state) is not None
    ]
    assert np.array_equal(np.stack(states), learned[:, 0])


def test_a_state_from_outside_is_told(tmp_path: Path) -> None:
    spec = read_one(random_node(initial_state=True).model(), tmp_path)

    assert spec.source is not None
    assert spec.source.notes == (
        "node 'gru' (GRU): initial_h comes from the model's input 'initial_h'; it is not part of the weights",
    )


def _bombs() -> dict[str, tuple[list[NodeProto], dict[str, Array]]]:
    million = _ints(1, 10**6, 10**6)
    small = np.ones((1, 15, 4), np.float32)
    doubling = [make_node("Concat", [f"a{k}"] * 2, [f"a{k + 1}"], axis=1) for k in range(40)]
    return {
        "ConstantOfShape": ([make_node("ConstantOfShape", ["s"], ["W"])], {"s": million}),
        "Expand": ([make_node("Expand", ["v", "s"], ["W"])], {"v": small[:, :1, :1], "s": million}),
        "Tile": ([make_node("Tile", ["v", "s"], ["W"])], {"v": small, "s": million}),
        "Gather": (
            [make_node("Unsqueeze", ["v", "x"], ["w"]), make_node("Gather", ["w", "i"], ["W"], axis=0)],
            {"v": np.ones((1, 100_000), np.float32), "x": _ints(0), "i": np.zeros((2, 5_000), np.int64)},
        ),
        "Concat": ([*doubling, make_node("Identity", ["a40"], ["W"])], {"a0": small}),
    }


@pytest.mark.parametrize("name", sorted(_bombs()))
def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path, name: str) -> None:
    plain = random_node()
    before, extra = _bombs()[name]
    model = _with(plain, {"W": (before, extra)}).model()

    with pytest.raises(UnsafeFileError, match=r"computing its constants would take [\d,]+ MiB"):
        read_one(model, tmp_path)


def test_a_size_below_minus_one_is_no_size(tmp_path: Path) -> None:
    """NumPy takes any negative size for -1, ONNX Runtime none but that."""
    plain = random_node()
    node = make_node("Reshape", ["w", "s"], ["W"])
    wrong = _with(plain, {"W": ([node], {"w": plain.weights["W"].ravel(), "s": _ints(1, 15, -5)})})

    with pytest.raises(FileFormatError, match=r"node .W. \(Reshape\) does not fit its inputs"):
        read_one(wrong.model(), tmp_path)


def test_thirty_thousand_nodes_in_a_row(tmp_path: Path) -> None:
    plain = random_node()
    steps = [make_node("Identity", [f"w{k}"], [f"w{k + 1}"]) for k in range(30_000)]
    steps.append(make_node("Identity", ["w30000"], ["W"]))

    spec = read_one(_with(plain, {"W": (steps, {"w0": plain.weights["W"]})}).model(), tmp_path)

    assert differences(spec, read_one(plain.model(), tmp_path)) == ()
