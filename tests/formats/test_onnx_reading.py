"""GRU nodes made with onnx.helper, read: the same function as in ONNX Runtime and in onnx itself."""

import mmap
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info
from onnx.reference import ReferenceEvaluator

from grubridge import reference
from grubridge.formats.base import ReadHints
from grubridge.formats.onnx import adapter as onnx
from grubridge.spec import SIGMOID, TANH, Activation, Array
from grubridge.traces import Trace
from tests.onnx_grus import (
    Node,
    assert_close,
    entries,
    probe_of,
    random_node,
    read_one,
    run,
    save,
    tensor,
)

TOLERANCE = 2e-6

VARIANTS: dict[str, dict[str, Any]] = {
    "reset before": {},
    "reset after": {"linear_before_reset": 1},
    "reverse": {"direction": "reverse", "linear_before_reset": 1},
    "bidirectional, reset before": {"direction": "bidirectional"},
    "bidirectional, reset after": {"direction": "bidirectional", "linear_before_reset": 1},
    "no bias": {"bias": False, "linear_before_reset": 1},
    "lengths": {"lengths": (5, 2, 3), "direction": "bidirectional"},
    "initial state": {"initial_state": True, "direction": "bidirectional", "linear_before_reset": 1},
    "clip, reset before": {"clip": 0.25},
    "clip, reset after": {"clip": 0.25, "linear_before_reset": 1},
    "float16": {"dtype": "float16", "direction": "bidirectional"},
    "opset 7": {"opset": 7, "direction": "bidirectional"},
    "opset 14": {"opset": 14, "linear_before_reset": 1},
    "opset 22": {"opset": 22, "direction": "reverse"},
    "opset 26": {"opset": 26, "direction": "bidirectional", "linear_before_reset": 1},
    "activations per direction": {
        "direction": "bidirectional",
        "activations": ["HardSigmoid", "Softsign", "sigmoid", "SCALEDTANH"],
        "activation_alpha": [0.3, 0.9],
        "activation_beta": [0.4, 1.25],
    },
}


def _y(trace: Trace) -> Array:
    """Return Y, [T, D, B, H], of a trace of one layer."""
    return np.stack([trace.places[place].hidden for place in trace], axis=0).transpose(2, 0, 1, 3)


@pytest.mark.parametrize("name", VARIANTS)
def test_it_is_the_function_that_onnx_runtime_runs(
    onnxruntime: ModuleType, tmp_path: Path, name: str
) -> None:
    node = random_node(**VARIANTS[name])
    spec = read_one(node.model(), tmp_path)

    outputs = run(onnxruntime, node.model(), node.feeds)

    tolerance = 5e-4 if name == "float16" else TOLERANCE
    assert_close(outputs["Y"], _y(reference.run(spec, probe_of(spec, node.feeds))), tolerance)


