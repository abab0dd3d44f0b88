"""GRUs made by torch itself with random weights, and whether a spec is the same function as one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grubridge import reference
from grubridge.spec import GRUSpec
from grubridge.traces import Place, Probe

if TYPE_CHECKING:
    import torch

__all__ = ["VARIANTS", "assert_same_function", "random_cell", "random_gru", "randomize"]

VARIANTS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "no bias": {"bias": False},
    "bidirectional": {"bidirectional": True},
    "three layers": {"num_layers": 3},
    "two layers, bidirectional, no bias": {"num_layers": 2, "bidirectional": True, "bias": False},
    "two layers, bidirectional": {"num_layers": 2, "bidirectional": True},
    "batch first": {"batch_first": True},
}
"""Name -> arguments of nn.GRU."""

STEPS, LENGTHS = 6, (6, 3, 4)


def randomize(module: torch.nn.Module, seed: int = 0) -> None:
    """Give every parameter random values of a size at which all gates move."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            drawn = torch.rand(parameter.shape, generator=generator, dtype=torch.float64) * 1.2 - 0.6
            parameter.copy_(drawn)


def random_gru(dtype: str = "float32", seed: int = 0, **arguments: Any) -> torch.nn.GRU:
    """Return an nn.GRU of input size 5 and hidden size 7."""
    import torch

    module = torch.nn.GRU(5, 7, dtype=getattr(torch, dtype), **arguments)
    randomize(module, seed)
    return module


def random_cell(dtype: str = "float32", seed: int = 0, **arguments: Any) -> torch.nn.GRUCell:
    """Return an nn.GRUCell of input size 5 and hidden size 7."""
    import torch

    cell = torch.nn.GRUCell(5, 7, dtype=getattr(torch, dtype), **arguments)
    randomize(cell, seed)
    return cell


def assert_same_function(spec: GRUSpec, module: torch.nn.GRU, tolerance: float) -> None:
    """Compare the float64 equations with torch: outputs and final states, unequal lengths, h_0 not zero."""
    import torch

    rng = np.random.default_rng(3)
    directions = 2 if module.bidirectional else 1
    batch, places = len(LENGTHS), module.num_layers * directions
    x = rng.standard_normal((batch, STEPS, module.input_size)).astype(np.float32)
    start = rng.standard_normal((places, batch, module.hidden_size)).astype(np.float32)
    dtype = next(module.parameters()).dtype
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.from_numpy(x).to(dtype), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        output, final = module(packed, torch.from_numpy(start).to(dtype))
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)

    order: list[Place] = [
        (layer, "backward" if back else "forward")
        for layer in range(module.num_layers)
        for back in range(directions)
    ]
    states = {place: start[index] for index, place in enumerate(order)}
    trace = reference.run(spec, Probe(x, states, np.array(LENGTHS)))
    top = [trace.places[place].hidden for place in order[-directions:]]
    assert np.abs(np.concatenate(top, axis=-1) - y.numpy()).max() < tolerance
    for index, (layer, direction) in enumerate(order):
        hidden = trace.places[layer, direction].hidden
        last = [length - 1 if direction == "forward" else 0 for length in LENGTHS]
        assert np.abs(hidden[range(batch), last] - final[index].numpy()).max() < tolerance
