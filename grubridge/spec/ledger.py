"""The ledger of a conversion: what was done to each tensor, and whether it is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Action", "TensorRecord"]

Action = Literal["copied", "permuted", "transposed", "zero-filled", "summed", "cast"]


@dataclass(frozen=True)
class TensorRecord:
    """What was done to make one tensor of the target.

    Args:
        tensor: its name in the target file, e.g. "weight_ih_l0".
        shape: its shape there.
        actions: what was done, in order; "permuted" means that gate blocks changed places.
        largest_change: the largest |new - old| that rounding caused; 0.0 means bit-exact.
    """

    tensor: str
    shape: tuple[int, ...]
    actions: tuple[Action, ...]
    largest_change: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether every value is bit for bit what the source holds (or a zero that means absence)."""
        return self.largest_change == 0.0
