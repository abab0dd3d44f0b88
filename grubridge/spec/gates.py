"""The three gates, by name. No order lives here: each file format states its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np

from .fused import Array, Fused

__all__ = ["CANDIDATE", "GATE_NAMES", "RESET", "UPDATE", "Gate", "Gates", "fuse", "split"]

Gate = Literal["update", "reset", "candidate"]
UPDATE: Gate = "update"
RESET: Gate = "reset"
CANDIDATE: Gate = "candidate"
GATE_NAMES: tuple[Gate, ...] = (UPDATE, RESET, CANDIDATE)

T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S")


@dataclass(frozen=True)
class Gates(Generic[T_co]):
    """One value per gate: update z, reset r, candidate n. Serves weights, biases and traces alike."""

    update: T_co
    reset: T_co
    candidate: T_co

    def __getitem__(self, gate: Gate) -> T_co:
        value: T_co = getattr(self, gate)
        return value

    def items(self) -> Iterator[tuple[Gate, T_co]]:
        """Yield (gate name, value) in the order of `GATE_NAMES`."""
        return ((gate, self[gate]) for gate in GATE_NAMES)

    def map(self, function: Callable[[T_co], S]) -> Gates[S]:
        """Return the gates with `function` applied to each value."""
        return Gates(function(self.update), function(self.reset), function(self.candidate))


def split(fused: Array, order: Sequence[Gate], axis: int) -> Gates[Array]:
    """Cut an array that holds three gates side by side into named views.

    Args:
        fused: array whose length along `axis` is 3H.
        order: the order in which the gates stand along `axis`.
        axis: the axis along which the gates are stacked.

    Returns:
        Views, never copies.
    """
    blocks = np.split(fused, 3, axis=axis)
    position = {gate: order.index(gate) for gate in GATE_NAMES}
    return Gates(blocks[position[UPDATE]], blocks[position[RESET]], blocks[position[CANDIDATE]])


def fuse(gates: Gates[Array], order: Sequence[Gate], axis: int) -> Fused:
    """Put three arrays side by side along `axis` in `order`, without copying them (see `Fused`)."""
    return Fused(tuple(gates[gate] for gate in order), axis)
