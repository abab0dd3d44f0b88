"""A cell of six Linear layers, each with its own bias, the reset gate applied after the product."""

import torch
from torch import Tensor

__all__ = ["SplitLinearGRU"]


class SplitLinearGRU(torch.nn.Module):
    """w layers take the input, r layers the state; 1 is the reset gate, 2 the update gate, 3 the rest."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.linear_reset_w1 = torch.nn.Linear(input_size, hidden_size)
        self.linear_reset_r1 = torch.nn.Linear(hidden_size, hidden_size)
        self.linear_reset_w2 = torch.nn.Linear(input_size, hidden_size)
        self.linear_reset_r2 = torch.nn.Linear(hidden_size, hidden_size)
        self.linear_gate_w3 = torch.nn.Linear(input_size, hidden_size)
        self.linear_gate_r3 = torch.nn.Linear(hidden_size, hidden_size)

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return h' = (1-z)*n + z*h and z, r and n, of x [B, I] and h [B, H]."""
        r = torch.sigmoid(self.linear_reset_w1(x) + self.linear_reset_r1(h))
        z = torch.sigmoid(self.linear_reset_w2(x) + self.linear_reset_r2(h))
        n = torch.tanh(self.linear_gate_w3(x) + r * self.linear_gate_r3(h))
        return (1 - z) * n + z * h, z, r, n

    def told(self, x: Tensor) -> dict[str, Tensor]:
        """Return the states and gates of all steps, [B, T, H] each, of inputs [B, T, I]."""
        h = x.new_zeros(len(x), self.hidden_size)
        steps: dict[str, list[Tensor]] = {"hidden": [], "update": [], "reset": [], "candidate": []}
        for x_t in x.unbind(dim=1):
            h, z, r, n = self.step(x_t, h)
            for kept, value in zip(steps.values(), (h, z, r, n), strict=True):
                kept.append(value)
        return {name: torch.stack(kept, dim=1) for name, kept in steps.items()}

    def forward(self, x: Tensor) -> Tensor:
        """Return the states of all steps, [B, T, H], of inputs [B, T, I]."""
        return self.told(x)["hidden"]
