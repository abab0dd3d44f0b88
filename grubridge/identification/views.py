"""The ways in which a tensor can be part of a GRU cell, as its shape alone allows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from grubridge.files.tensors import StoredTensor
from grubridge.layouts.description import BIASES, WEIGHTS, Part, TensorLayout
from grubridge.spec import Array, Gate

__all__ = ["View", "bias_view", "weight_views"]

_HOLDS: dict[str, tuple[Part, ...]] = {
    "x": (WEIGHTS[0],),
    "h": (WEIGHTS[1],),
    "xh": WEIGHTS,
    "hx": (WEIGHTS[1], WEIGHTS[0]),
}


@dataclass(frozen=True, eq=False)
class View:
    """One way to take a tensor: which parts stand in it, for how many gates, which way round.

    Args:
        name: the tensor's name in the file.
        stored: it is read when its parts are first asked for.
        holds: as in `TensorLayout`.
        count: how many gates are stacked in it.
        rows: as in `TensorLayout`.
        flat: as in `TensorLayout`.
    """

    name: str
    stored: StoredTensor
    holds: tuple[Part, ...]
    count: int
    rows: Literal["output", "input"] = "output"
    flat: bool = False

    @cached_property
    def parts(self) -> Mapping[Part, Array]:
        """Each part as float64: weights [count, H, I] or [count, H, H], biases [count, H]."""
        values = self.stored.read().astype(np.float64)
        if self.holds[0] in BIASES:
            return dict(zip(self.holds, values.reshape(len(self.holds), self.count, -1), strict=True))
        outputs = values if self.rows == "output" else values.T
        gates = outputs.reshape(self.count, -1, outputs.shape[1])
        if len(self.holds) == 1:
            return {self.holds[0]: gates}
        hidden_size = gates.shape[1]
        recurrent_first = self.holds[0] == "recurrent_weight"
        cut = hidden_size if recurrent_first else gates.shape[2] - hidden_size
        return {self.holds[0]: gates[:, :, :cut], self.holds[1]: gates[:, :, cut:]}

    def layout(self, gates: tuple[Gate, ...], holds: tuple[Part, ...] = ()) -> TensorLayout:
        """Return what the tensor holds when its slots are those of `gates`; a bias may be either kind."""
        return TensorLayout(self.name, holds or self.holds, gates, self.rows, self.flat)


def weight_views(name: str, stored: StoredTensor, input_size: int, hidden_size: int) -> Iterator[View]:
    """Yield every way to take a matrix as weights of a cell of I inputs and H units."""
    both = input_size + hidden_size
    inner = {"x": input_size, "h": hidden_size, "xh": both, "hx": both}
    if len(stored.shape) != 2:
        return
    sides: dict[Literal["output", "input"], tuple[int, ...]]
    sides = {"output": stored.shape, "input": stored.shape[::-1]}
    if stored.shape == (1, 1):
        del sides["input"]  # one number is its own transpose
    for rows, (outputs, inputs) in sides.items():
        count, rest = divmod(outputs, hidden_size)
        if rest or not 1 <= count <= 3:
            continue
        for kind, holds in _HOLDS.items():
            if inner[kind] == inputs:
                yield View(name, stored, holds, count, rows)


def bias_view(name: str, stored: StoredTensor, hidden_size: int) -> View | None:
    """Return the way to take a tensor as biases: [n*H], [2, n*H] or flat [2*n*H]; None without any."""
    dimensions = len(stored.shape)
    count, rest = divmod(stored.shape[-1] if dimensions else 0, hidden_size)
    if rest or not count:
        return None
    if dimensions == 2 and stored.shape[0] == 2 and count <= 3:
        return View(name, stored, BIASES, count)
    if dimensions == 1 and count <= 3:
        return View(name, stored, BIASES[:1], count)
    if dimensions == 1 and count in (4, 6):
        return View(name, stored, BIASES, count // 2, flat=True)
    return None
