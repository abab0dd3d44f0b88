"""A GRU of 4 MB in a checkpoint of 10 GiB is read with memory near its own size; the rest is not touched."""

import json
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import load_file

from grubridge.spec import Array

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")

GIANT = 10 << 30
ROWS = GIANT // 4096
SIZE = 400
MEMORY = 48 << 20  # 24 are enough: strips and stacks of two threads among them
RNG = np.random.default_rng(0)
WEIGHTS = {
    "weight_ih_l0": RNG.normal(size=(3 * SIZE, SIZE)).astype(np.float32),
    "weight_hh_l0": RNG.normal(size=(3 * SIZE, SIZE)).astype(np.float32),
    "bias_ih_l0": RNG.normal(size=3 * SIZE).astype(np.float32),
    "bias_hh_l0": RNG.normal(size=3 * SIZE).astype(np.float32),
}
"""As PyTorch has them: reset, update, candidate."""

PROGRAM = """
    import resource
    import h5py, numpy, onnx
    from grubridge.conversion import convert
    pages = int(open("/proc/self/statm").read().split()[5])
    limit = pages * resource.getpagesize() + {memory}
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    convert({source!r}, {target!r})
"""


def _zrn(rzn: Array) -> Array:
    reset, update, candidate = np.split(rzn, 3)
    return np.concatenate([update, reset, candidate])


def _safetensors(folder: Path, _torch: ModuleType) -> Path:
    tensors: dict[str, Any] = {
        "embedding.weight": {"dtype": "F32", "shape": [ROWS, 1024], "data_offsets": [0, GIANT]}
    }
    end = GIANT
    for name, array in WEIGHTS.items():
        place = [end, end + array.nbytes]
        tensors[f"gru.{name}"] = {"dtype": "F32", "shape": array.shape, "data_offsets": place}
        end += array.nbytes
    header = json.dumps(tensors).encode()
    path = folder / "giant.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.seek(8 + len(header) + GIANT)
        for array in WEIGHTS.values():
            file.write(array.tobytes())
    return path


def _pytorch(folder: Path, torch: ModuleType) -> Path:
    """A zip of more than 4 GiB, which torch itself lays out; the numbers of the GRU are put in afterwards."""
    nothing, path = folder / "nothing", folder / "giant.pt"
    with nothing.open("wb") as file:
        file.truncate(GIANT)
    giant = torch.from_file(str(nothing), shared=False, size=GIANT // 4)
    state = {"embedding.weight": giant, **{f"gru.{name}": torch.tensor(w) for name, w in WEIGHTS.items()}}
    with torch.serialization.skip_data():
        torch.save(state, path)
    places = torch._C.PyTorchFileReader(str(path))
    with path.open("r+b") as file:
        for number, array in enumerate(WEIGHTS.values(), 1):
            file.seek(places.get_record_offset(f"data/{number}"))
            file.write(array.tobytes())
    return path


def _keras(folder: Path, _torch: ModuleType) -> Path:
    path = folder / "giant.h5"
    with h5py.File(path, "w") as file:
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        embedding = file.create_group("embedding")
        space = h5py.h5s.create_simple((ROWS, 1024))
        h5py.h5d.create(embedding.id, b"embeddings:0", h5py.h5t.IEEE_F32LE, space, how)
        embedding.attrs["weight_names"] = [b"embeddings:0"]
        gru = file.create_group("gru")
        gru["kernel:0"] = _zrn(WEIGHTS["weight_ih_l0"]).T
        gru["recurrent_kernel:0"] = _zrn(WEIGHTS["weight_hh_l0"]).T
        gru["bias:0"] = np.stack([_zrn(WEIGHTS["bias_ih_l0"]), _zrn(WEIGHTS["bias_hh_l0"])])
        gru.attrs["weight_names"] = [b"kernel:0", b"recurrent_kernel:0", b"bias:0"]
        file.attrs["layer_names"] = [b"embedding", b"gru"]
        file.attrs["keras_version"] = b"2.15.0"
    return path


def _onnx(folder: Path, _torch: ModuleType) -> Path:
    biases = [_zrn(WEIGHTS["bias_ih_l0"]), _zrn(WEIGHTS["bias_hh_l0"])]
    arrays = {
        "W": _zrn(WEIGHTS["weight_ih_l0"])[np.newaxis],
        "R": _zrn(WEIGHTS["weight_hh_l0"])[np.newaxis],
        "B": np.concatenate(biases)[np.newaxis],
    }
    stored = [_external("embedding", (ROWS, 1024), 0)]
    end = GIANT
    with (folder / "giant.data").open("wb") as file:
        for name, array in arrays.items():
            stored.append(_external(name, array.shape, end))
            file.seek(end)
            file.write(array.tobytes())
            end += array.nbytes
    node = helper.make_node(
        "GRU", ["x", "W", "R", "B"], ["y"], "gru", hidden_size=SIZE, linear_before_reset=1
    )
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["time", "batch", SIZE])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["time", 1, "batch", SIZE])
    graph = helper.make_graph([node], "giant", [x], [y], stored)
    onnx.save(helper.make_model(graph), folder / "giant.onnx")
    return folder / "giant.onnx"


def _external(name: str, shape: tuple[int, ...], offset: int) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
    tensor.data_location = TensorProto.EXTERNAL
    size = 4 * int(np.prod(shape))
    for key, value in (("location", "giant.data"), ("offset", str(offset)), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.mark.parametrize("make", [_safetensors, _pytorch, _keras, _onnx])
def test_memory_is_near_the_size_of_the_gru(
    tmp_path: Path, torch: ModuleType, make: Callable[[Path, ModuleType], Path]
) -> None:
    source, target = make(tmp_path, torch), tmp_path / "gru.safetensors"
    program = PROGRAM.format(memory=MEMORY, source=str(source), target=str(target))

    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=False, capture_output=True, text=True
    )

    assert ran.returncode == 0, ran.stderr
    converted = load_file(target)
    for name, array in WEIGHTS.items():
        (found,) = (value for key, value in converted.items() if key.endswith(name))
        assert np.array_equal(found, array)
