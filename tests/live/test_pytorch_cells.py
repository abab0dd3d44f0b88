"""Hand-written cells in memory, by their layout: read, and run as described, without a call of their code."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge.errors import InvalidSpecError, LayoutError, StackSelectionError
from grubridge.formats.base import ReadHints
from grubridge.reference import run
from tests.backends.hand_cells import CELLS, draw, run_cell


def _module(torch: ModuleType, tensors: dict[str, Any]) -> Any:
    """Return a module with a parameter, a plain tensor and buffers of these names, which cannot be called."""

    class Scratch(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, *_: object) -> None:
            raise AssertionError("the module's own code was called")

    module = Scratch()
    for index, (name, tensor) in enumerate(tensors.items()):
        if index == 0:
            setattr(module, name, tensor)
        elif index == 1:
            module.register_buffer(name, tensor)
        else:
            setattr(module, name, torch.nn.Parameter(tensor))
    return module


def _inputs(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(2, 5, 3)), "initial_state": rng.normal(size=(1, 2, 4))}


@pytest.mark.parametrize(
    ("name", "layout"),
    [("d2l", "d2l"), ("reset only", "d2l-reset-only"), ("update only", "d2l-update-only")],
)
def test_a_cell_is_traced_and_read(torch: ModuleType, name: str, layout: str) -> None:
    cell, inputs = CELLS[name], _inputs()
    tensors = draw(cell, "float64")
    module = _module(torch, tensors)

    traced = grubridge.trace(module, inputs, layout=layout)
    spec = grubridge.from_module(module, layout=layout)

    x, h = torch.from_numpy(inputs["x"]), torch.from_numpy(inputs["initial_state"][0])
    equations = run(spec, traced.probe)[0, "forward"].arrays()
    for quantity, expected in run_cell(cell, tensors, x, h).items():
        made = traced[0, "forward"].arrays()[quantity]
        np.testing.assert_allclose(made, expected.numpy(), rtol=0, atol=1e-14, err_msg=quantity)
        np.testing.assert_allclose(equations[quantity], expected.numpy(), rtol=0, atol=1e-14)
    assert traced.trace.kernel == f"cell {layout} as described, torch operators"
    assert "its own code was not run" in traced.trace.notes[0]
    assert spec.source is not None
    assert (spec.source.path, spec.source.format) == ("", "pytorch")


def test_the_module_stays_as_it_is(torch: ModuleType) -> None:
    module = _module(torch, draw(CELLS["d2l"], "float32"))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    torch.manual_seed(3)
    drawn = torch.rand(3)

    torch.manual_seed(3)
    grubridge.trace(module, _inputs(), layout="d2l")

    assert torch.equal(torch.rand(3), drawn)
    assert module.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_cell_inside_a_model_is_found_by_its_name(torch: ModuleType) -> None:
    cells = torch.nn.ModuleDict(
        {name: _module(torch, draw(CELLS["d2l"], "float32", seed)) for seed, name in enumerate("ab")}
    )

    traced = grubridge.trace(cells, _inputs(), stack="b", layout="d2l")

    assert traced.stack == "b"
    expected = grubridge.trace(cells["b"], _inputs(), layout="d2l")
    np.testing.assert_array_equal(traced[0, "forward"].hidden, expected[0, "forward"].hidden)
    with pytest.raises(StackSelectionError, match="this ModuleDict: it holds 2 GRUs: a, b; choose one"):
        grubridge.trace(cells, _inputs(), layout="d2l")


def test_a_parametrized_weight_is_the_one_that_is_computed(torch: ModuleType) -> None:
    module = _module(torch, draw(CELLS["d2l"], "float32"))
    torch.nn.utils.parametrizations.weight_norm(module, "W_hh")

    spec = grubridge.from_module(module, layout="d2l")

    direction = spec.layers[0].forward
    assert direction is not None
    np.testing.assert_array_equal(direction.recurrent_weight.candidate.T, module.W_hh.detach())


def test_the_layout_may_stand_among_the_hints(torch: ModuleType) -> None:
    module = _module(torch, draw(CELLS["d2l"], "float32"))

    traced = grubridge.trace(module, _inputs(), hints=ReadHints(layout="d2l"), backend="reference")

    assert traced.trace.backend == "reference"


def test_what_is_no_such_cell_is_refused(torch: ModuleType) -> None:
    whole = draw(CELLS["d2l"], "float32")
    lacking = _module(torch, {name: tensor for name, tensor in whole.items() if name != "W_hr"})
    misfit = _module(torch, {**whole, "W_hz": torch.zeros(5, 4)})

    with pytest.raises(
        StackSelectionError, match=r"this Linear: no cell of the layout d2l in it; .*W_xz, W_hz"
    ):
        grubridge.trace(torch.nn.Linear(2, 3), layout="d2l")
    with pytest.raises(StackSelectionError, match="it holds a cell of the layout d2l that lacks W_hr"):
        grubridge.from_module(lacking, layout="d2l")
    with pytest.raises(InvalidSpecError, match=r"this Scratch, gru: tensor W_hz should be \[H, H\]"):
        grubridge.from_module(misfit, layout="d2l")
    with pytest.raises(LayoutError, match=r"no layout is called 'd2'. Did you mean 'd2l'\?"):
        grubridge.trace(misfit, layout="d2")


@pytest.mark.usefixtures("keras")
def test_a_layout_is_for_torch_modules() -> None:
    import keras

    with pytest.raises(
        InvalidSpecError, match="names the tensors of a cell in a torch module; received a GRU"
    ):
        grubridge.trace(keras.layers.GRU(4), layout="d2l")
