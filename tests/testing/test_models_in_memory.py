"""assert_equivalent takes files and models in memory in any mix, each run by its own framework."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import grubridge
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.errors import (
    DeviceError,
    InvalidSpecError,
    LayoutError,
    ProbeError,
    StackSelectionError,
    UnknownFormatError,
    UnsupportedFeatureError,
)
from grubridge.formats.base import ReadHints
from grubridge.testing import assert_equivalent
from tests.simulated import Runtimes
from tests.torch_grus import random_cell, random_gru

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
X = np.random.default_rng(5).standard_normal((3, 6, 5)).astype(np.float32)


def _ran(report: CheckReport) -> list[tuple[str, str]]:
    return [(run.artifact, run.backend) for run in report.runs if run.backend != "reference"]


def test_a_torch_module_and_its_file(torch: ModuleType, runtimes: Runtimes, tmp_path: Path) -> None:
    module = torch.nn.ModuleDict({"gru": random_gru(num_layers=2, bidirectional=True)})
    file = tmp_path / "model.pt"
    torch.save(module.state_dict(), file)

    report = assert_equivalent(file, module)

    assert report.verdict is Verdict.EQUIVALENT
    assert _ran(report) == [(str(file), "pytorch"), ("ModuleDict in memory", "pytorch")]
    assert [(one.path, one.stack, one.format) for one in report.artifacts] == [
        (str(file), "gru", "pytorch"),
        ("", "gru", "pytorch"),
    ]
    assert {one.edge for one in report.comparisons} == {"read", "end-to-end"}
    assert {job.artifact.path for job in runtimes.inputs} == {str(file)}  # the module ran here


def test_four_kinds_at_once(
    torch: ModuleType, keras: ModuleType, onnxruntime: ModuleType, tmp_path: Path
) -> None:
    del torch, keras, onnxruntime
    gru = random_gru()
    spec = grubridge.from_module(gru)
    grubridge.write(spec, tmp_path / "model.onnx")

    report = assert_equivalent(
        gru, grubridge.to_layer(spec), grubridge.to_model(spec), tmp_path / "model.onnx", inputs=X
    )

    assert _ran(report) == [
        ("GRU in memory", "pytorch"),
        ("GRU in memory (2)", "keras"),
        ("ModelProto in memory", "onnxruntime"),
        (str(tmp_path / "model.onnx"), "onnxruntime"),
    ]
    assert report.probe is not None
    assert (report.probe.origin, report.probe.batch, report.probe.steps) == ("given", 3, 6)
    assert len({(one.left, one.right) for one in report.comparisons if one.edge == "end-to-end"}) == 3


def test_a_cell_and_a_layer_of_it(torch: ModuleType) -> None:
    cell = random_cell()
    gru = torch.nn.GRU(5, 7)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(gru, f"{name}_l0").copy_(getattr(cell, name))
    gru.train()
    drawn = torch.get_rng_state()

    assert_equivalent(cell, gru)

    assert gru.training
    assert torch.equal(torch.get_rng_state(), drawn)


def test_grus_are_paired_by_name_as_those_of_files_are(torch: ModuleType) -> None:
    one, same = (
        torch.nn.ModuleDict({"encoder": random_gru(seed=1), "decoder": random_gru(seed=2)}) for _ in range(2)
    )
    renamed = torch.nn.ModuleDict({"first": one["encoder"], "second": one["decoder"]})

    report = assert_equivalent(one, same)

    assert [artifact.label for artifact in report.artifacts] == [
        "ModuleDict in memory#encoder",
        "ModuleDict in memory (2)#encoder",
        "ModuleDict in memory#decoder",
        "ModuleDict in memory (2)#decoder",
    ]
    assert_equivalent(one, same, stack="decoder")
    assert_equivalent(one, one["decoder"], stack="decoder")  # the only one of the other
    assert_equivalent(one, renamed, mapping={"encoder": "first", "decoder": "second"})
    with pytest.raises(AssertionError, match="GRUs are not equivalent!"):
        assert_equivalent(one, renamed, mapping={"encoder": "second"})
    with pytest.raises(StackSelectionError) as caught:
        assert_equivalent(one, renamed)
    assert str(caught.value).startswith(
        "the GRUs of these files cannot be paired by name: ModuleDict in memory holds encoder, decoder; "
        "ModuleDict in memory (2) holds first, second."
    )
    with pytest.raises(StackSelectionError, match=r"^this Linear: it holds no GRU that grubridge knows$"):
        assert_equivalent(torch.nn.Linear(2, 2), one["encoder"])


def test_a_layer_of_a_chain_is_chosen_by_its_own_name(keras: ModuleType) -> None:
    keras.utils.set_random_seed(3)
    layers = [keras.layers.GRU(4, return_sequences=True, name="low"), keras.layers.GRU(4, name="high")]
    model = keras.Sequential([keras.Input((None, 3)), *layers])
    alone = grubridge.from_layer(model.get_layer("high"))

    report = assert_equivalent(grubridge.to_model(alone), model, mapping={"gru_0": "high"})

    assert [artifact.stack for artifact in report.artifacts] == ["gru_0", "high"]
    assert_equivalent(model, model, stack="high")
    with pytest.raises(AssertionError, match="not of one shape"):
        assert_equivalent(model, model.get_layer("high"))


def test_cells_of_ones_own_by_their_layout(torch: ModuleType, runtimes: Runtimes) -> None:
    state = torch.load(SAMPLES / "cells" / "split-linear.pt", weights_only=True)
    spec = grubridge.read(SAMPLES / "cells" / "split-linear.pt", hints=ReadHints(layout="split-linear"))
    module = _module_of(torch, state)

    report = assert_equivalent(
        SAMPLES / "cells" / "split-linear.pt", module, grubridge.to_module(spec), layout="split-linear"
    )

    assert report.verdict is Verdict.EQUIVALENT
    assert len(runtimes.inputs) == 1
    assert_equivalent(module, grubridge.to_model(spec), layout="split-linear")
    with pytest.raises(LayoutError, match="no layout is called 'split'"):
        assert_equivalent(module, grubridge.to_module(spec), layout="split")
    with pytest.raises(UnknownFormatError, match="layout"):
        assert_equivalent(grubridge.to_module(spec), grubridge.to_module(spec), layout="split-linear")


def _module_of(torch: ModuleType, state: dict[str, object]) -> object:
    """Return a module whose tensors are called as those of a state dict are."""
    top = torch.nn.Module()
    for name, tensor in state.items():
        *path, last = name.split(".")
        part = top
        for one in path:
            if not hasattr(part, one):
                part.add_module(one, torch.nn.Module())
            part = getattr(part, one)
        part.register_buffer(last, tensor)
    return top


def test_what_cannot_be_checked_is_an_error_and_no_failed_assertion(torch: ModuleType) -> None:
    del torch
    gru = random_gru()
    with pytest.raises(
        InvalidSpecError, match=r"^expected the path of a model file.*received a dict of builtins$"
    ):
        assert_equivalent(gru, {})
    with pytest.raises(DeviceError, match="the model in memory is on cpu and runs there"):
        assert_equivalent(gru, gru, device="cuda")
    with pytest.raises(ProbeError, match="the inputs cannot be made NumPy arrays"):
        assert_equivalent(gru, gru, inputs=[[1.0], [2.0, 3.0]])
    with pytest.raises(ProbeError, match="atol must be 0 or more, and finite"):
        assert_equivalent(gru, gru, atol=-1.0)
    other = grubridge.verify(gru, random_gru(seed=1))
    with pytest.raises(UnsupportedFeatureError, match="one of the two is a model in memory"):
        grubridge.mend(other, "new.pt")