FUNCTIONS = {
    "Affine": (Activation("affine", 0.4, 0.1), [0.4], [0.1]),
    "Elu": (Activation("elu", 0.7), [0.7], []),
    "HardSigmoid": (Activation("hard_sigmoid", 1 / 6, 0.5), [1 / 6], [0.5]),
    "LeakyRelu": (Activation("leaky_relu", 0.3), [0.3], []),
    "Relu": (Activation("relu"), [], []),
    "ScaledTanh": (Activation("scaled_tanh", 0.9, 1.3), [0.9], [1.3]),
    "Sigmoid": (SIGMOID, [], []),
    "Softplus": (Activation("softplus"), [], []),
    "Softsign": (Activation("softsign"), [], []),
    "Tanh": (TANH, [], []),
    "ThresholdedRelu": (Activation("thresholded_relu", 0.2), [0.2], []),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("position", ["gates", "candidate"])
def test_every_activation_is_the_one_that_onnx_runtime_has(
    onnxruntime: ModuleType, tmp_path: Path, name: str, position: str
) -> None:
    activation, alpha, beta = FUNCTIONS[name]
    names = [name, "Tanh"] if position == "gates" else ["Sigmoid", name]
    lists: dict[str, Any] = {"activation_alpha": alpha, "activation_beta": beta}
    node = random_node(activations=names, **{key: value for key, value in lists.items() if value})

    spec = read_one(node.model(), tmp_path)

    direction = spec.layers[0].forward
    assert direction is not None
    assert (
        direction.gate_activation if position == "gates" else direction.candidate_activation
    ) == activation
    outputs = run(onnxruntime, node.model(), node.feeds)
    assert_close(outputs["Y"], _y(reference.run(spec, probe_of(spec, node.feeds))), TOLERANCE)


def test_missing_parameters_are_those_of_the_onnx_operators(tmp_path: Path) -> None:
    names = ["HardSigmoid", "ThresholdedRelu", "LeakyRelu", "Elu"]
    node = random_node(direction="bidirectional", activations=names)

    spec = read_one(node.model(), tmp_path)

    assert [(d.gate_activation, d.candidate_activation) for _, _, d in spec.directions()] == [
        (Activation("hard_sigmoid", 0.2, 0.5), Activation("thresholded_relu", 1.0)),
        (Activation("leaky_relu", 0.01), Activation("elu", 1.0)),
    ]
    assert spec.source is not None
    assert spec.source.notes == (
        "the file gives no alpha for ThresholdedRelu; taken as 1, as in ONNX, where ONNX Runtime takes 0",
    )


def test_surplus_parameters_are_told(tmp_path: Path) -> None:
    node = random_node(activations=["HardSigmoid", "Tanh"], activation_alpha=[0.25, 7.0])

    spec = read_one(node.model(), tmp_path)

    assert spec.source is not None
    assert spec.source.notes == (
        "activation_alpha has 1 more values than the activations take; they are not used",
    )


@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("mode", [0, 1])
def test_it_is_the_function_of_onnx_in_float64(
    tmp_path: Path, layout: int, direction: str, mode: int
) -> None:
    node = random_node(
        layout=layout, direction=direction, linear_before_reset=mode, dtype="float64", initial_state=True
    )
    spec = read_one(node.model(), tmp_path)

    y = ReferenceEvaluator(node.model()).run(["Y"], node.feeds)[0]  # type: ignore[index]

    made = _y(reference.run(spec, probe_of(spec, node.feeds, layout=layout)))
    assert_close(np.asarray(y), made.transpose(2, 0, 1, 3) if layout else made, 1e-12)
    assert spec.dtype == np.float64
    assert spec.io.time_major != bool(layout)


def test_weights_are_the_bits_of_the_file(tmp_path: Path) -> None:
    node = random_node(hidden_size=5, direction="bidirectional")

    spec = read_one(node.model(), tmp_path)

    for index, (_, _, direction) in enumerate(spec.directions()):
        for block, gate in enumerate(("update", "reset", "candidate")):
            rows = slice(5 * block, 5 * block + 5)
            recurrent = slice(15 + 5 * block, 20 + 5 * block)
            assert np.array_equal(getattr(direction.input_weight, gate), node.weights["W"][index, rows])
            assert np.array_equal(getattr(direction.recurrent_weight, gate), node.weights["R"][index, rows])
            assert np.array_equal(getattr(direction.input_bias, gate), node.weights["B"][index, rows])
            assert np.array_equal(
                getattr(direction.recurrent_bias, gate), node.weights["B"][index, recurrent]
            )


def test_long_weights_are_views_of_the_file(tmp_path: Path) -> None:
    spec = read_one(random_node(hidden_size=40).model(), tmp_path)

    weight = spec.layers[0].forward.recurrent_weight.update  # type: ignore[union-attr]
    base: Any = weight
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap)


