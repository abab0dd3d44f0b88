"""Bad input: exit code 2, a message that names file, place, cause and way out, and no file left behind."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import helper

import grubridge as library
from grubridge.spec import Gates
from tests.cli.command import grubridge
from tests.zoo import make_spec, member


def _truncated(ending: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"model{ending}"
        library.write(make_spec("big", sizes=(30, 40)), path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return make


def _text(folder: Path) -> Path:
    path = folder / "notes.keras"
    path.write_text("this is no model\n" * 20)
    return path


def _lfs_pointer(folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    return path


def _wrong_shapes(folder: Path) -> Path:
    path = folder / "model.safetensors"
    header = {
        "gru.weight_ih_l0": {"dtype": "F32", "shape": [21, 5], "data_offsets": [0, 420]},
        "gru.weight_hh_l0": {"dtype": "F32", "shape": [21, 6], "data_offsets": [420, 924]},
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(924))
    return path


def _lstm(folder: Path) -> Path:
    path = folder / "lstm.safetensors"
    shapes = {"rnn.weight_ih_l0": [20, 3], "rnn.weight_hh_l0": [20, 5]}
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))
    return path


def _no_recurrent_layer(folder: Path) -> Path:
    path = folder / "dense.onnx"
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "dense",
        [value("x", onnx.TensorProto.FLOAT, [1, 2])],
        [value("y", onnx.TensorProto.FLOAT, [1, 2])],
    )
    content: bytes = helper.make_model(graph).SerializeToString()
    path.write_bytes(content)
    return path


class _Evil:
    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self._marker}",)


def _code_in_a_pickle(folder: Path) -> Path:
    path = folder / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Evil(folder / "executed"), protocol=2))
        archive.writestr("archive/version", "3\n")
    return path


def _zip_bomb(folder: Path) -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "[" + " " * (200 << 20) + "]")
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", b"")
    return path


def _external_data_outside(folder: Path) -> Path:
    (folder / "inner").mkdir()
    path = folder / "inner" / "model.onnx"
    library.write(member("reset_after"), path)
    model = onnx.load(path)
    for number, tensor in enumerate(model.graph.initializer):
        (folder / f"weights{number}").write_bytes(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", f"../weights{number}"
    path.write_bytes(model.SerializeToString())
    return path


def _foreign_hdf5(folder: Path) -> Path:
    path = folder / "measurements.h5"
    with h5py.File(path, "w") as file:
        file["temperature"] = np.arange(5.0)
    return path


CASES: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "missing": (lambda folder: folder / "absent.keras", ["there is no such file"]),
    "folder": (lambda folder: folder, ["expected a file; received a folder"]),
    "not a model": (_text, ["not a model file that grubridge can read (keras, onnx,", "its name says keras"]),
    "truncated .pt": (_truncated(".pt"), ["truncated"]),
    "truncated .safetensors": (_truncated(".safetensors"), ["truncated"]),
    "truncated .onnx": (_truncated(".onnx"), ["truncated"]),
    "truncated .keras": (_truncated(".keras"), ["truncated"]),
    "truncated .h5": (_truncated(".h5"), ["truncated"]),
    "wrong shapes": (_wrong_shapes, ["weight_hh_l0", "[21, 6]"]),
    "an LSTM": (_lstm, ["no GRU in it; it holds LSTM 'rnn'"]),
    "no recurrent layer": (_no_recurrent_layer, ["no GRU in it; it holds no recurrent layer"]),
    "Git LFS pointer": (_lfs_pointer, ["this is a Git LFS pointer", "run git lfs pull"]),
    "code in a pickle": (_code_in_a_pickle, ["system", "state_dict()"]),
    "zip bomb": (_zip_bomb, ["config.json"]),
    "external data outside": (_external_data_outside, ["external", "inside the model's own folder only"]),
    "HDF5 of something else": (_foreign_hdf5, ["no GRU in it"]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_exit_code_2_and_the_reason(case: str, command: str, tmp_path: Path) -> None:
    make, expected = CASES[case]
    source = make(tmp_path)
    target = tmp_path / "out.safetensors"
    before = sorted(tmp_path.rglob("*"))

    ended = grubridge(command, source, *([target] if command == "convert" else []))

    assert ended.code == 2, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"error: {source}")
    for words in expected:
        assert words in ended.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    library.write(member("reset_after"), path)
    return path


def test_an_existing_target_is_kept_without_force(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    target.write_text("precious")

    refused = grubridge("convert", model, target)
    kept = target.read_text()
    forced = grubridge("convert", model, target, "--force")

    assert (refused.code, kept) == (2, "precious")
    assert "the file exists; choose another name, or replace it with --force" in refused.stderr
    assert forced.code == 0
    assert library.list_stacks(target) == ("gru_0",)


def test_a_target_in_no_folder(model: Path, tmp_path: Path) -> None:
    ended = grubridge("convert", model, tmp_path / "nowhere" / "out.onnx")

    assert ended.code == 2
    assert f"the folder {tmp_path / 'nowhere'} does not exist; create it first" in ended.stderr


def test_a_target_that_cannot_be_written(model: Path) -> None:
    ended = grubridge("convert", model, "/proc/out.onnx")

    assert ended.code == 2
    assert ended.stderr.startswith("error: /proc/out.onnx: ")


def test_the_source_as_target(model: Path) -> None:
    before = model.read_bytes()

    ended = grubridge("convert", model, model, "--force")

    assert ended.code == 2
    assert "source and target are the same file; choose another name" in ended.stderr
    assert model.read_bytes() == before


def test_unknown_names_get_the_nearest(model: Path, tmp_path: Path) -> None:
    stack = grubridge("inspect", model, "--stack", "gur")
    ending = grubridge("convert", model, tmp_path / "out.onxn")
    no_ending = grubridge("convert", model, tmp_path / "out")
    target_format = grubridge("convert", model, tmp_path / "out", "--to", "pytorhc")
    ending_as_format = grubridge("convert", model, tmp_path / "out", "--to", "pt")
    option = grubridge("convert", model, tmp_path / "out.onnx", "--opste", "17")
    dtype = grubridge("convert", model, tmp_path / "out.onnx", "--dtype", "float8")

    runs = (stack, ending, no_ending, target_format, ending_as_format, option, dtype)
    assert [run.code for run in runs] == [2] * 7
    assert "no GRU is called 'gur'. Did you mean 'gru'? It holds: gru" in stack.stderr
    assert "the ending '.onxn' names no format. Did you mean '.onnx'?" in ending.stderr
    assert "out: its name has no ending. Known endings: .keras, .h5" in no_ending.stderr
    assert "unknown format 'pytorhc'. Did you mean 'pytorch'?" in target_format.stderr
    assert "unknown format 'pt'. Did you mean 'pytorch'?" in ending_as_format.stderr
    assert "--opset" in option.stderr
    assert "dtype must be one of float16, bfloat16, float32, float64; received 'float8'" in dtype.stderr
    assert list(tmp_path.iterdir()) == [model]


def test_options_of_another_format_are_refused(model: Path, tmp_path: Path) -> None:
    written = grubridge("convert", model, tmp_path / "out.pt", "--opset", "17", "--with-gates")
    read = grubridge("inspect", model, "--activation", "relu")

    assert written.code == read.code == 2
    assert "- --opset is for ONNX\n- --with-gates is for ONNX" in written.stderr
    assert "--activation is for Keras weights without a model; this file is safetensors" in read.stderr


def test_a_refused_conversion_lists_every_reason(tmp_path: Path) -> None:
    source, target = tmp_path / "model.onnx", tmp_path / "out.pt"
    library.write(member("clip"), source)

    ended = grubridge("convert", source, target)

    assert ended.code == 2
    assert "pytorch cannot hold this GRU:" in ended.stderr
    assert "- the reset gate is applied before the recurrent product" in ended.stderr
    assert "- pre-activations are clipped to 0.75" in ended.stderr
    assert not target.exists()


def test_nan_weights_are_a_warning(tmp_path: Path) -> None:
    spec = member("reset_after")
    (layer,) = spec.layers
    assert layer.forward is not None
    update = layer.forward.input_weight.update.copy()
    update[2, 3] = np.nan
    weights = Gates(update, layer.forward.input_weight.reset, layer.forward.input_weight.candidate)
    sick = replace(spec, layers=(replace(layer, forward=replace(layer.forward, input_weight=weights)),))
    source = tmp_path / "model.onnx"
    library.write(sick, source)

    ended = grubridge("convert", source, tmp_path / "out.pt")

    assert ended.code == 0
    assert "warning: " in ended.stderr
    assert "layer 0 forward input_weight.update holds NaN or infinity" in ended.stderr


def test_json_holds_the_error_too(tmp_path: Path) -> None:
    ended = grubridge("inspect", tmp_path / "absent.onnx", "--json")

    assert ended.code == 2
    document = json.loads(ended.stdout)
    assert document["error"]["kind"] == "FileFormatError"
    assert "there is no such file" in document["error"]["message"]


def test_json_holds_the_errors_of_the_option_parser_too() -> None:
    ended = grubridge("inspect", "model.onnx", "--json", "--stak", "gru")

    assert ended.code == 2
    error = json.loads(ended.stdout)["error"]
    assert error["kind"] == "NoSuchOption"
    assert "No such option: --stak" in error["message"]
    assert "No such option: --stak" in ended.stderr
