"""Hand-written cells in a torch module, by a layout of their tensors. Their own code is not called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from grubridge.backends import pytorch
from grubridge.backends.described import own_tensors
from grubridge.errors import GRUBridgeError, StackSelectionError
from grubridge.files.tensors import TensorFile
from grubridge.files.text import listed, printable
from grubridge.formats.base import Contents, StackEntry
from grubridge.formats.described import described
from grubridge.layouts.document import from_json
from grubridge.spec import GRUSpec
from grubridge.traces import Probe, Trace

from .running import check_device, choose
from .torch_tensors import stored

if TYPE_CHECKING:
    import torch

__all__ = ["cell_names", "find_cell", "read_cell", "run_cell"]


def find_cell(module: torch.nn.Module, layout: str, stack: str | None = None) -> StackEntry:
    """Return the only stack of cells in `module` that has the tensors of `layout`, or the one called `stack`.

    Args:
        module: it or modules in it hold the tensors, as parameters, buffers or plain attributes.
        layout: a shipped layout's name, or the path of a .toml file.
        stack: the name of the module that holds the cells, "gru" where `module` itself does.

    Raises:
        StackSelectionError: when there is none, or several and none was chosen.
        LayoutError: when there is no such layout.
    """
    contents = _contents(module, layout)
    where = f"this {type(module).__name__}"
    if not contents.stacks:
        found = f"it holds {listed(contents.others)}" if contents.others else contents.advice
        raise StackSelectionError(f"{where}: no cell of the layout {printable(layout)} in it; {found}", [])
    return choose({entry.name: entry for entry in contents.stacks}, {}, stack, where)


def cell_names(module: torch.nn.Module, layout: str) -> list[str]:
    """Return what `find_cell` can find."""
    return [entry.name for entry in _contents(module, layout).stacks]


def _contents(module: torch.nn.Module, layout: str) -> Contents:
    import torch

    tensors = {name: stored(tensor) for name, tensor in _tensors(module)}
    held = TensorFile(Path(), pytorch.NAME, {(): tensors}, f"torch {torch.__version__}")
    return described(held, layout)


def read_cell(module: torch.nn.Module, entry: StackEntry) -> GRUSpec:
    """Return the spec of what `find_cell` found.

    Raises:
        InvalidSpecError: when the tensors do not fit together.
        UnsupportedFeatureError: when no spec can hold what the cell does.
    """
    try:
        spec = entry.read()
    except GRUBridgeError as error:
        raise type(error)(f"this {type(module).__name__}, {printable(entry.name)}: {error}") from error
    return replace(spec, source=spec.source and replace(spec.source, path=""))


def run_cell(module: torch.nn.Module, entry: StackEntry, probe: Probe, device: str) -> Trace:
    """Run what `find_cell` found, as its layout describes it, on the tensors of `module` where they are."""
    prefix = entry.address["prefix"]
    below = {name[len(prefix) :]: tensor for name, tensor in _tensors(module) if name.startswith(prefix)}
    own = own_tensors(from_json(entry.address["layout"]), below)
    place = str(next(iter(own.values())).device)
    check_device(device, place)
    return pytorch.run_tensors(entry.address, own, probe, place)


def _tensors(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor by its name; under a parametrization the one that the module computes with."""
    import torch

    for path, part in module.named_modules():
        registered = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        names = [*(name for name, _ in registered), *vars(part), *getattr(part, "parametrizations", ())]
        for name in dict.fromkeys(names):
            value = getattr(part, name)
            if isinstance(value, torch.Tensor):
                yield f"{path}.{name}" if path else name, value.detach()