@pytest.mark.parametrize("opset", [1, 3])
def test_the_first_versions_are_read(onnxruntime: ModuleType, tmp_path: Path, opset: int) -> None:
    newer = random_node(linear_before_reset=opset // 3)
    third: dict[str, Any] = {"linear_before_reset": 1} if opset == 3 else {}
    older = random_node(opset=opset, output_sequence=1, **third)
    if opset == 1:
        older.node.attribute.remove(next(one for one in older.node.attribute if one.name == "direction"))
        older.node.attribute.add(name="direction", s=b"foward")  # as version 1 spells its default; no type

    spec = read_one(older.model(), tmp_path)

    outputs = run(onnxruntime, newer.model(), newer.feeds)
    assert_close(outputs["Y"], _y(reference.run(spec, probe_of(spec, newer.feeds))), TOLERANCE)


def test_a_missing_hidden_size_is_taken_from_r_and_told(tmp_path: Path) -> None:
    node = random_node()
    node.node.attribute.remove(next(one for one in node.node.attribute if one.name == "hidden_size"))

    spec = read_one(node.model(), tmp_path)

    assert spec.layers[0].hidden_size == 5
    assert spec.source is not None
    assert spec.source.notes == ("node 'gru' (GRU) has no hidden_size; 5 is taken from R",)


def test_parameters_come_back_as_they_were_written() -> None:
    from grubridge.formats.onnx.activations import simplest

    for number in (0.2, 1 / 6, 0.01, 0.5, 1.0, 1.3, 100.2, -0.75, 3.0e20):
        assert simplest(float(np.float32(number))) == pytest.approx(
            number, rel=1e-12 if number < 1e9 else 1e-7
        )
    odd = float(np.float32(0.7182818))
    assert simplest(odd) == odd


def test_bfloat16_weights_are_kept(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    node = random_node(opset=22)
    weights = {name: array.astype(ml_dtypes.bfloat16) for name, array in node.weights.items()}
    model = Node(node.node, weights, node.feeds, 22).model()

    spec = read_one(model, tmp_path)

    assert spec.dtype.name == "bfloat16"
    assert np.array_equal(spec.layers[0].forward.input_weight.update, weights["W"][0, :5])  # type: ignore[union-attr]


def test_numbers_that_are_not_raw_are_read(tmp_path: Path) -> None:
    for dtype, field in (("float32", "float_data"), ("float64", "double_data"), ("float16", "int32_data")):
        node = random_node(dtype=dtype)
        model = node.model()
        for initializer in model.graph.initializer:
            numbers = node.weights[initializer.name].ravel()
            initializer.ClearField("raw_data")
            getattr(initializer, field).extend(
                (numbers.view("u2") if dtype == "float16" else numbers).tolist()
            )

        spec = read_one(model, tmp_path)

        assert np.array_equal(spec.layers[0].forward.input_weight.update, node.weights["W"][0, :5])  # type: ignore[union-attr]


def _branches(inner: Node) -> ModelProto:
    """Return a model whose GRU is inside the else branch of an If inside a then branch."""
    outputs = [make_tensor_value_info("Y", TensorProto.FLOAT, None)]
    held = [tensor(name, array) for name, array in inner.weights.items()]
    with_gru = make_graph([inner.node], "with", [], outputs, held)
    without = make_graph([make_node("Identity", ["X"], ["Y"])], "without", [], outputs)
    middle = make_node("If", ["which"], ["Z"], "inner", then_branch=without, else_branch=with_gru)
    z = [make_tensor_value_info("Z", TensorProto.FLOAT, None)]
    middle_graph = make_graph([middle], "middle", [], z)
    other_graph = make_graph([make_node("Identity", ["X"], ["Z"])], "other", [], z)
    outer = make_node("If", ["which"], ["out"], "outer", then_branch=middle_graph, else_branch=other_graph)
    inputs = [
        make_tensor_value_info("X", TensorProto.FLOAT, inner.feeds["X"].shape),
        make_tensor_value_info("which", TensorProto.BOOL, []),
    ]
    graph = make_graph([outer], "graph", inputs, [make_tensor_value_info("out", TensorProto.FLOAT, None)])
    return make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8)


def test_a_gru_in_nested_branches_is_found(tmp_path: Path) -> None:
    node = random_node()

    (entry,) = entries(_branches(node), tmp_path)

    assert entry.address == {
        "nodes": [{"output": "Y", "name": "gru", "graph": [["out", "then_branch"], ["Z", "else_branch"]]}]
    }
    assert entry.read().layers[0].hidden_size == 5


def test_grus_of_one_name_in_two_branches_are_told_apart(tmp_path: Path) -> None:
    model = _branches(random_node())
    middle = model.graph.node[0].attribute[1].g
    middle.node[0].attribute[1].g.CopyFrom(middle.node[0].attribute[0].g)

    found = entries(model, tmp_path)

    assert [entry.name for entry in found] == ["Y", "Y'"]
    assert [entry.address["nodes"][0]["graph"][1] for entry in found] == [
        ["Z", "else_branch"],
        ["Z", "then_branch"],
    ]


def test_other_recurrent_nodes_are_reported(tmp_path: Path) -> None:
    body = make_graph([], "body", [], [])
    nodes = [
        make_node("LSTM", ["X", "W", "R"], ["a"], "lstm", hidden_size=2),
        make_node("RNN", ["X", "W", "R"], ["b"], hidden_size=2),
        make_node("Loop", ["", ""], ["c"], "while", body=body),
    ]
    found = onnx.contents(save(_plain_model(nodes), tmp_path / "m.onnx"), ReadHints())

    assert found.stacks == ()
    assert found.others == (
        "LSTM 'lstm'", "RNN 'b'", "Loop 'while' (Keras 3 and tf2onnx export GRUs as loops)",
    )  # fmt: skip


def test_an_unrolled_gru_is_guessed(tmp_path: Path) -> None:
    nodes = [make_node("Tanh", [f"h{step}"], [f"h{step + 1}"]) for step in range(4)]
    found = onnx.contents(save(_plain_model(nodes), tmp_path / "m.onnx"), ReadHints())

    assert found.others == (
        "4 single Tanh nodes (an exporter may have unrolled a GRU step by step: export it anew)",
    )


def _plain_model(nodes: list[Any]) -> ModelProto:
    graph = make_graph(nodes, "graph", [], [])
    return make_model(graph, opset_imports=[make_opsetid("", 17)], producer_name="someone", ir_version=8)


def test_the_file_says_who_wrote_it(tmp_path: Path) -> None:
    model = random_node().model()
    model.producer_name, model.producer_version = "someone", "1.2"

    spec = read_one(model, tmp_path)

    assert spec.source is not None
    assert (spec.source.framework, spec.source.format, spec.source.stack) == ("someone 1.2", "onnx", "gru")
    assert spec.source.path == str(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("outputs", "sequences", "state"),
    [(("Y",), True, False), (("Y_h",), False, True), (("Y", "Y_h"), True, True)],
)
def test_what_the_model_used_is_kept(
    tmp_path: Path, outputs: tuple[str, ...], *, sequences: bool, state: bool
) -> None:
    model = random_node(lengths=(1, 2, 3)).model()
    kept = [value for value in model.graph.output if value.name in outputs]
    del model.graph.output[:]
    model.graph.output.extend(kept)

    io = read_one(model, tmp_path).io

    assert (io.return_sequences, io.return_state, io.masking) == (sequences, state, True)


def test_sniffing_tells_models_from_other_files(tmp_path: Path) -> None:
    path = tmp_path / "anything"

    assert onnx.sniff(path, random_node().model().SerializeToString()[:512])
    for head in (
        b"PK\x03\x04" + bytes(60),
        b"\x89HDF\r\n\x1a\n" + bytes(60),
        b"\x80\x02}q\x00.",
        b"",
        b"Hello\n",
    ):
        assert not onnx.sniff(path, head)
    assert not onnx.sniff(path, (264).to_bytes(8, "little") + b'{"__metadata__":{}}')
