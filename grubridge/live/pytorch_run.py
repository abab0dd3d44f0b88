"""nn.GRU, nn.GRUCell and described cells in memory, or in a module in memory, run where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grubridge.backends import pytorch
from grubridge.formats.state_dict.layout import LAYOUT
from grubridge.traces import Probe, Trace

from .pytorch import from_module, parameter_names
from .pytorch_cells import cell_names, find_cell, read_cell, run_cell
from .running import LiveGRU, check_device, choose

if TYPE_CHECKING:
    import torch

__all__ = ["find_gru", "gru_names"]


def find_gru(module: torch.nn.Module, stack: str | None = None, layout: str | None = None) -> LiveGRU:
    """Return the only GRU of a module, or the one called `stack`, as `named_modules` calls it.

    With a layout, these are the hand-written cells that have its tensors.
    """
    if layout is not None:
        entry = find_cell(module, layout, stack)
        return LiveGRU(
            entry.name,
            read_cell(module, entry),
            pytorch.NAME,
            lambda probe, device: run_cell(module, entry, probe, device),
            entry.layout,
            entry.address,
        )
    found = {name: (name, part) for name, part in _grus(module).items()}
    name, gru = choose(found, {}, stack, f"this {type(module).__name__}")
    return LiveGRU(
        name, from_module(gru), pytorch.NAME, lambda probe, device: _run(gru, probe, device), LAYOUT
    )


def gru_names(module: torch.nn.Module, layout: str | None = None) -> list[str]:
    """Return what `find_gru` can find."""
    return list(_grus(module)) if layout is None else cell_names(module, layout)


def _grus(module: torch.nn.Module) -> dict[str, torch.nn.GRU | torch.nn.GRUCell]:
    import torch

    kinds = (torch.nn.GRU, torch.nn.GRUCell)
    parts = [("gru", module)] if isinstance(module, kinds) else module.named_modules()
    return {name: part for name, part in parts if isinstance(part, kinds)}


def _run(gru: torch.nn.GRU | torch.nn.GRUCell, probe: Probe, device: str) -> Trace:
    """Run new modules that are given the weights of `gru`, which is thus not touched."""
    import torch

    tensors = {name: getattr(gru, name).detach() for name in parameter_names(gru)}
    address: dict[str, Any] = {
        name: getattr(gru, name, None)
        for name in ("input_size", "hidden_size", "num_layers", "bidirectional", "bias")
    }
    address["cell"] = isinstance(gru, torch.nn.GRUCell)
    own = str(next(iter(tensors.values())).device)
    check_device(device, own)
    with torch.random.fork_rng(devices=[]):  # a new module draws its first weights
        return pytorch.run_tensors(address, tensors, probe, own)
