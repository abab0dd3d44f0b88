"""Keras models that hold code: as Keras itself saves them, refused by name, and read beside it on demand."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge.errors import UnknownFormatError, UnsafeFileError
from grubridge.formats.keras.stored_code import refuse_code
from grubridge.spec import GATE_NAMES
from tests.keras_files import legacy_file
from tests.zoo import make_spec

SKIPPING = grubridge.ReadHints(skip_unsafe=True)
WAY_OUT = (
    "grubridge never runs code from a file and opens no file that another one names; to read the GRUs beside "
    "it, say --skip-unsafe"
)


def _layer(kind: str, **config: object) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": "odd", **config}}


def _with_layer(path: Path, layer: dict[str, Any]) -> Path:
    """Write a model of a GRU and one more layer."""
    plain = path.with_name(f"plain_{path.name}")
    grubridge.write(make_spec("gru", sizes=(3, 4)), plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                model = json.loads(content)
                model["config"]["layers"].append(layer)
                content = json.dumps(model).encode()
            target.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("layer", "held"),
    [
        (_layer("Lambda", function={"class_name": "__lambda__", "config": {}}), "holds Python bytecode"),
        (_layer("Lambda", function=["4wEA", None, None], function_type="lambda"), "holds Python bytecode"),
        (_layer("Lambda", function="f", mask=["4wEA"], mask_type="lambda"), "holds Python bytecode"),
        (_layer("TimeDistributed", layer=_layer("Lambda", function=["4wEA"])), "holds Python bytecode"),
        (
            _layer("TorchModuleWrapper", module={"class_name": "__bytes__"}),
            "holds a pickled torch module, which runs code when it is loaded",
        ),
        (
            _layer("TextVectorization", vocabulary="/home/\x1b[31m"),
            "takes its vocabulary from another file, '/home/\\x1b[31m'",
        ),
        (_layer("TFSMLayer", filepath="saved"), "takes its filepath from another file, 'saved'"),
    ],
)
def test_what_is_refused(layer: dict[str, Any], held: str, tmp_path: Path) -> None:
    path = _with_layer(tmp_path / "odd.keras", layer)
    kind = "Lambda" if layer["class_name"] == "TimeDistributed" else layer["class_name"]

    for hints in (None, grubridge.ReadHints(layout="keras")):
        with pytest.raises(UnsafeFileError) as refused:
            grubridge.read(path, hints=hints)
        assert str(refused.value) == f"{path}, config.json: {kind} 'odd' {held}. {WAY_OUT}"

    spec = grubridge.read(path, hints=SKIPPING)
    plain = grubridge.read(tmp_path / "plain_odd.keras")
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(spec.arrays(), plain.arrays(), strict=True))


@pytest.mark.parametrize(
    "layer",
    [
        _layer("Lambda", function="my_own", function_type="function"),
        _layer("Lambda", function={"class_name": "function", "module": "os", "config": "system"}),
        _layer("StringLookup", vocabulary=["a", "b"]),
        {**_layer("Mine"), "module": "my.package", "registered_name": "my>Mine"},
        _layer("TorchModuleWrapper", module=None),
    ],
)
def test_what_only_names_something_is_read(layer: dict[str, Any], tmp_path: Path) -> None:
    path = _with_layer(tmp_path / "odd.keras", layer)

    assert grubridge.read(path).layers[0].hidden_size == 4


def test_code_anywhere_in_the_configuration() -> None:
    model = {"class_name": "Sequential", "config": {"layers": []}}
    loss = {"class_name": "__lambda__", "config": {"code": "4wEA"}}
    with pytest.raises(UnsafeFileError, match="x: Sequential holds Python bytecode"):
        refuse_code({**model, "compile_config": {"loss": loss}}, "x")


def test_old_files_and_weights_of_grubridge(tmp_path: Path) -> None:
    """The configuration lies in an attribute there."""
    lam = _layer("Lambda", function=["4wEA"], function_type="lambda")
    model = {"class_name": "Sequential", "config": [lam]}
    path = legacy_file(tmp_path / "old.h5", {}, model=model, version="2.3.1")
    for hints in (None, grubridge.ReadHints(layout="keras")):
        with pytest.raises(
            UnsafeFileError, match=r"old\.h5, model_config: Lambda 'odd' holds Python bytecode"
        ):
            grubridge.read(path, hints=hints)


def test_a_model_that_keras_saved(keras: ModuleType, onnxruntime: ModuleType, tmp_path: Path) -> None:
    """Keras itself refuses it in its safe mode; the float32 weights are read bit for bit, and checked."""
    del onnxruntime
    gru = keras.layers.GRU(4, name="gru")
    ran = tmp_path / "ran"
    code = f"lambda x: (open({str(ran)!r}, 'w').close(), x)[1]"
    odd = keras.layers.Lambda(eval(code), name="odd")  # noqa: S307 - Keras stores no closure
    model = keras.Sequential([keras.Input((5, 3)), gru, odd])
    path, other = tmp_path / "odd.keras", tmp_path / "gru.onnx"
    model.save(path)
    ran.unlink()

    with pytest.raises(UnsafeFileError, match="Lambda 'odd' holds Python bytecode"):
        grubridge.convert(path, other)
    grubridge.convert(path, other, hints=SKIPPING)
    forward = grubridge.read(other).layers[0].forward
    assert forward is not None
    kernel_zrn_i3h = np.concatenate([forward.input_weight[gate].T for gate in GATE_NAMES], axis=1)
    assert np.array_equal(kernel_zrn_i3h, gru.get_weights()[0])
    with pytest.raises(UnsafeFileError, match="Lambda 'odd' holds Python bytecode"):
        grubridge.verify(path, other, backends=["keras", "onnxruntime"])
    report = grubridge.verify(path, other, backends=["keras", "onnxruntime"], hints=SKIPPING)
    assert report.verdict is grubridge.Verdict.EQUIVALENT, grubridge.render(report)
    assert not any(run.native for run in report.runs if run.backend == "keras")
    assert not ran.exists()


def test_other_formats_take_the_permission(tmp_path: Path) -> None:
    """It says nothing of a file, so it may stand beside any; the hints may not."""
    path = tmp_path / "x.onnx"
    grubridge.write(make_spec("gru", sizes=(3, 4)), path)

    assert grubridge.read(path, hints=SKIPPING).layers[0].hidden_size == 4
    with pytest.raises(UnknownFormatError, match="--activation is for Keras weights"):
        grubridge.read(path, hints=grubridge.ReadHints(activation="tanh", skip_unsafe=True))
