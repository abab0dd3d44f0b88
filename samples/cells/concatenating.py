"""A cell with one Linear layer per gate over input and state side by side; z takes the new state."""

import torch
from torch import Tensor

__all__ = ["ConcatenatingGRU"]


class ConcatenatingGRU(torch.nn.Module):
    """Returns the tanh of its states; the states themselves go on.

    Args:
        input_size: I.
        hidden_size: H.
        state_first: the layers see [h, x] rather than [x, h].
    """

    def __init__(self, input_size: int, hidden_size: int, *, state_first: bool) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.state_first = state_first
        self.update_gate = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.reset_gate = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.candidate = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def beside(self, x: Tensor, h: Tensor) -> Tensor:
        """Return [x, h] or [h, x], [B, I+H]."""
        return torch.cat([h, x] if self.state_first else [x, h], dim=1)

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """Return h' = (1-z)*h + z*n of x [B, I] and h [B, H]; n sees x and r*h."""
        z = torch.sigmoid(self.update_gate(self.beside(x, h)))
        r = torch.sigmoid(self.reset_gate(self.beside(x, h)))
        n = torch.tanh(self.candidate(self.beside(x, r * h)))
        return (1 - z) * h + z * n

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all steps, tanh(h') [B, T, H], of inputs [B, T, I]."""
        h = x.new_zeros(len(x), self.hidden_size)
        outputs = []
        for x_t in x.unbind(dim=1):
            h = self.step(x_t, h)
            outputs.append(torch.tanh(h))
        return torch.stack(outputs, dim=1)
