"""Keras GRU layers in memory, or in a model in memory, run in this process by copies of them."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from grubridge.backends.base import installed, precision
from grubridge.backends.keras import backend
from grubridge.backends.keras.half import Half
from grubridge.backends.keras.native import by_direction, find_layer
from grubridge.formats.keras.config import RecurrentLayer
from grubridge.formats.keras.layout import LAYOUT
from grubridge.formats.keras.model import Model, read_model
from grubridge.traces import Probe, Trace

from .keras import layer_entry, spec_of
from .keras_cells import as_gru_cells, is_own_cell, own_cells, package_of, stepwise
from .running import LiveGRU, check_device, choose

__all__ = ["find_gru", "gru_names"]

_Chain = Sequence[tuple[Any, RecurrentLayer]]
"""Layers that feed each other, each with what its configuration says."""


def find_gru(model: Any, stack: str | None = None) -> LiveGRU:  # noqa: ANN401 - untyped library
    """Return the only GRU of a layer or model, or the one called `stack`.

    Layers that feed only each other are one stack, "first:last", as they are in a file of the model.
    """
    where = f"this {type(model).__name__}"
    stacks = {_name(chain): chain for chain in _chains(model, "", where)}
    members = {_name([one]): [one] for chain in stacks.values() for one in chain}
    chain = choose(stacks, members, stack, where)
    spec = spec_of(chain, _name(chain), where)
    return LiveGRU(_name(chain), spec, backend.NAME, lambda probe, device: _run(chain, probe, device), LAYOUT)


def gru_names(model: Any) -> list[str]:  # noqa: ANN401 - untyped library
    """Return what the stacks of a layer or model are called."""
    return [_name(chain) for chain in _chains(model, "", f"this {type(model).__name__}")]


def _name(chain: _Chain) -> str:
    return ":".join(dict.fromkeys((chain[0][1].name, chain[-1][1].name)))


def _chains(model: Any, prefix: str, where: str) -> Iterator[_Chain]:  # noqa: ANN401 - untyped library
    """Yield every GRU in a model; what a model of the user's own class holds is listed in its `layers`."""
    found = _found(model, where)
    layers = [
        (
            find_layer(model, one.path) if hasattr(model, "layers") else model,
            replace(one, name=prefix + one.name),
        )
        for one in found.layers
    ]
    chained = {index for chain in found.chains for index in chain}
    alone = [(index,) for index in range(len(layers)) if index not in chained]
    for chain in sorted([*found.chains, *alone]):
        yield [layers[index] for index in chain]
    if not found.layers:
        for part in getattr(model, "layers", ()):
            yield from _chains(part, f"{prefix}{part.name}/" if hasattr(part, "layers") else prefix, where)


def _found(model: Any, where: str) -> Model:  # noqa: ANN401 - untyped library
    """Return what the configuration of a model, or of a single layer, says."""
    if hasattr(model, "layers"):
        config = json.loads(json.dumps(model.get_config(), default=str))
        entry = {"class_name": type(model).__name__, "config": as_gru_cells(config, model)}
        return read_model(entry, where)
    return read_model({"class_name": "Sequential", "config": {"layers": [layer_entry(model)]}}, where)


def _run(chain: _Chain, probe: Probe, wanted: str) -> Trace:
    import keras

    package = package_of(chain[0][0])
    engine = keras.config.backend() if package == "keras" else "tensorflow"
    device = _device(chain[0][0])
    check_device(wanted, device)
    with _dice_untouched(), keras.device(device.replace("cuda", "gpu")):
        layers = [
            _directions(_layer(layer), cell)
            for layer, found in chain
            for cell in (range(len(found.cells)) if found.stacked else [None])
        ]
        places, notes = backend.run_layers(layers, probe)
        dtype = layers[0][0].layer.compute_dtype
    return Trace(
        backend.NAME,
        f"{installed(package)} ({installed(engine)})",
        device,
        dtype,
        native=True,
        places=places,
        notes=notes,
        kernel=f"{_what([layer for layer, _ in chain], package)} on {engine}, called eagerly",
        precision=precision(dtype, device, allow_tf32=True),  # as it is unless the user forbids it
    )


def _what(layers: Sequence[Any], package: str) -> str:
    """Return what computes, in a few words."""
    own = dict.fromkeys(type(cell).__name__ for layer in layers for cell in own_cells(layer))
    return ", ".join(own) or f"copies of {package} layers"


def _directions(layer: Any, cell: int | None) -> list[Half]:  # noqa: ANN401 - untyped library
    """Return a layer's halves, or itself, with the state of every step; `cell` is which of stacked cells."""
    found: list[Half] = []
    for half in [layer.forward_layer, layer.backward_layer] if hasattr(layer, "forward_layer") else [layer]:
        inner = half.cell if cell is None else half.cell.cells[cell]
        found += [stepwise(half, inner)] if is_own_cell(inner) else by_direction(half, cell)
    return found


def _layer(layer: Any) -> Any:  # noqa: ANN401 - untyped library
    """Return the layer itself; for a cell, a layer around it."""
    if hasattr(layer, "cell") or hasattr(layer, "forward_layer"):
        return layer
    return sys.modules[package_of(layer)].layers.RNN(layer)


def _device(layer: Any) -> str:  # noqa: ANN401 - untyped library
    """Return "cpu", or e.g. "cuda:0" when the weights are on a GPU."""
    weight = layer.weights[0]
    value = weight if hasattr(weight, "device") else weight.value
    gpu = re.search(r"(?:gpu|cuda)\D*(\d+)", str(getattr(value, "device", "")).lower())
    return "cpu" if gpu is None else f"cuda:{gpu[1]}"


@contextmanager
def _dice_untouched() -> Iterator[None]:
    """Give Python's random numbers back as they were: a new layer draws a seed of its own from them."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
