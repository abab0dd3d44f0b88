"""A classifier around a batch-first cell: the output of its last step goes into a final linear layer."""

import torch
from torch import Tensor

__all__ = ["Classifier"]


class Classifier(torch.nn.Module):
    """A cell that returns its outputs of all steps, [B, T, H], and a linear layer behind the last of them."""

    def __init__(self, gru: torch.nn.Module, hidden_size: int, classes: int) -> None:
        super().__init__()
        self.gru = gru
        self.final = torch.nn.Linear(hidden_size, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes] of inputs [B, T, I]."""
        logits: Tensor = self.final(self.gru(x)[:, -1])
        return logits
