"""Checkpoints that torch saves, read without it and held against torch itself."""

import argparse
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.formats.base import Contents, ReadHints, StackEntry
from grubridge.formats.pytorch import adapter as pytorch
from grubridge.spec import GATE_NAMES, GRUSpec
from tests.torch_grus import VARIANTS, assert_same_function, random_cell, random_gru

HALF_TOO = ["float16", "bfloat16", "float32", "float64"]


def _contents(path: Path) -> Contents:
    assert pytorch.sniff(path, path.read_bytes()[:512])
    return pytorch.contents(path, ReadHints())


def _only(path: Path) -> StackEntry:
    (entry,) = _contents(path).stacks
    return entry


def _saved(torch: ModuleType, tmp_path: Path, value: object) -> Path:
    path = tmp_path / "model.pt"
    torch.save(value, path)
    return path


def _bits(spec: GRUSpec) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in spec.arrays()}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
def test_every_variant_is_the_function_that_torch_computes(
    torch: ModuleType, tmp_path: Path, variant: str, dtype: str, tolerance: float
) -> None:
    module = random_gru(dtype, **VARIANTS[variant])

    spec = _only(_saved(torch, tmp_path, module.state_dict())).read()

    assert spec.dtype.name == dtype
    assert_same_function(spec, module, tolerance)


@pytest.mark.parametrize("dtype", HALF_TOO)
def test_every_dtype_keeps_its_values(torch: ModuleType, tmp_path: Path, dtype: str) -> None:
    module = random_gru(dtype, bidirectional=True)

    spec = _only(_saved(torch, tmp_path, module.state_dict())).read()

    assert spec.dtype.name == dtype
    assert_same_function(spec, module.double(), 1e-12)


def test_a_cell_is_a_layer(torch: ModuleType, tmp_path: Path) -> None:
    cell = random_cell("float64")
    module = random_gru("float64", seed=1)
    module.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})

    entry = _only(
        _saved(torch, tmp_path, {"decoder": {f"cell.{k}": v for k, v in cell.state_dict().items()}})
    )

    assert_same_function(entry.read(), module, 1e-12)
    assert entry.address == {
        "keys": ["decoder"],
        "prefix": "cell.",
        "cell": True,
        "input_size": 5,
        "hidden_size": 7,
        "num_layers": 1,
        "bidirectional": False,
        "bias": True,
    }


def test_the_address_finds_the_stack_in_what_torch_loads(torch: ModuleType, tmp_path: Path) -> None:
    module = random_gru(num_layers=2, bidirectional=True, bias=False)
    holder = torch.nn.DataParallel(torch.nn.ModuleDict({"encoder": torch.nn.ModuleDict({"rnn": module})}))
    path = _saved(torch, tmp_path, {"epoch": 3, "net": {"state_dict": holder.state_dict()}})

    entry = _only(path)

    assert entry.name == "module.encoder.rnn"
    assert entry.address == {
        "keys": ["net", "state_dict"],
        "prefix": "module.encoder.rnn.",
        "cell": False,
        "input_size": 5,
        "hidden_size": 7,
        "num_layers": 2,
        "bidirectional": True,
        "bias": False,
    }
    loaded = torch.load(path, weights_only=True)["net"]["state_dict"]
    assert torch.equal(loaded["module.encoder.rnn.weight_hh_l1_reverse"], module.weight_hh_l1_reverse)


def test_stacks_are_in_natural_order_and_others_are_named(torch: ModuleType, tmp_path: Path) -> None:
    layers = {f"gru{index}": random_gru(seed=index) for index in (10, 2, 1)}
    layers |= {
        "memory": torch.nn.LSTM(3, 4),
        "projected": torch.nn.LSTM(3, 4, proj_size=2),
        "plain": torch.nn.RNN(3, 4),
        "step": torch.nn.LSTMCell(3, 4),
    }
    contents = _contents(_saved(torch, tmp_path, torch.nn.ModuleDict(layers).state_dict()))

    assert [entry.name for entry in contents.stacks] == ["gru1", "gru2", "gru10"]
    assert contents.others == ("LSTM 'memory'", "LSTM 'projected'", "RNN 'plain'", "LSTM 'step'")
    for entry in contents.stacks:
        assert_same_function(entry.read(), layers[entry.name], 1e-6)


def test_a_moving_average_beside_the_model_gets_a_name_of_its_own(torch: ModuleType, tmp_path: Path) -> None:
    model, average = random_gru(seed=1), random_gru(seed=2)
    path = _saved(torch, tmp_path, {"model": model.state_dict(), "ema": {"weights": average.state_dict()}})

    entries = {entry.name: entry for entry in _contents(path).stacks}

    assert list(entries) == ["ema.weights", "model"]
    assert_same_function(entries["model"].read(), model, 1e-6)
    assert_same_function(entries["ema.weights"].read(), average, 1e-6)


