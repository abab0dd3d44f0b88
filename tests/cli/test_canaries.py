"""Payloads in every place that a command reads: nothing of them is run, and nothing outside is opened."""

from __future__ import annotations

import base64
import io
import json
import marshal
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto

import grubridge as library
from tests.cli.command import grubridge
from tests.opened import opens_of
from tests.zoo import make_spec

SPEC = make_spec("gru", sizes=(3, 4), seed=7)


class _Runs:
    """Pickled, it runs a command when it is loaded."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self._command,)


class _Corner:
    """A folder of hostile files, a secret beside it, and the canary that no payload may make."""

    def __init__(self, root: Path) -> None:
        self.home, self.secret, self.canary = root / "home", root / "secret.h5", root / "CANARY"
        self.home.mkdir()
        with h5py.File(self.secret, "w") as file:
            file["kernel"] = np.ones((3, 12), "f4")
        library.write(SPEC, self.home / "good.pt")
        library.write(SPEC, self.home / "good.keras")
        rng = np.random.default_rng(3)
        np.savez(self.home / "good.npz", x=rng.normal(size=(2, 5, 3)), hidden=rng.normal(size=(2, 5, 4)))

    def evil(self) -> _Runs:
        """What runs a command when it is unpickled."""
        return _Runs(f"touch {self.canary}")

    def code(self) -> str:
        """Bytecode of a function that makes the canary, as Keras stores it."""
        function: Any = eval(f"lambda x: (open({str(self.canary)!r}, 'w').close(), x)[1]")  # noqa: S307
        return base64.b64encode(marshal.dumps(function.__code__)).decode()


def _entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def _pickled(corner: _Corner) -> Path:
    entries = _entries(corner.home / "good.pt")
    (name,) = (one for one in entries if one.endswith("data.pkl"))
    return _zipped(corner.home / "pickled.pt", {**entries, name: pickle.dumps(corner.evil(), 2)})


def _bare_pickle(corner: _Corner) -> Path:
    path = corner.home / "bare.pt"
    path.write_bytes(pickle.dumps({"weight_ih_l0": corner.evil()}, 2))
    return path


def _with_layer(corner: _Corner, name: str, layer: dict[str, Any]) -> Path:
    entries = _entries(corner.home / "good.keras")
    config = json.loads(entries["config.json"])
    config["config"]["layers"].append(layer)
    return _zipped(corner.home / name, {**entries, "config.json": json.dumps(config).encode()})


def _lambda(corner: _Corner) -> Path:
    body = {"code": corner.code(), "defaults": None, "closure": None}
    function = {"class_name": "__lambda__", "config": body}
    config = {"name": "code", "function": function, "arguments": {}}
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": config, "registered_name": None}
    return _with_layer(corner, "lambda.keras", layer)


def _old_lambda(corner: _Corner) -> Path:
    config = {"name": "code", "function": [corner.code(), None, None], "function_type": "lambda"}
    return _with_layer(corner, "old_lambda.keras", {"class_name": "Lambda", "config": config})


def _torch_module(corner: _Corner) -> Path:
    module = base64.b64encode(pickle.dumps(corner.evil(), 2)).decode()
    config = {"name": "code", "module": {"class_name": "__bytes__", "config": module}}
    layer = {"module": "keras.utils", "class_name": "TorchModuleWrapper", "config": config}
    return _with_layer(corner, "torch_module.keras", layer)


def _external_link(corner: _Corner) -> Path:
    entries = _entries(corner.home / "good.keras")
    weights = io.BytesIO(entries["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        del file["layers/gru/cell/vars/0"]
        file["layers/gru/cell/vars/0"] = h5py.ExternalLink(str(corner.secret), "kernel")
    return _zipped(corner.home / "linked.keras", {**entries, "model.weights.h5": weights.getvalue()})


def _external_data(corner: _Corner, location: str, name: str) -> Path:
    path = corner.home / name
    library.write(SPEC, path)
    model = onnx.load(path)
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    return path


def _outside(corner: _Corner) -> Path:
    return _external_data(corner, f"../{corner.secret.name}", "outside.onnx")


def _through_a_link(corner: _Corner) -> Path:
    (corner.home / "data.bin").symlink_to(corner.secret)
    return _external_data(corner, "data.bin", "linked.onnx")


MODELS: dict[Callable[[_Corner], Path], str] = {
    _pickled: "its pickle asks for",
    _bare_pickle: "",
    _lambda: "Lambda 'code' holds Python bytecode",
    _old_lambda: "Lambda 'code' holds Python bytecode",
    _torch_module: "TorchModuleWrapper 'code' holds a pickled torch module",
    _external_link: "leads through a soft or external link",
    _outside: "lies in the external file '../secret.h5'",
    _through_a_link: "which is a link, leads through one or cannot be opened",
}
COMMANDS = {
    "verify": ("verify", "MODEL"),
    "a pair": ("verify", "good.pt", "MODEL"),
    "example": ("verify", "MODEL", "--example", "good.npz"),
    "trace": ("trace", "MODEL", "--out", "trace.npz"),
    "explain": ("explain", "MODEL", "--inputs", "1,2,3"),
    "identify": ("identify", "MODEL", "--example", "good.npz"),
    "check": ("check", "pairs.toml"),
}


@pytest.fixture(name="corner")
def _made(tmp_path: Path) -> Iterator[_Corner]:
    corner = _Corner(tmp_path)
    with opens_of(corner.secret) as opened:
        yield corner
        assert opened() == set()
    assert not corner.canary.exists(), "something was run"


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__.strip("_"))
def test_no_command_touches_what_a_model_brings(
    make: Callable[[_Corner], Path],
    torch: ModuleType,
    keras: ModuleType,
    onnxruntime: ModuleType,
    corner: _Corner,
) -> None:
    del torch, keras, onnxruntime
    model = make(corner)
    (corner.home / "pairs.toml").write_text(f'version = 1\n[[pair]]\na = "good.pt"\nb = "{model.name}"\n')
    before = {path.name for path in corner.home.iterdir()}
    for name, command in COMMANDS.items():
        ended = grubridge(*(model.name if word == "MODEL" else word for word in command), cwd=corner.home)
        said = " ".join((ended.stdout if name == "check" else ended.stderr).split())

        assert ended.code == 2, name
        assert "Traceback" not in ended.stderr, name
        assert name == "identify" or MODELS[make] in said, name
    left = {path.name for path in corner.home.iterdir()} - before
    assert left <= {"pairs.toml.lock", "grubridge.lock"}


def test_what_is_skipped_is_not_run(keras: ModuleType, torch: ModuleType, corner: _Corner) -> None:
    """The frameworks are there, and the one that could run it is not handed the file."""
    del keras, torch
    models = [make(corner).name for make in (_lambda, _old_lambda, _torch_module)]
    ended = grubridge("verify", "good.pt", *models, "--skip-unsafe", "--json", cwd=corner.home)
    report = json.loads(ended.stdout)

    assert (ended.code, report["verdict"]) == (0, "EQUIVALENT")
    runs = [one for one in report["runs"] if one["backend"] == "keras"]
    assert [run["artifact"] for run in runs] == models
    for run in runs:
        assert not run["native"]
        assert "which grubridge lets no Keras load because it might run code" in run["notes"][0]


def _npz(corner: _Corner) -> Path:
    evil = np.empty(1, object)
    evil[0] = corner.evil()
    np.savez(corner.home / "evil.npz", x=evil, hidden=evil, allow_pickle=True)
    return corner.home / "evil.npz"


def _npy(corner: _Corner) -> Path:
    evil = np.empty(1, object)
    evil[0] = corner.evil()
    np.save(corner.home / "evil.npy", evil, allow_pickle=True)
    return corner.home / "evil.npy"


@pytest.mark.parametrize("make", [_npz, _npy])
@pytest.mark.parametrize(
    "command",
    [
        ("verify", "good.pt", "--inputs", "DATA"),
        ("verify", "good.pt", "--example", "DATA"),
        ("trace", "good.pt", "--inputs", "DATA", "--out", "trace.npz"),
        ("explain", "good.pt", "--inputs", "DATA"),
        ("identify", "good.pt", "--example", "DATA"),
    ],
    ids=" ".join,
)
def test_no_command_unpickles_arrays(
    command: tuple[str, ...], make: Callable[[_Corner], Path], corner: _Corner
) -> None:
    data = make(corner)
    ended = grubridge(*(data.name if word == "DATA" else word for word in command), cwd=corner.home)

    assert ended.code == 2
    assert ended.stderr.startswith("error: evil.np")
    assert "Traceback" not in ended.stderr
