"""One direction of a Keras layer, ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grubridge.spec import Direction

__all__ = ["Half"]


@dataclass(frozen=True)
class Half:
    """One direction of a layer.

    Args:
        layer: a GRU or RNN of Keras 2 or 3 that returns every step and its state.
        cell: its GRUCell.
        sized: makes a layer of the same class and configuration, for that many units and inputs; its weights
            are still to be set. None where nobody knows how to make one.
    """

    layer: Any
    cell: Any
    sized: Callable[[int, int], Any] | None = None

    @property
    def way(self) -> Direction:
        """The direction of reading."""
        return "backward" if self.layer.go_backwards else "forward"
