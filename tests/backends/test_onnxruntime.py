"""ONNX Runtime runs GRU nodes out of ONNX files, and does what the equations say."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from grubridge.backends.base import Artifact
from grubridge.backends.launch import Job, run_jobs
from grubridge.errors import BackendError, CannotRunError, GRUBridgeError
from grubridge.spec import GRUSpec
from grubridge.traces import Probe, Trace
from tests.backends.agreement import assert_agrees, make_probe
from tests.backends.onnx_models import address, constants_of, gru_model, gru_node, model_of
from tests.zoo import ZOO, make_spec, member

RUNNABLE = [spec for spec in ZOO if spec.dtype.name in ("float16", "float32")]
PLAIN = member("reset_after")
LAYER = PLAIN.layers[0]
BOTH = member("bidirectional")

Outcome = Trace | GRUBridgeError
Case = tuple[GRUSpec, Probe, dict[str, Any]]


def _batch_first(folder: Path) -> Case:
    """layout=1, with a constant initial state [batch, D, H] of one row."""
    spec = replace(member("initial_state"), layers=member("initial_state").layers[:1])
    model = gru_model(spec, layout=1)
    stored = next(tensor for tensor in model.graph.initializer if tensor.name == "h0")
    stored.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(stored).transpose(1, 0, 2), "h0"))
    onnx.save(model, folder / "batch_first.onnx")
    return spec, make_probe(spec, states=False), address("y0")


def _oldest(opset: int, name: str) -> Callable[[Path], Case]:
    def case(folder: Path) -> Case:
        spec = member("reset_before_split_bias")
        changes = {"linear_before_reset": None if opset == 1 else 0, "output_sequence": 1}
        model = gru_model(spec, direction="foward" if opset == 1 else "forward", **changes)
        model.opset_import[0].version = opset
        model.ir_version = 3
        onnx.save(model, folder / f"{name}.onnx")
        return spec, make_probe(spec), address("y0")

    return case


def _folded(folder: Path) -> Case:
    """W as a node's transposed constant, R as a concatenation, B cast from float64, as exporters do."""
    w, r, b = (numpy_helper.to_array(tensor) for tensor in constants_of(LAYER, 0, bias=True))
    nodes = [
        helper.make_node("Constant", [], ["wt"], value=numpy_helper.from_array(w.transpose(0, 2, 1))),
        helper.make_node("Transpose", ["wt"], ["W0"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["r_upper", "r_lower"], ["R0"], axis=1),
        helper.make_node("Cast", ["b64"], ["B0"], to=TensorProto.FLOAT),
        helper.make_node("Shape", ["x0"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["at_run_time"]),
        gru_node(LAYER, 0, ["x0", "W0", "R0", "B0", "", "at_run_time"]),
    ]
    initializers = [
        numpy_helper.from_array(r[:, :7], "r_upper"),
        numpy_helper.from_array(r[:, 7:], "r_lower"),
        numpy_helper.from_array(b.astype(np.float64), "b64"),
    ]
    onnx.save(model_of(nodes, initializers, PLAIN), folder / "folded.onnx")
    return PLAIN, make_probe(PLAIN), address("y0")


def _in_subgraph(folder: Path) -> Case:
    """The node in a branch, its R outside, its sequence_lens and zero initial_h constants."""
    w, r, b = constants_of(LAYER, 0, bias=True)
    fixed = [
        numpy_helper.from_array(np.array([6, 6, 6], np.int32), "lens"),
        numpy_helper.from_array(np.zeros((1, 3, 7), np.float32), "zeros"),
    ]
    node = gru_node(LAYER, 0, ["x0", "W0", "R0", "B0", "lens", "zeros"])
    kind = helper.make_tensor_value_info("y0", TensorProto.FLOAT, None)
    branch = helper.make_graph([node], "then", [], [kind], [w, b, *fixed])
    other = helper.make_graph(
        [helper.make_node("Identity", ["x0"], ["same"])],
        "else",
        [],
        [helper.make_tensor_value_info("same", TensorProto.FLOAT, None)],
    )
    holder = helper.make_node("If", ["condition"], ["chosen"], then_branch=branch, else_branch=other)
    condition = numpy_helper.from_array(np.array(1, bool), "condition")
    onnx.save(model_of([holder], [r, condition], PLAIN), folder / "in_subgraph.onnx")
    return PLAIN, make_probe(PLAIN), address("y0", graph=[["chosen", "then_branch"]])


def _external(folder: Path) -> Case:
    spec = member("mixed_layers")
    model = gru_model(spec)
    onnx.save(
        model, folder / "external.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    return spec, make_probe(spec), address("y0", "y1")


def _without_lengths(folder: Path) -> Case:
    onnx.save(gru_model(BOTH), folder / "without_lengths.onnx")
    return BOTH, make_probe(BOTH, lengths=None, states=False), address("y0")


SPECIAL: dict[str, Callable[[Path], Case]] = {
    "batch_first": _batch_first,
    "opset_1": _oldest(1, "opset_1"),
    "opset_3": _oldest(3, "opset_3"),
    "folded": _folded,
    "in_subgraph": _in_subgraph,
    "external": _external,
    "without_lengths": _without_lengths,
}


@pytest.fixture(scope="module")
def runs(
    onnxruntime: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Outcome, GRUSpec, Probe]]:
    """Every case, run in one process."""
    del onnxruntime
    folder = tmp_path_factory.mktemp("onnx")
    cases: dict[str, Case] = {}
    for spec in RUNNABLE:
        onnx.save(gru_model(spec), folder / f"{spec.name}.onnx")
        cases[spec.name] = spec, make_probe(spec), address(*(f"y{k}" for k in range(len(spec.layers))))
    cases.update({name: make(folder) for name, make in SPECIAL.items()})
    jobs = [
        Job("onnxruntime", Artifact(str(folder / f"{name}.onnx"), "onnx", where), probe)
        for name, (_, probe, where) in cases.items()
    ]
    outcomes = zip(cases.items(), run_jobs(jobs), strict=True)
    return {name: (outcome, spec, probe) for (name, (spec, probe, _)), outcome in outcomes}


@pytest.mark.parametrize("case", [*(spec.name for spec in RUNNABLE), *SPECIAL])
def test_agrees_with_the_equations(case: str, runs: Mapping[str, tuple[Outcome, GRUSpec, Probe]]) -> None:
    trace, spec, probe = runs[case]

    assert isinstance(trace, Trace), trace
    assert_agrees(trace, spec, probe)
    assert trace.backend == "onnxruntime"
    assert trace.version.startswith("onnxruntime 1.")
    assert trace.native == (case not in {"batch_first", "in_subgraph", "opset_1", "opset_3"})


@pytest.mark.parametrize(
    ("case", "note"),
    [
        ("reset_after", None),
        ("float16", "ONNX Runtime computes a float16 GRU in float32 and rounds what it returns"),
        ("initial_state", "the file's constant initial_h is the initial state"),
        ("in_subgraph", "the file's constant sequence_lens were replaced by the lengths of the inputs"),
        ("opset_3", "ONNX Runtime has no GRU of opset 3; it was run as one of opset 7"),
        ("batch_first", "the node has layout=1, which ONNX Runtime refuses; it was run with layout=0"),
    ],
)
def test_says_what_was_done(
    case: str, note: str | None, runs: Mapping[str, tuple[Outcome, GRUSpec, Probe]]
) -> None:
    trace = runs[case][0]

    assert isinstance(trace, Trace)
    assert list(trace.notes)[:1] == ([] if note is None else [note])


def _refused(tmp_path: Path, models: Mapping[str, ModelProto], where: dict[str, Any]) -> list[str]:
    probe = make_probe(PLAIN)
    for name, model in models.items():
        onnx.save(model, tmp_path / f"{name}.onnx")
    jobs = [
        Job("onnxruntime", Artifact(str(tmp_path / f"{name}.onnx"), "onnx", where), probe) for name in models
    ]
    outcomes = run_jobs(jobs)
    assert all(isinstance(outcome, BackendError) for outcome in outcomes), outcomes
    return [str(outcome) for outcome in outcomes]


def test_refusals(onnxruntime: ModuleType, tmp_path: Path) -> None:
    del onnxruntime
    w, r, b = constants_of(LAYER, 0, bias=True)
    node = gru_node(LAYER, 0, ["x0", "W0", "R0", "B0"])
    rows = numpy_helper.from_array(np.arange(14, dtype=np.float32).reshape(1, 2, 7), "h0")
    fed = gru_node(LAYER, 0, ["x0", "W0", "R0", "B0", "", "h0"])
    newest = model_of([node], [w, r, b], PLAIN, opset=1000)
    outside = model_of([node], [w, r, b], PLAIN)
    outside.graph.initializer[0].ClearField("raw_data")
    outside.graph.initializer[0].data_location = TensorProto.EXTERNAL
    outside.graph.initializer[0].external_data.add(key="location", value="../secret.bin")
    renamed = model_of([helper.make_node("Tanh", ["x0"], ["y0"])], [], PLAIN)
    words = _refused(
        tmp_path,
        {
            "computed": model_of([node], [r, b], PLAIN, inputs=["W0"]),
            "rows": model_of([fed], [w, r, b, rows], PLAIN),
            "newest": newest,
            "outside": outside,
            "renamed": renamed,
        },
        address("y0"),
    )

    assert words[0].endswith("cannot run it: input W of the GRU node, 'W0', is computed while the model runs")
    assert words[1].endswith("its constant initial_h is for a batch of 2; the inputs have 3 rows")
    assert "opset" in words[2]
    assert "cannot run it: tensor 'W0' lies in the external file '../secret.bin'; grubridge opens" in words[3]
    assert words[4].endswith("the node that makes 'y0' is a Tanh, not a GRU")


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_dtypes_that_onnx_runtime_has_not(dtype: str, onnxruntime: ModuleType, tmp_path: Path) -> None:
    del onnxruntime
    spec = make_spec("plain", dtype=dtype)
    onnx.save(gru_model(spec), tmp_path / "model.onnx")
    artifact = Artifact(str(tmp_path / "model.onnx"), "onnx", address("y0"))
    (outcome,) = run_jobs([Job("onnxruntime", artifact, make_probe(spec))])

    assert isinstance(outcome, CannotRunError)
    assert outcome.reason == f"ONNX Runtime has no {dtype} GRU"
    assert str(outcome) == (
        f"{tmp_path / 'model.onnx'}: onnxruntime cannot run it: ONNX Runtime has no {dtype} GRU; "
        "it runs float32 and float16"
    )
