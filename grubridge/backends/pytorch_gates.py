"""The gates of nn.GRU and nn.GRUCell: observed in the module's kernel, or replayed by torch's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grubridge.spec import CANDIDATE, RESET, UPDATE, Array, Direction, Gates, GRUDirection, fuse, split
from grubridge.traces import DirectionTrace, Probe

from .taps import Kernel, Steps, Tap, direction_trace

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

__all__ = ["array_of", "traced"]

_ORDER = (RESET, UPDATE, CANDIDATE)
_PARTS = {
    "weight_ih": "input_weight",
    "weight_hh": "recurrent_weight",
    "bias_ih": "input_bias",
    "bias_hh": "recurrent_bias",
}
"""Parameters of torch and the parts of a GRUDirection."""


def traced(
    module: Module, suffix: str, run: tuple[Tensor, Tensor, Tensor], way: Direction, probe: Probe
) -> tuple[DirectionTrace, tuple[str, ...]]:
    """Return the trace of one direction, and notes.

    Args:
        module: an nn.GRU of one layer, or an nn.GRUCell.
        suffix: of the names of the direction's parameters.
        run: x [B, T, I], h_0 [B, H] and the hidden states [B, T, H].
        way: the direction.
        probe: the inputs of the run.
    """
    x, start, hidden = run
    steps = Steps(array_of(x), array_of(start), array_of(hidden), way, probe.lengths, probe.gates)
    parameters: dict[str, Any] = {name: getattr(module, name + suffix, None) for name in _PARTS}
    loaded = {
        _PARTS[name]: split(array_of(tensor), _ORDER, 0)
        for name, tensor in parameters.items()
        if tensor is not None
    }
    tap = Tap(GRUDirection(**loaded), None, _kernel(module, hidden))  # type: ignore[arg-type]
    return direction_trace(steps, tap, lambda: _replayed(parameters, x, _like(hidden, steps.previous)))


def _kernel(module: Module, like: Tensor) -> Kernel:
    """Return the kernel of a module of this class, with tensors of the dtype and device of `like`."""
    import torch

    def load(direction: GRUDirection) -> Any:  # noqa: ANN401 - see Kernel
        sizes, has_bias = (direction.input_size, direction.hidden_size), direction.input_bias is not None
        is_cell = isinstance(module, torch.nn.GRUCell)
        how: dict[str, Any] = {"bias": has_bias, "device": "meta", "dtype": like.dtype}
        made = torch.nn.GRUCell(*sizes, **how) if is_cell else torch.nn.GRU(*sizes, batch_first=True, **how)
        end = "" if is_cell else "_l0"
        given = {name: getattr(direction, part) for name, part in _PARTS.items()}
        fused = {
            name: fuse(gates, _ORDER, 0).to_array() for name, gates in given.items() if gates is not None
        }
        made.load_state_dict({name + end: _like(like, array) for name, array in fused.items()}, assign=True)
        made = made.to(like.device).eval()

        def step(x: Array, h: Array) -> Array:
            rows, state = _like(like, x), _like(like, h)
            return array_of(made(rows, state) if is_cell else made(rows[:, None], state[None])[0][:, 0])

        return step

    return load


def _replayed(parameters: dict[str, Tensor], x: Tensor, previous: Tensor) -> Gates[Array]:
    """Compute the gates of x [B, T, I] and h_{t-1} [B, T, H], all steps in one batch."""
    from torch.nn.functional import linear

    projected = linear(x, parameters["weight_ih"], parameters["bias_ih"])
    recurrent = linear(previous, parameters["weight_hh"], parameters["bias_hh"])
    reset_x, update_x, candidate_x = projected.chunk(3, -1)  # as in _ORDER
    reset_h, update_h, candidate_h = recurrent.chunk(3, -1)
    reset = (reset_x + reset_h).sigmoid()
    update = (update_x + update_h).sigmoid()
    candidate = (candidate_x + reset * candidate_h).tanh()
    return Gates(array_of(update), array_of(reset), array_of(candidate))


def _like(tensor: Tensor, array: Array) -> Tensor:
    """Return the array as a tensor of the dtype and device of `tensor`."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(array)).to(tensor.device, tensor.dtype)


def array_of(tensor: Tensor) -> Array:
    """Return the tensor as numpy has it: bfloat16 as float32."""
    import torch

    array: Array = (
        (tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()).cpu().numpy()
    )
    return array
