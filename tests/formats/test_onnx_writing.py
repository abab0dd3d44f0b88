"""ONNX files that grubridge writes: run by ONNX Runtime, accepted by onnx.checker, read back bit by bit."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx as onnx_package
import pytest
from onnx.defs import onnx_opset_version

from grubridge import reference
from grubridge.errors import UnsupportedFeatureError
from grubridge.formats.base import Provenance, ReadHints, WriteOptions, Written
from grubridge.formats.onnx import adapter as onnx
from grubridge.formats.onnx import store as onnx_store
from grubridge.formats.readback import differences
from grubridge.spec import (
    CANDIDATE,
    GATE_NAMES,
    RESET,
    UPDATE,
    Activation,
    Array,
    Gates,
    GRUDirection,
    GRULayer,
    GRUSpec,
    Layout,
    StackIO,
)
from grubridge.traces import Probe, Trace
from grubridge.version import __version__
from tests.onnx_grus import assert_close, run
from tests.zoo import ZOO, make_spec, member

CANONICAL = Layout(GATE_NAMES, "output")
RUNNABLE = [spec for spec in ZOO if spec.dtype.name in {"float16", "float32"}]
STEPS, BATCH = 6, 3


def _write(spec: GRUSpec, path: Path, source: Layout = CANONICAL, **options: Any) -> Written:
    return onnx.write(spec, path, WriteOptions(**options), Provenance({"grubridge.from": "test"}), source)


def _read(path: Path) -> GRUSpec:
    (entry,) = onnx.contents(path, ReadHints()).stacks
    return entry.read()


def _probe(spec: GRUSpec, *, with_state: bool) -> Probe:
    rng = np.random.default_rng(7)

    def numbers(*shape: int) -> Array:
        return rng.uniform(-1, 1, shape).astype(spec.dtype)

    places = [(index, name, direction.hidden_size) for index, name, direction in spec.directions()]
    states = {(index, name): numbers(BATCH, size) for index, name, size in places} if with_state else {}
    return Probe(numbers(BATCH, STEPS, spec.input_size), states)


def _assert_same(outputs: dict[str, Array], trace: Trace, *, time_major: bool, tolerance: float) -> None:
    """Compare every output of a written model with the reference."""
    top = max(index for index, _ in trace)
    finals = []
    for layer in range(top + 1):
        places = [trace.places[place] for place in trace if place[0] == layer]
        gates = [place.gates for place in places if place.gates is not None]
        expected = {
            f"{gate}_{layer}": np.concatenate([one[gate] for one in gates], -1) for gate in GATE_NAMES
        }
        if layer == top:
            expected["y"] = np.concatenate([place.hidden for place in places], -1)
        for name in expected.keys() & outputs.keys():
            made = outputs[name].swapaxes(0, 1) if time_major else outputs[name]
            assert_close(made, expected[name], tolerance)
        names = [name for index, name in trace if index == layer]
        last = [trace.places[layer, name].hidden[:, -1 if name == "forward" else 0] for name in names]
        finals.append(np.stack(last))
    if "final_state" in outputs:
        assert_close(outputs["final_state"], np.concatenate(finals), tolerance)
    else:
        for layer, final in enumerate(finals):
            assert_close(outputs[f"final_state_{layer}"], final, tolerance)


def _feeds(spec: GRUSpec, probe: Probe, *, time_major: bool) -> dict[str, Array]:
    feeds = {"x": probe.x.swapaxes(0, 1) if time_major else probe.x}
    if probe.initial_state:
        rows = {
            layer: np.stack([state for place, state in probe.initial_state.items() if place[0] == layer])
            for layer in range(len(spec.layers))
        }
        if len({layer.hidden_size for layer in spec.layers}) == 1:
            feeds["initial_state"] = np.concatenate(list(rows.values()))
        else:
            feeds |= {f"initial_state_{layer}": state for layer, state in rows.items()}
    return feeds


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "state and gates": {"with_state": True, "with_gates": True},
    "gates, time major": {"with_gates": True, "time_major": True},
    "oldest opset, gates": {"with_gates": True, "opset": 7},
    "opset 10, gates": {"with_gates": True, "opset": 10},
    "opset 26, everything": {"with_state": True, "with_gates": True, "time_major": True, "opset": 26},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("spec", RUNNABLE, ids=lambda spec: spec.name)
def test_onnx_runtime_computes_what_was_written(
    onnxruntime: ModuleType, tmp_path: Path, spec: GRUSpec, options: str
) -> None:
    how = dict(OPTIONS[options])
    if spec.name == "initial_state":
        how.pop("with_state", None)
    path = tmp_path / "m.onnx"
    written = _write(spec, path, **how)
    probe = _probe(spec, with_state=how.get("with_state", False))
    time_major = how.get("time_major", False)

    outputs = run(onnxruntime, path, _feeds(spec, probe, time_major=time_major))

    expected = {"update_0", "reset_0", "candidate_0"} if how.get("with_gates") else set()
    assert expected <= outputs.keys()
    tolerance = 2e-6 if spec.dtype == np.float32 else 4e-3
    _assert_same(outputs, reference.run(spec, probe), time_major=time_major, tolerance=tolerance)
    onnx_package.checker.check_model(path, full_check=True)
    assert differences(written.stored, _read(path)) == ()
    if not any("zero-filled" in record.actions for record in written.records):
        assert differences(spec, _read(path)) == ()


@pytest.mark.parametrize("opset", range(7, onnx_opset_version() + 1))
@pytest.mark.parametrize("name", ["two_layers_bidirectional", "clip", "initial_state"])
def test_every_opset(tmp_path: Path, name: str, opset: int) -> None:
    path = tmp_path / "m.onnx"
    _write(member(name), path, with_gates=True, opset=opset)

    onnx_package.checker.check_model(path, full_check=True)
    assert onnx_package.load(path).opset_import[0].version == opset
    assert differences(member(name), _read(path)) == ()


@pytest.mark.parametrize("name", ["bfloat16", "float64"])
def test_types_that_onnx_runtime_does_not_run(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.onnx"
    written = _write(member(name), path, with_gates=True)

    onnx_package.checker.check_model(path, full_check=True)
    assert differences(written.stored, _read(path)) == ()
    gates, runtime = written.notes
    outputs = "update_0, reset_0 and candidate_0 [batch, time, D*H] of layer 0, and so on"
    assert gates == f"the gates are the outputs {outputs}"
    assert runtime == (
        f"ONNX Runtime has no {name} GRU, so it loads the file and refuses to run it; --dtype float32 writes "
        "one that it runs"
    )
    assert onnx_package.load(path).opset_import[0].version == (22 if name == "bfloat16" else 17)


FUNCTIONS = [
    Activation("affine", 0.4, 0.1),
    Activation("elu", 0.7),
    Activation("hard_sigmoid", 1 / 6, 0.5),
    Activation("leaky_relu", 0.3),
    Activation("relu"),
    Activation("scaled_tanh", 0.9, 1.3),
    Activation("sigmoid"),
    Activation("softplus"),
    Activation("softsign"),
    Activation("tanh"),
    Activation("thresholded_relu", 0.2),
]


@pytest.mark.parametrize("opset", [7, 17])
@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_gates_of_every_activation(
    onnxruntime: ModuleType, tmp_path: Path, function: Activation, opset: int
) -> None:
    other = Activation("tanh")
    spec = make_spec("both", directions="both", activations=((function, other), (other, function)), clip=0.4)
    path = tmp_path / "m.onnx"
    written = _write(spec, path, with_gates=True, opset=opset)
    probe = _probe(spec, with_state=False)

    outputs = run(onnxruntime, path, {"x": probe.x})

    _assert_same(outputs, reference.run(spec, probe), time_major=False, tolerance=2e-6)
    assert differences(written.stored, _read(path)) == ()


def test_inputs_and_outputs_have_the_shapes_that_were_promised(tmp_path: Path) -> None:
    _write(member("two_layers_bidirectional"), tmp_path / "m.onnx", with_state=True, with_gates=True)
    graph = onnx_package.load(tmp_path / "m.onnx").graph

    def shapes(values: Any) -> dict[str, list[Any]]:
        return {
            value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
            for value in values
        }

    assert shapes(graph.input) == {"x": ["batch", "time", 4], "initial_state": [4, "batch", 5]}
    assert shapes(graph.output) == {
        "y": ["batch", "time", 10],
        "final_state": [4, "batch", 5],
        **{f"{gate}_{layer}": ["batch", "time", 10] for layer in (0, 1) for gate in GATE_NAMES},
    }


def test_nodes_say_everything_and_the_file_says_who_wrote_it(tmp_path: Path) -> None:
    spec = member("activations_per_direction")
    _write(spec, tmp_path / "m.onnx")
    model = onnx_package.load(tmp_path / "m.onnx")

    (node,) = (node for node in model.graph.node if node.op_type == "GRU")
    given = {one.name: onnx_package.helper.get_attribute_value(one) for one in node.attribute}
    assert given == {
        "activations": [b"Sigmoid", b"Tanh", b"HardSigmoid", b"ScaledTanh"],
        "activation_alpha": pytest.approx([0.2, 0.9]),
        "activation_beta": pytest.approx([0.5, 1.25]),
        "direction": b"bidirectional",
        "hidden_size": 4,
        "linear_before_reset": 1,
    }
    assert (model.producer_name, model.producer_version, model.ir_version) == ("grubridge", __version__, 8)
    assert model.graph.name == "activations_per_direction"
    assert {one.key: one.value for one in model.metadata_props} == {"grubridge.from": "test"}


def test_the_same_spec_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.onnx", "two.onnx"):
        _write(member("initial_state"), tmp_path / name, with_gates=True)

    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_the_records_say_what_was_done(tmp_path: Path) -> None:
    keras = Layout((UPDATE, RESET, CANDIDATE), "input")
    torch = Layout((RESET, UPDATE, CANDIDATE), "output")
    spec = member("reset_before")

    written = _write(spec, tmp_path / "a.onnx", keras)
    assert [(one.tensor, one.shape, one.actions, one.exact) for one in written.records] == [
        ("gru_0_W", (1, 21, 5), ("transposed",), True),
        ("gru_0_R", (1, 21, 7), ("transposed",), True),
        ("gru_0_B", (1, 42), ("zero-filled",), True),
    ]
    assert written.records[2].made_of == ("layer 0 forward input_bias", "layer 0 forward recurrent_bias")
    written = _write(member("initial_state"), tmp_path / "b.onnx", torch)
    assert [(one.tensor, one.actions) for one in written.records[:4]] == [
        ("gru_0_W", ("permuted",)),
        ("gru_0_R", ("permuted",)),
        ("gru_0_B", ("permuted",)),
        ("gru_0_state", ("copied",)),
    ]
    assert written.records[3].made_of == (
        "layer 0 forward initial_state", "layer 0 backward initial_state",
    )  # fmt: skip


def test_a_state_of_one_direction_and_one_that_is_zero(onnxruntime: ModuleType, tmp_path: Path) -> None:
    spec = make_spec("half", directions="both", initial_state=True)
    layer = spec.layers[0]
    assert layer.backward is not None
    zero = replace(layer.backward, initial_state=np.zeros(7, np.float32))
    spec = replace(spec, layers=(replace(layer, backward=zero),))

    written = _write(spec, tmp_path / "m.onnx")

    assert written.records[-1].actions == ("zero-filled",)
    assert written.notes == (
        "layer 0 backward: its initial state, all zero, is left out; the result is the same",
    )
    assert differences(written.stored, _read(tmp_path / "m.onnx")) == ()
    probe = _probe(spec, with_state=False)
    outputs = run(onnxruntime, tmp_path / "m.onnx", {"x": probe.x})
    _assert_same(outputs, reference.run(spec, probe), time_major=False, tolerance=2e-6)


def test_weights_beyond_protobufs_limit_lie_beside_the_model(
    onnxruntime: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_store, "_LARGEST_MESSAGE", 10_000)
    small, large = member("reset_after"), make_spec("large", sizes=(20, 40, 30), directions="both")
    _write(small, tmp_path / "small.onnx")

    written = _write(large, tmp_path / "large.onnx", with_gates=True)

    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"small.onnx", "large.onnx", "large.onnx.data"}
    assert written.notes[1] == (
        "the weights are too large for one protobuf file: they are in large.onnx.data, which must stay "
        "beside the model"
    )
    small_part = onnx_package.load(tmp_path / "large.onnx", load_external_data=False)
    begins = [one.external_data[1] for one in small_part.graph.initializer if one.external_data]
    assert {one.key for one in begins} == {"offset"}
    assert [int(one.value) % 4096 for one in begins] == [0] * 6
    onnx_package.checker.check_model(tmp_path / "large.onnx", full_check=True)
    assert differences(written.stored, _read(tmp_path / "large.onnx")) == ()
    probe = _probe(large, with_state=False)
    outputs = run(onnxruntime, tmp_path / "large.onnx", {"x": probe.x})
    _assert_same(outputs, reference.run(large, probe), time_major=False, tolerance=2e-6)


def test_writing_takes_little_memory(tmp_path: Path) -> None:
    def gates(*shape: int) -> Gates[Array]:
        block = np.zeros(shape, np.float32)
        return Gates(block, block, block)

    direction = GRUDirection(gates(1600, 1600), gates(1600, 1600), gates(1600), gates(1600))
    spec = GRUSpec((GRULayer(direction, None, reset_after=True),))
    tracemalloc.start()
    try:
        _write(spec, tmp_path / "m.onnx")
        _read(tmp_path / "m.onnx")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (tmp_path / "m.onnx").stat().st_size > 60_000_000
    assert peak < 4_000_000


IO = {
    "apart": (
        StackIO(merge_mode=None),
        "the source kept the two directions apart; y [batch, time, D*H] has them side by side, forward first",
    ),
    "mean": (
        StackIO(merge_mode="ave"),
        (
            "the source joined the two directions by ave; y [batch, time, D*H] has them side by side, "
            "forward first: take their mean in your own code"
        ),
    ),
    "go_backwards": (
        StackIO(processing_order=True),
        "the source gave its steps last first (go_backwards); y is in the order of time",
    ),
    "last step": (
        StackIO(return_sequences=False),
        "the source gave the last state only: use final_state, not y",
    ),
    "mask": (
        StackIO(masking=True),
        "the source skipped masked steps; the graph has no mask: pass sequences of one length at a time",
    ),
    "stateful": (
        StackIO(stateful=True),
        "the source kept its state between batches: write with --with-state and feed final_state back",
    ),
}


@pytest.mark.parametrize("name", IO)
def test_what_the_source_did_around_the_gru_is_told(tmp_path: Path, name: str) -> None:
    io, note = IO[name]

    assert _write(replace(member("bidirectional"), io=io), tmp_path / "m.onnx").notes == (note,)


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "old opset": ("reset_after", {"opset": 6}, "opset 6: grubridge writes opset 7 to"),
    "future opset": ("reset_after", {"opset": 99}, "the newest of the installed onnx"),
    "bfloat16": (
        "bfloat16",
        {"opset": 17},
        "opset 17: its GRU has no bfloat16; choose --opset 22 or newer, or --dtype float32",
    ),
    "two states": (
        "initial_state",
        {"with_state": True},
        (
            "--with-state: the GRU carries a learned initial state, which an input would replace; leave "
            "the option out"
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_options_that_cannot_be_met(tmp_path: Path, name: str) -> None:
    spec, options, reason = REFUSED[name]

    with pytest.raises(UnsupportedFeatureError) as caught:
        _write(member(spec), tmp_path / "m.onnx", **options)

    assert reason in str(caught.value)
    assert len(caught.value.features) == 1
    assert not list(tmp_path.iterdir())
