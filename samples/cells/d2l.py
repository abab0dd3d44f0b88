"""The GRU that Dive into Deep Learning writes from scratch, and what is left of it without a gate.

Inputs are time-major, [T, B, I], weights [I, H] and [H, H]; the reset gate acts before the product, and z
keeps the old state. Products with the inputs need no state, so they are made for all steps at once.
"""

import torch
from torch import Tensor

__all__ = ["GRU", "Cell", "LanguageModel", "ResetOnly", "UpdateOnly"]


class Cell(torch.nn.Module):
    """The parameters W_x*, W_h* and b_* of some gates: z update, r reset, h candidate."""

    def __init__(self, input_size: int, hidden_size: int, gates: str) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        for gate in gates:
            for name, rows in (("W_x", input_size), ("W_h", hidden_size)):
                weight = torch.randn(rows, hidden_size) / hidden_size**0.5
                self.register_parameter(f"{name}{gate}", torch.nn.Parameter(weight))
            self.register_parameter(f"b_{gate}", torch.nn.Parameter(0.1 * torch.randn(hidden_size)))

    def from_inputs(self, x: Tensor, gate: str) -> Tensor:
        """Return x W_x + b of one gate, [T, B, H]."""
        return x @ self.get_parameter(f"W_x{gate}") + self.get_parameter(f"b_{gate}")

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the states of all steps [T, B, H] and the last one [B, H], of inputs [T, B, I]."""
        h = x.new_zeros(x.shape[1], self.hidden_size) if h is None else h
        states = self.steps(x, h)
        return torch.stack(states), states[-1]

    def steps(self, x: Tensor, h: Tensor) -> list[Tensor]:
        """Return h_1 to h_T, [B, H] each, of x [T, B, I] and h_0 [B, H]."""
        raise NotImplementedError


class GRU(Cell):
    """The full cell."""

    W_hz: Tensor
    W_hr: Tensor
    W_hh: Tensor

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, "zrh")

    def steps(self, x: Tensor, h: Tensor) -> list[Tensor]:
        """Z and r are sigmoids, n = tanh(W_xh x + W_hh (r*h) + b_h), h' = z*h + (1-z)*n."""
        states = []
        for x_z, x_r, x_n in zip(*(self.from_inputs(x, gate) for gate in "zrh"), strict=True):
            z = torch.sigmoid(x_z + h @ self.W_hz)
            r = torch.sigmoid(x_r + h @ self.W_hr)
            n = torch.tanh(x_n + (r * h) @ self.W_hh)
            h = z * h + (1 - z) * n
            states.append(h)
        return states


class ResetOnly(Cell):
    """No update gate: the new state is the candidate."""

    W_hr: Tensor
    W_hh: Tensor

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, "rh")

    def steps(self, x: Tensor, h: Tensor) -> list[Tensor]:
        """R is a sigmoid, h' = tanh(W_xh x + W_hh (r*h) + b_h)."""
        states = []
        for x_r, x_n in zip(*(self.from_inputs(x, gate) for gate in "rh"), strict=True):
            r = torch.sigmoid(x_r + h @ self.W_hr)
            h = torch.tanh(x_n + (r * h) @ self.W_hh)
            states.append(h)
        return states


class UpdateOnly(Cell):
    """No reset gate: the candidate sees the state itself."""

    W_hz: Tensor
    W_hh: Tensor

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, "zh")

    def steps(self, x: Tensor, h: Tensor) -> list[Tensor]:
        """Z is a sigmoid, n = tanh(W_xh x + W_hh h + b_h), h' = z*h + (1-z)*n."""
        states = []
        for x_z, x_n in zip(*(self.from_inputs(x, gate) for gate in "zh"), strict=True):
            z = torch.sigmoid(x_z + h @ self.W_hz)
            n = torch.tanh(x_n + h @ self.W_hh)
            h = z * h + (1 - z) * n
            states.append(h)
        return states


class LanguageModel(torch.nn.Module):
    """A recurrent part, one of the above or `torch.nn.GRU`, and the output layer for the next character."""

    def __init__(self, rnn: torch.nn.Module, hidden_size: int, characters: int) -> None:
        super().__init__()
        self.rnn = rnn
        self.linear = torch.nn.Linear(hidden_size, characters)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [T, B, characters] of one-hot characters [T, B, characters]."""
        hidden, _ = self.rnn(x)
        logits: Tensor = self.linear(hidden)
        return logits
