"""ONNX's messages without the onnx package, and what grubridge knows of ONNX instead of asking it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx.defs import onnx_opset_version
from onnx.helper import VERSION_TABLE, find_min_ir_version_for, make_opsetid

from grubridge.formats.base import WriteOptions
from grubridge.formats.onnx import opsets
from grubridge.live.onnx import from_model, to_model
from grubridge.spec import Activation
from tests.zoo import make_spec

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
MESSAGES = "grubridge.formats.onnx.messages"
CLASSES_AGREE = """
import json, pickle
from grubridge.formats.onnx import messages
from grubridge.live.onnx import from_model, to_model
from tests.zoo import member
before = "onnx" in sys.modules
model = to_model(member("two_layers_bidirectional"))
import onnx.checker
onnx.checker.check_model(model, full_check=True)
classes = [value for value in vars(onnx.onnx_ml_pb2).values() if isinstance(value, type)]
loaded = onnx.load_model_from_string(model.SerializeToString())
print(json.dumps({
    "imported first": before,
    "same classes": [name for name in messages.__all__ if getattr(onnx, name) is getattr(messages, name)],
    "instance": isinstance(model, onnx.ModelProto) and isinstance(model.graph.node[0], onnx.NodeProto),
    "equal": loaded == model == pickle.loads(pickle.dumps(model)),
    "layers": len(from_model(loaded).layers),
    "whole": onnx.onnx_ml_pb2.ModelProto is onnx.ModelProto,
    "modules": sorted({one.__module__ for one in classes}),
}))
"""


def _run(code: str, *arguments: str, **environment: str) -> Any:
    """Run `code` in a fresh process; return what it prints, which is JSON."""
    command = [sys.executable, "-W", "error", "-c", "import sys\n" + code, *arguments]
    variables = os.environ | environment
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=variables, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("protobuf", ["python", "upb"])
@pytest.mark.parametrize("first", ["onnx", MESSAGES])
def test_the_classes_are_those_of_onnx_whichever_is_imported_first(first: str, protobuf: str) -> None:
    found = _run(f"import {first}\n{CLASSES_AGREE}", PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=protobuf)

    assert found == {
        "imported first": first == "onnx",
        "same classes": [
            "AttributeProto",
            "GraphProto",
            "ModelProto",
            "NodeProto",
            "OperatorSetIdProto",
            "TensorProto",
            "ValueInfoProto",
        ],
        "instance": True,
        "equal": True,
        "layers": 2,
        "whole": True,
        "modules": ["onnx.onnx_ml_pb2"],
    }


def test_an_onnx_laid_out_in_another_way_is_imported_whole(tmp_path: Path) -> None:
    names = _run(f"import json, {MESSAGES} as messages\nprint(json.dumps(messages.__all__))")
    made = "".join(f"class {name}: pass\n" for name in names)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "__init__.py").write_text(made)

    code = f"sys.path.insert(0, sys.argv[1])\nimport json, {MESSAGES} as messages\n"
    modules = _run(
        code + "print(json.dumps([getattr(messages, name).__module__ for name in messages.__all__]))",
        str(tmp_path),
    )

    assert modules == ["onnx"] * len(names)


NEWER = pytest.mark.skipif(onnx_opset_version() < 25, reason="the installed onnx has no opset 25")


@pytest.mark.parametrize(("opset", "imported"), [(17, []), (24, []), pytest.param(25, ["onnx"], marks=NEWER)])
def test_converting_imports_no_onnx_below_the_opsets_that_only_it_knows(
    tmp_path: Path, opset: int, imported: list[str]
) -> None:
    code = """
import json
import grubridge
source, model, weights, opset = sys.argv[1:]
grubridge.convert(source, model, options=grubridge.WriteOptions(opset=int(opset), with_gates=True))
grubridge.convert(model, weights)
print(json.dumps(["onnx"] if any(name.split(".")[0] == "onnx" for name in sys.modules) else []))
"""
    files = [str(tmp_path / "m.onnx"), str(tmp_path / "w.safetensors")]

    assert _run(code, str(SAMPLES / "digits_two_layer.pt"), *files, str(opset)) == imported


@pytest.mark.parametrize("opset", range(9, onnx_opset_version() + 1))
def test_the_ir_version_is_the_one_that_onnx_gives_to_an_opset(opset: int) -> None:
    assert opsets.ir_version(opset) == find_min_ir_version_for([make_opsetid("", opset)])


def test_opsets_are_known_up_to_the_newest_of_the_oldest_onnx_that_is_accepted() -> None:
    accepted = re.search(r'"onnx>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert accepted is not None
    newest = {row[2] for row in VERSION_TABLE if row[0].startswith(accepted[1] + ".")}

    assert newest == {max(opsets._IR_VERSIONS)}
    assert [opset for opset in range(100) if opsets.writable(opset)] == list(range(7, opsets.newest() + 1))


@pytest.mark.parametrize("opset", [7, 17])
def test_parameters_given_as_whole_numbers_are_written_as_floats(opset: int) -> None:
    functions = Activation("elu", 1), Activation("leaky_relu", 2)
    spec = make_spec("whole", activations=(functions,), clip=3)

    model = to_model(spec, WriteOptions(with_gates=True, opset=opset))

    onnx.checker.check_model(model, full_check=True)
    read = from_model(model).layers[0]
    assert read.forward is not None
    assert (read.forward.gate_activation, read.forward.candidate_activation, read.clip) == (*functions, 3)