def test_an_empty_prefix_is_called_gru(torch: ModuleType, tmp_path: Path) -> None:
    spec = _only(_saved(torch, tmp_path, random_gru().state_dict())).read()

    assert spec.name == "gru"
    assert spec.source is not None
    assert (spec.source.format, spec.source.framework) == ("pytorch", "torch")
    assert "batch first is assumed" in spec.source.notes[0]


def test_what_training_checkpoints_hold_besides_is_passed_over(torch: ModuleType, tmp_path: Path) -> None:
    module = random_gru()
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.randn(2, 3, 5))[0].sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 12,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": {f"rnn.{key}": torch.nn.Parameter(value) for key, value in module.state_dict().items()},
        "optimizer_states": [optimizer.state_dict()],
        "hyper_parameters": argparse.Namespace(lr=1e-3, layers=[1, 2]),
        "best": np.float64(0.25),
        "history": np.arange(3.0),
        "settings": {
            "device": torch.device("cpu"),
            "dtype": torch.float16,
            "size": torch.Size([3]),
            7: {1, 2},
        },
        "raw": b"\x00\xff",
        "nothing": None,
        "flags": (True, False),
    }
    path = _saved(torch, tmp_path, checkpoint)

    assert_same_function(_only(path).read(), module, 1e-6)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle_is_read(torch: ModuleType, tmp_path: Path, protocol: int) -> None:
    module = random_gru()
    torch.save(module.state_dict(), tmp_path / "model.pt", pickle_protocol=protocol)

    assert_same_function(_only(tmp_path / "model.pt").read(), module, 1e-6)


def test_views_of_one_storage_are_read(torch: ModuleType, tmp_path: Path) -> None:
    module = random_gru()
    weights: dict[str, Any] = dict(module.state_dict())
    # both biases in one storage, one weight transposed, the other inside a larger tensor
    together = torch.stack([weights["bias_ih_l0"], weights["bias_hh_l0"]])
    weights["bias_ih_l0"], weights["bias_hh_l0"] = together[0], together[1]
    weights["weight_ih_l0"] = weights["weight_ih_l0"].T.contiguous().T
    padded = torch.full((30, 9), 99.0)
    padded[5:26, 1:8] = weights["weight_hh_l0"]
    weights["weight_hh_l0"] = padded[5:26, 1:8]

    spec = _only(_saved(torch, tmp_path, weights)).read()

    assert_same_function(spec, module, 1e-6)


def test_arrays_are_views_of_the_mapped_file(torch: ModuleType, tmp_path: Path) -> None:
    direction = _only(_saved(torch, tmp_path, random_gru().state_dict())).read().layers[0].forward

    assert direction is not None
    for gate in GATE_NAMES:
        assert not direction.input_weight[gate].flags.owndata
        assert not direction.input_weight[gate].flags.writeable


def test_a_checkpoint_without_checksums_is_read(torch: ModuleType, tmp_path: Path) -> None:
    module = random_gru()
    torch.serialization.set_crc32_options(False)
    try:
        path = _saved(torch, tmp_path, module.state_dict())
    finally:
        torch.serialization.set_crc32_options(True)

    assert_same_function(_only(path).read(), module, 1e-6)


def test_a_published_tar_holds_fourteen_grus(torch: ModuleType, real: Path) -> None:
    path = real / "gtcrn/stream/onnx_models/model_trained_on_dns3.tar"
    weights = torch.load(path, weights_only=True, map_location="cpu")["model"]

    entries = {entry.name: entry for entry in _contents(path).stacks}

    assert len(entries) == 14
    ending = ".weight_hh_l0"
    assert list(entries) == sorted(key.removesuffix(ending) for key in weights if key.endswith(ending))
    for name, entry in entries.items():
        address = entry.address
        module = torch.nn.GRU(
            address["input_size"], address["hidden_size"], bidirectional=address["bidirectional"]
        )
        own = {key[len(name) + 1 :]: value for key, value in weights.items() if key.startswith(f"{name}.")}
        module.load_state_dict(own)
        assert_same_function(entry.read(), module, 1e-6)


def test_a_published_classifier_holds_two_bidirectional_layers(torch: ModuleType, real: Path) -> None:
    path = real / "delft/data/models/textClassification/license_gru/52d13ab.model_weights.pth"
    weights = torch.load(path, weights_only=True, map_location="cpu")

    entries = _contents(path).stacks

    assert [(entry.name, entry.address["input_size"]) for entry in entries] == [
        ("bigru1", 300),
        ("bigru2", 128),
    ]
    for entry in entries:
        module = torch.nn.GRU(entry.address["input_size"], 64, bidirectional=True)
        own = {key.split(".")[1]: value for key, value in weights.items() if key.startswith(f"{entry.name}.")}
        module.load_state_dict(own)
        assert_same_function(entry.read(), module, 1e-5)
