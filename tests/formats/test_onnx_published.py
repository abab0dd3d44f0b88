"""ONNX files and numbers that other projects published."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, load, numpy_helper
from onnx.helper import make_node, make_tensor_value_info

from grubridge import reference
from grubridge.formats.base import ReadHints
from grubridge.formats.onnx import adapter as onnx
from grubridge.formats.onnx.attributes import first_output
from grubridge.formats.pytorch import adapter as pytorch
from grubridge.formats.readback import differences
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Probe, Trace
from tests.onnx_grus import Node, assert_close, probe_of, read_one, run, save

ONNX_NODES = "onnx_backend/onnx/backend/test/data/node"
GTCRN = "gtcrn/stream/onnx_models/gtcrn.onnx"
DELFT = "delft/exported_models/license-gru.onnx/a1ccd03.classifier.onnx"


def _array(stored: dict[str, Any]) -> Array:
    return np.array(stored["data"], stored.get("dtype", "float32")).reshape(stored["shape"])


def _final_states(trace: Trace, probe: Probe) -> Array:
    """Return Y_h, [D, B, H], of a trace of one layer."""
    lengths = np.full(probe.batch, probe.steps) if probe.lengths is None else probe.lengths
    last = {"forward": lengths - 1, "backward": np.zeros(probe.batch, int)}
    rows = np.arange(probe.batch)
    return np.stack([trace.places[place].hidden[rows, last[place[1]]] for place in trace])


def _assert_runs_as_published(spec: GRUSpec, feeds: dict[str, Array], outputs: dict[str, Array]) -> None:
    """Compare Y and Y_h; a sequence of length 0, which a probe cannot have, must be all zero."""
    lengths = feeds.get("sequence_lens")
    rows = np.arange(feeds["X"].shape[1]) if lengths is None else np.flatnonzero(lengths)
    for output in outputs.values():
        empty = np.delete(output, rows, axis=-2)
        assert not empty.any()
    if not len(rows):
        return
    axes = {"X": 1, "initial_h": 1, "sequence_lens": 0}
    probe = probe_of(spec, {name: array.take(rows, axes[name]) for name, array in feeds.items()})
    trace = reference.run(spec, probe)
    made = {
        "Y": np.stack([trace.places[place].hidden for place in trace]).transpose(2, 0, 1, 3),
        "Y_h": _final_states(trace, probe),
    }
    for name, output in outputs.items():
        assert_close(output.take(rows, axis=-2), made[name], 2e-6)


def test_onnx_runtimes_own_cases(real: Path, tmp_path: Path) -> None:
    cases = json.loads((real / "ort_gru/ort_gru_cases.json").read_text())
    assert len(cases) == 56
    for case in cases:
        inputs = {name: _array(stored) for name, stored in case["inputs"].items()}
        weights = {name: inputs.pop(name) for name in ("W", "R", "B") if name in inputs}
        names = ["X", "W", "R", "B", "sequence_lens", "initial_h"]
        node = make_node(
            "GRU",
            [name if name in inputs | weights else "" for name in names],
            ["Y", "Y_h"],
            **case["attrs"],
        )

        spec = read_one(Node(node, weights, inputs).model(), tmp_path)

        outputs = {name: _array(stored) for name, stored in case["outputs"].items()}
        _assert_runs_as_published(spec, inputs, outputs)


@pytest.mark.parametrize("name", ["defaults", "with_initial_bias", "seq_length", "batchwise"])
def test_the_onnx_projects_own_cases(real: Path, tmp_path: Path, name: str) -> None:
    folder = real / ONNX_NODES / f"test_gru_{name}"
    model = load(folder / "model.onnx")
    data = folder / "test_data_set_0"

    def stored(kind: str, count: int) -> list[Array]:
        files = (data / f"{kind}_{number}.pb" for number in range(count))
        return [numpy_helper.to_array(TensorProto.FromString(path.read_bytes())) for path in files]

    arrays = dict(
        zip((one.name for one in model.graph.input), stored("input", len(model.graph.input)), strict=True)
    )
    x = arrays.pop("X")
    spec = read_one(Node(model.graph.node[0], arrays, {"X": x}, 22).model(), tmp_path)

    layout = int(name == "batchwise")
    probe = probe_of(spec, {"X": x}, layout=layout)
    made = _final_states(reference.run(spec, probe), probe)
    expected = stored("output", len(model.graph.output))[-1]
    assert_close(expected, made.swapaxes(0, 1) if layout else made, 2e-6)


def test_gtcrn_has_fourteen_grus_that_run_as_in_onnx_runtime(
    real: Path, onnxruntime: ModuleType, tmp_path: Path
) -> None:
    found = onnx.contents(real / GTCRN, ReadHints())
    assert len(found.stacks) == 14
    assert found.framework == "pytorch 1.11.0"
    model = load(real / GTCRN)
    nodes = {first_output(node): node for node in model.graph.node if node.op_type == "GRU"}
    for node in nodes.values():
        for name in (node.input[0], node.input[5], node.output[0]):
            model.graph.output.append(make_tensor_value_info(name, TensorProto.FLOAT, None))
    golden = np.load(real / "golden/ort_gtcrn.npz")
    feeds = {name.removeprefix("in_"): golden[name] for name in golden.files if name.startswith("in_")}
    outputs = run(onnxruntime, save(model, tmp_path / "m.onnx"), feeds)

    for number, entry in enumerate(found.stacks):
        node = nodes[entry.address["nodes"][0]["output"]]
        spec = entry.read()
        probe = probe_of(spec, {"X": outputs[node.input[0]], "initial_h": outputs[node.input[5]]})
        trace = reference.run(spec, probe)
        y = np.stack([trace.places[place].hidden for place in trace]).transpose(2, 0, 1, 3)
        assert_close(golden[f"out{4 + number}"], y, 2e-6)


def test_delfts_classifier_runs_as_in_onnx_runtime(real: Path) -> None:
    (entry,) = onnx.contents(real / DELFT, ReadHints()).stacks
    assert entry.name == "/model/bigru1/GRU:/model/bigru2/GRU"
    assert [member.name for member in entry.members] == ["/model/bigru1/GRU", "/model/bigru2/GRU"]
    golden = np.load(real / "golden/ort_delft_license.npz")

    trace = reference.run(entry.read(), Probe(golden["x"].astype(np.float64)))

    for layer in (0, 1):
        hidden = [trace.places[layer, name].hidden for name in ("forward", "backward")]
        assert_close(golden[f"gru{layer + 1}"], np.stack(hidden).transpose(2, 0, 1, 3), 1e-5)


def test_gtcrns_checkpoint_holds_the_same_bits(real: Path) -> None:
    checkpoint = real / "gtcrn/stream/onnx_models/model_trained_on_dns3.tar"
    exported = [entry.read() for entry in onnx.contents(real / GTCRN, ReadHints()).stacks]
    trained = pytorch.contents(checkpoint, ReadHints()).stacks

    pairs = {
        entry.name: [spec.name for spec in exported if not differences(entry.read(), spec)]
        for entry in trained
    }

    assert pairs == {
        "decoder.de_convs.0.tra.att_gru": ["GRU_1111"],
        "decoder.de_convs.1.tra.att_gru": ["GRU_1348"],
        "decoder.de_convs.2.tra.att_gru": ["GRU_1585"],
        "dpgrnn1.inter_rnn.rnn1": ["GRU_780"],
        "dpgrnn1.inter_rnn.rnn2": ["GRU_784"],
        "dpgrnn1.intra_rnn.rnn1": ["GRU_700"],
        "dpgrnn1.intra_rnn.rnn2": ["GRU_706"],
        "dpgrnn2.inter_rnn.rnn1": ["GRU_957"],
        "dpgrnn2.inter_rnn.rnn2": ["GRU_961"],
        "dpgrnn2.intra_rnn.rnn1": ["GRU_877"],
        "dpgrnn2.intra_rnn.rnn2": ["GRU_883"],
        "encoder.en_convs.2.tra.att_gru": ["GRU_153"],
        "encoder.en_convs.3.tra.att_gru": ["GRU_343"],
        "encoder.en_convs.4.tra.att_gru": ["GRU_533"],
    }


def test_delfts_checkpoint_holds_the_same_bits(real: Path) -> None:
    checkpoint = real / "delft/data/models/textClassification/license_gru/52d13ab.model_weights.pth"
    (exported,) = onnx.contents(real / DELFT, ReadHints()).stacks
    trained = pytorch.contents(checkpoint, ReadHints()).stacks

    assert [entry.name for entry in trained] == ["bigru1", "bigru2"]
    for entry, member in zip(trained, exported.members, strict=True):
        assert differences(entry.read(), member.read()) == ()
