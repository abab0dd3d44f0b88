"""nn.GRU and nn.GRUCell in memory, both ways, held against torch itself."""

import builtins
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.errors import InvalidSpecError, MissingDependencyError, UnsupportedFeatureError
from grubridge.formats.readback import differences
from grubridge.formats.state_dict.layout import CAPABILITIES
from grubridge.live.pytorch import from_module, to_cell, to_module
from grubridge.spec import GRUSpec, unsupported
from tests.torch_grus import VARIANTS, assert_same_function, random_cell, random_gru
from tests.zoo import ZOO, member

HELD = [spec for spec in ZOO if not unsupported(spec, CAPABILITIES, "PyTorch")]


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
def test_the_spec_of_a_module_is_the_same_function(variant: str, dtype: str, tolerance: float) -> None:
    module = random_gru(dtype, **VARIANTS[variant])

    spec = from_module(module)

    assert spec.io.time_major is not VARIANTS[variant].get("batch_first", False)
    assert_same_function(spec, module, tolerance)


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_module_goes_and_comes_back_bit_by_bit(dtype: str) -> None:
    module = random_gru(dtype, num_layers=2, bidirectional=True, batch_first=True)

    back = to_module(from_module(module))

    assert (back.num_layers, back.bidirectional, back.batch_first, back.bias) == (2, True, True, True)
    assert {name: value.tolist() for name, value in back.state_dict().items()} == {
        name: value.tolist() for name, value in module.state_dict().items()
    }


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("spec", HELD, ids=lambda spec: spec.name)
def test_torch_computes_the_spec(spec: GRUSpec) -> None:
    module = to_module(spec)

    assert str(module.weight_ih_l0.dtype) == f"torch.{spec.dtype.name}"
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert_same_function(spec, module.double(), 1e-12)


@pytest.mark.parametrize("bias", [{}, {"bias": False}])
def test_a_cell_goes_and_comes_back(torch: ModuleType, bias: dict[str, bool]) -> None:
    cell = random_cell("float64", **bias)
    x, h = torch.rand(3, 5, dtype=torch.float64), torch.rand(3, 7, dtype=torch.float64)

    spec = from_module(cell)
    back = to_cell(spec)

    assert torch.equal(back(x, h), cell(x, h))
    hidden = to_module(spec)(x[:, None], h[None])[1][0]
    assert torch.allclose(hidden, cell(x, h), rtol=0, atol=1e-12)


def test_a_module_under_weight_norm_gives_the_weights_it_computes(torch: ModuleType) -> None:
    module = random_gru("float64")
    normalised = torch.nn.utils.parametrizations.weight_norm(random_gru("float64"), "weight_hh_l0")
    with torch.no_grad():
        dict(normalised.named_parameters())["parametrizations.weight_hh_l0.original0"].mul_(0.5)
        dict(module.named_parameters())["weight_hh_l0"].copy_(normalised.weight_hh_l0)

    assert_same_function(from_module(normalised), module, 1e-12)


def test_the_spec_shares_the_memory_of_the_module(torch: ModuleType) -> None:
    module = random_gru()
    direction = from_module(module).layers[0].forward
    with torch.no_grad():
        dict(module.named_parameters())["weight_ih_l0"][0, 0] = 42.0

    assert direction is not None
    assert direction.input_weight.reset[0, 0] == 42.0


def test_the_module_has_weights_of_its_own(torch: ModuleType) -> None:
    spec = member("reset_after")
    module = to_module(spec)
    before = spec.astype("float64")
    with torch.no_grad():
        dict(module.named_parameters())["weight_ih_l0"].zero_()

    assert differences(spec.astype("float64"), before) == ()


def test_a_module_of_another_kind_is_refused(torch: ModuleType) -> None:
    with pytest.raises(InvalidSpecError, match=r"expected a torch.nn.GRU or torch.nn.GRUCell; received LSTM"):
        from_module(torch.nn.LSTM(3, 4))


@pytest.mark.usefixtures("torch")
def test_a_spec_that_torch_cannot_compute_is_refused_with_all_reasons() -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"nn.GRU cannot compute clip: ") as error:
        to_module(member("clip"))

    assert len(error.value.features) == 2
    assert "applied before the recurrent product" in error.value.features[0]
    assert "clipped to 0.75" in error.value.features[1]


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("name", ["bidirectional", "bfloat16"])
def test_a_cell_of_two_directions_or_layers_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match="a cell has one layer and runs forward; use to_module"):
        to_cell(member(name))


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_torch(name: str, *arguments: Any) -> ModuleType:
        if name == "torch":
            raise ModuleNotFoundError(name=name)
        return real_import(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_torch)

    with pytest.raises(MissingDependencyError, match=r"pip install 'grubridge\[torch\]'") as error:
        to_module(member("reset_after"))

    assert error.value.extra == "torch"


def test_numbers_of_a_half_precision_module_are_kept(torch: ModuleType) -> None:
    module = random_gru("bfloat16")
    direction = from_module(module).layers[0].forward

    assert direction is not None
    expected = module.state_dict()["weight_hh_l0"][7:14].to(torch.float32).numpy()
    assert np.array_equal(direction.recurrent_weight.update.astype(np.float32), expected)
