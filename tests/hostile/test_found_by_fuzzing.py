"""What readers once stumbled over: inputs that fuzzing found, each made here as small as it gets."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge.artifacts import NonFiniteWeightWarning
from grubridge.errors import CorruptFileError
from grubridge.files.checkpoint_names import index_of
from grubridge.files.pickles import read_pickle
from grubridge.formats.keras.contents import layer_io
from grubridge.formats.keras.layout import cell_settings
from grubridge.formats.keras.model import read_model
from tests.zoo import make_spec

Config = dict[str, Any]

_NAMED = {"activation": "tanh", "recurrent_activation": "sigmoid"}


def _sequential(*layers: Config) -> Config:
    return {"class_name": "Sequential", "config": {"name": "m", "layers": list(layers)}}


def _gru(**config: object) -> Config:
    return {"class_name": "GRU", "config": {"name": "gru", "units": 4, **_NAMED, **config}}


def _rnn(cell: object) -> Config:
    return {"class_name": "RNN", "config": {"name": "rnn", "cell": cell}}


_CELLS = {"class_name": "StackedRNNCells", "config": [_gru()]}
_LIST = "the config of {} should be an object; received"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"class_name": "Bidirectional", "config": {"layer": {**_gru(), "config": []}}}, _LIST.format("GRU")),
        (
            {"class_name": "Bidirectional", "config": {"layer": {**_rnn({}), "config": []}}},
            _LIST.format("RNN"),
        ),
        (_rnn({"class_name": "GRUCell", "config": [1]}), _LIST.format("GRUCell")),
        (_rnn(_CELLS), _LIST.format("StackedRNNCells")),
        (
            {"class_name": "Bidirectional", "config": {"layer": _gru(), "merge_mode": ["concat"]}},
            r"merge_mode must be concat, sum, mul, ave or null; received \['concat'\]",
        ),
    ],
)
def test_configs_of_another_kind(layer: Config, message: str) -> None:
    """A list where a layer has its settings, as only models do, ended in an AttributeError or TypeError."""

    def read() -> None:
        for found in read_model(_sequential(layer), "config.json").layers:
            for cell in found.cells:
                cell_settings(cell, 3, "config.json")
            layer_io(found, "config.json")

    with pytest.raises(CorruptFileError, match=message):
        read()


def test_odd_escapes_in_the_text_of_a_pickle() -> None:
    """Python warns of them while it decodes; where warnings are errors, that is a damaged pickle."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CorruptFileError, match="its pickle is damaged at byte 0"):
            read_pickle(b"S'\\q'\n.", "x.pt", {}, lambda _: None)


@pytest.mark.parametrize("old", [b"gru_0_W", b"x_by_time", b"GRU", b"linear_before_reset"])
def test_names_in_onnx_that_are_no_text(old: bytes, tmp_path: Path) -> None:
    """Protobuf hands out bytes for them, which do not go together with text."""
    path = tmp_path / "x.onnx"
    grubridge.write(make_spec("gru", sizes=(3, 4)), path)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, b"\xff" * len(old)))

    with pytest.raises(
        CorruptFileError, match=r"x\.onnx: the \w+ of a \w+ in it is not UTF-8; the file is damaged"
    ):
        grubridge.inspect(path)


@pytest.mark.parametrize("escape", [r"\q", r"\N{DIGIT ONE}", r"\U99999999", r"\9"])
def test_odd_escapes_in_the_name_of_a_checkpoint(escape: str, tmp_path: Path) -> None:
    """Python's own escapes are others than protobuf's, and it warns of some and fails at others."""
    state = tmp_path / "checkpoint"
    state.write_text(f'model_checkpoint_path: "ck{escape}"\n', encoding="utf-8")

    assert index_of(state) == tmp_path / f"ck{escape[1:]}.index"


def test_a_nan_that_signals(tmp_path: Path) -> None:
    """To look for NaN must not make NumPy warn of one."""
    path = tmp_path / "x.safetensors"
    grubridge.write(make_spec("gru", sizes=(3, 4)), path)
    content = bytearray(path.read_bytes())
    content[-4:] = np.array([0x7FA00000], "<u4").tobytes()
    path.write_bytes(content)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(NonFiniteWeightWarning, match="holds NaN or infinity"):
            grubridge.read(path)


def test_odd_names_in_a_process_that_opens_no_files(tmp_path: Path) -> None:
    """Escaping a name imported a codec, for which the process in which HDF5 reads may open no file."""
    import h5py

    path = tmp_path / "x.weights.h5"
    grubridge.write(make_spec("gru", sizes=(3, 4)), path)
    content = path.read_bytes()
    made = io.BytesIO(content)
    with h5py.File(made, "r+") as file:
        file.attrs.clear()
        file.move("layers/gru", "layers/gr\u202e\x1b")
    path.write_bytes(made.getvalue())

    (found,) = grubridge.list_stacks(path)
    assert grubridge.read(path, found).layers[0].hidden_size == 4
