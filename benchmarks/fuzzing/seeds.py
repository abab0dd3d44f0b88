"""Files that are whole, for every reader: the zoo of GRUs in every format, the samples, and real ones."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import onnx

from grubridge.conversion import write
from grubridge.errors import GRUBridgeError
from grubridge.formats.base import WriteOptions
from grubridge.layouts.toml import SHIPPED
from grubridge.spec import GRUSpec
from tests.zoo import ZOO, make_spec

from . import containers

__all__ = ["Seeds", "spec"]

Seeds = Callable[[], Iterator[bytes]]

_ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = (_ROOT / "samples", _ROOT.parent / "shared" / "real")
_LARGEST = 48 << 10


@cache
def spec() -> GRUSpec:
    """Return a small GRU."""
    return make_spec("small", sizes=(2, 4), seed=1)


def _files(*suffixes: str) -> Iterator[bytes]:
    """Yield the zoo in a format, and every small file with that ending."""
    with TemporaryDirectory() as folder:
        for number, member in enumerate((spec(), *ZOO)):
            for options in (WriteOptions(), WriteOptions(with_state=True, with_gates=True)):
                path = Path(folder) / f"{number}-{options.with_state}{suffixes[0]}"
                try:
                    write(member, path, options=options)
                except GRUBridgeError:  # the format cannot hold it, or has no such options
                    continue
                yield path.read_bytes()
    for root in _FOLDERS:
        for found in sorted(root.rglob("*")):
            if found.name.endswith(suffixes) and found.is_file() and found.stat().st_size <= _LARGEST:
                yield found.read_bytes()


def safetensors() -> Iterator[bytes]:
    yield from _files(".safetensors")


def checkpoints() -> Iterator[bytes]:
    yield from _files(".pt", ".pth", ".ckpt")


def onnx_models() -> Iterator[bytes]:
    """Yield models; of the first, also one whose weights lie in the file weights.bin beside it."""
    made = list(_files(".onnx"))
    yield from made
    model = onnx.load_from_string(made[0])
    for tensor in model.graph.initializer:
        size = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": "weights.bin", "offset": "0", "length": str(size)}.items():
            tensor.external_data.add(key=key, value=value)
    yield model.SerializeToString()


def hdf5() -> Iterator[bytes]:
    """Yield HDF5 files: Keras 3 weights, and whole models in the form of older Keras."""
    for content in (*_files(".weights.h5"), *_files(".h5", ".hdf5")):
        containers.WHOLE.append(content)
        yield content


def keras() -> Iterator[bytes]:
    for content in _files(".keras"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            containers.WHOLE.append(archive.read("model.weights.h5"))
        yield content


def configs() -> Iterator[bytes]:
    """Yield the configurations of Keras models."""
    for content in _files(".keras"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield archive.read("config.json")
    for content in _files(".h5", ".hdf5"):
        with h5py.File(io.BytesIO(content)) as file:
            stored = file.attrs.get("model_config", b"{}")
            yield stored.encode() if isinstance(stored, str) else bytes(stored)


def pickles() -> Iterator[bytes]:
    for content in checkpoints():
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from (archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))


def archives() -> Iterator[bytes]:
    yield from checkpoints()
    yield from recordings()


def recordings() -> Iterator[bytes]:
    """Yield recorded runs."""
    x, hidden = np.arange(24.0).reshape(2, 6, 2), np.linspace(-1, 1, 48).reshape(2, 6, 4)
    further = {"initial_state": hidden[:1, :2] / 2, "lengths": np.array([6, 3])}
    for keep in (np.savez, np.savez_compressed):
        for arrays in ({"hidden": hidden}, {"hidden": hidden, **further}, {"last": hidden[:, 0]}):
            made = io.BytesIO()
            keep(made, x=x, **arrays)
            yield made.getvalue()


def tables() -> Iterator[bytes]:
    yield b"a,b\n1,2\n3,4.5\n-1e-3,0\n"
    yield b'\xef\xbb\xbf"1","2"\r\n3,4\r\n'


def typed() -> Iterator[bytes]:
    """Yield typed weights: those of nn.GRU and of Keras."""
    rng = np.random.default_rng(2)
    weights, square = rng.uniform(-1, 1, (9, 2)).round(3), rng.uniform(-1, 1, (9, 3)).round(3)
    yield json.dumps({"weight_ih_l0": weights.tolist(), "weight_hh_l0": square.tolist()}).encode()
    settings = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": False}
    arrays = {"kernel": weights.T.tolist(), "recurrent_kernel": square.T.tolist(), "bias": [0.5] * 9}
    yield json.dumps({**settings, **arrays}).encode()


def layouts() -> Iterator[bytes]:
    yield from (path.read_bytes() for path in sorted(SHIPPED.glob("*.toml")))


def manifests() -> Iterator[bytes]:
    """Yield manifests of suites."""
    yield (_ROOT / "samples" / "grubridge.toml").read_bytes()
    yield b"""version = 1
allow_outside = true
[defaults]
backends = ["pytorch"]
tolerance = { atol = 1e-6, rtol = 0.0 }
timeout = 30
[[pair]]
name = "one"
a = "x.keras"
b = "y.onnx"
map = { gru = "gru_1" }
inputs = { seed = 3, batch = 2, steps = 5, lengths = [5, 2] }
xfail = "known"
[[pair]]
artifacts = ["x.h5"]
layout = "d2l"
activation = "tanh"
reset_after = false
example = "run.npz"
inputs = "in.npz"
"""


def locks() -> Iterator[bytes]:
    entry = {
        "settings": {},
        "files": {"x.keras": "0" * 64},
        "versions": {"grubridge": "1"},
        "status": "equivalent",
    }
    entries = {"one": {**entry, "headroom": 0.25, "cause": None}}
    yield json.dumps({"version": 1, "pairs": entries}).encode()


def states() -> Iterator[bytes]:
    yield b'model_checkpoint_path: "ckpt-3"\nall_model_checkpoint_paths: "ckpt-3"\n'
    yield b'model_checkpoint_path: "/tmp/\\303\\251/ckpt-3"\n'
