"""nn.GRU, nn.GRUCell and hand-written cells in memory, as specs, and specs as modules, without a file."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from grubridge.errors import InvalidSpecError, MissingDependencyError, UnsupportedFeatureError
from grubridge.formats.state_dict.layout import CAPABILITIES, LAYOUT, recurrent_layers
from grubridge.formats.state_dict.plan import plan
from grubridge.spec import Fused, GRUSpec, Source, StackIO, has_biases, unsupported

from .torch_tensors import stored

if TYPE_CHECKING:
    import torch

__all__ = ["from_module", "parameter_names", "to_cell", "to_module"]

_TARGET = "PyTorch"


def from_module(module: torch.nn.Module, *, layout: str | None = None) -> GRUSpec:
    """Return the spec of a module. Its arrays share the memory of weights that are on the CPU.

    Weights under weight_norm or another parametrization are taken as the module computes them.

    Args:
        module: an nn.GRU or nn.GRUCell; with a layout, a module with a hand-written cell's tensors in it.
        layout: what those tensors are: a shipped layout's name, or the path of a .toml file.

    Raises:
        InvalidSpecError: when `module` is neither an nn.GRU nor an nn.GRUCell and there is no layout, or its
            tensors do not fit together.
        StackSelectionError: when there is not one stack of cells of the layout in it.
        LayoutError: when there is no such layout.
        UnsupportedFeatureError: when no spec can hold what the cell does.
    """
    import torch

    if layout is not None:
        from .pytorch_cells import find_cell, read_cell

        return read_cell(module, find_cell(module, layout))
    kind = type(module).__name__
    if not isinstance(module, (torch.nn.GRU, torch.nn.GRUCell)):
        raise InvalidSpecError(
            f"expected a torch.nn.GRU or torch.nn.GRUCell; received {kind} (one's own cell needs a layout)"
        )
    tensors = {name: stored(getattr(module, name)) for name in parameter_names(module)}
    (layer,) = recurrent_layers(tensors)
    io = StackIO(time_major=isinstance(module, torch.nn.GRU) and not module.batch_first)
    source = Source("", "pytorch", "gru", f"torch {torch.__version__}")
    return GRUSpec(layer.read(f"this {kind}"), io=io, source=source)


def parameter_names(module: torch.nn.GRU | torch.nn.GRUCell) -> list[str]:
    """Return the names of a module's weights; state_dict() has others in the place of parametrized ones."""
    import torch

    parts = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if module.bias else [])]
    if isinstance(module, torch.nn.GRUCell):
        return parts
    directions = ["", "_reverse"] if module.bidirectional else [""]
    return [
        f"{part}_l{layer}{direction}"
        for layer in range(module.num_layers)
        for direction in directions
        for part in parts
    ]


def to_module(spec: GRUSpec) -> torch.nn.GRU:
    """Return an nn.GRU that computes `spec`, on the CPU, with weights of its own.

    Raises:
        UnsupportedFeatureError: when nn.GRU cannot compute it; `.features` lists every reason.
        MissingDependencyError: when PyTorch is not installed.
    """
    framework = _torch()
    reasons = unsupported(spec, CAPABILITIES, _TARGET)
    if reasons:
        raise UnsupportedFeatureError(f"nn.GRU cannot compute {spec.name}: {'; '.join(reasons)}", reasons)
    bottom = spec.layers[0]
    module: torch.nn.GRU = framework.nn.GRU(
        spec.input_size,
        bottom.hidden_size,
        num_layers=len(spec.layers),
        bias=has_biases(spec),
        batch_first=not spec.io.time_major,
        bidirectional=bottom.backward is not None,
        device="meta",
        dtype=getattr(framework, spec.dtype.name),
    )
    _fill(module, plan(spec, LAYOUT).tensors)
    return module


def to_cell(spec: GRUSpec) -> torch.nn.GRUCell:
    """Return an nn.GRUCell that computes one step of `spec`, on the CPU, with weights of its own.

    Raises:
        UnsupportedFeatureError: when nn.GRUCell cannot compute it; `.features` lists every reason.
        MissingDependencyError: when PyTorch is not installed.
    """
    framework = _torch()
    reasons = unsupported(spec, CAPABILITIES, _TARGET)
    if len(spec.layers) > 1 or spec.layers[0].backward is not None:
        reasons = (*reasons, "a cell has one layer and runs forward; use to_module")
    if reasons:
        raise UnsupportedFeatureError(f"nn.GRUCell cannot compute {spec.name}: {'; '.join(reasons)}", reasons)
    cell: torch.nn.GRUCell = framework.nn.GRUCell(
        spec.input_size,
        spec.layers[0].hidden_size,
        bias=has_biases(spec),
        device="meta",
        dtype=getattr(framework, spec.dtype.name),
    )
    tensors = plan(spec, LAYOUT).tensors
    _fill(cell, {name.removesuffix("_l0"): tensor for name, tensor in tensors.items()})
    return cell


def _torch() -> ModuleType:
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "PyTorch is not installed; install it with: pip install 'grubridge[torch]'", "torch"
        ) from None
    return torch


def _fill(module: torch.nn.Module, tensors: Mapping[str, Fused]) -> None:
    """Give a module that has no memory yet (device "meta") its weights."""
    weights = {name: _tensor(fused) for name, fused in tensors.items()}
    module.load_state_dict(weights, assign=True)


def _tensor(fused: Fused) -> torch.Tensor:
    import torch

    array = fused.to_array()
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
