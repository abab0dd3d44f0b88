"""A cell's layout as a value: which tensor holds which gate's which part, and how the cell computes.

A layout is what a person would say about their own GRU class; nothing of it is code. `toml` reads it from a
file, `reading` makes a spec of a checkpoint with it, `writing` makes the tensors of a spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from grubridge.spec import SIGMOID, TANH, Activation, Direction, Gate

__all__ = ["CellLayout", "Part", "ResetMode", "TensorLayout", "UpdateSense"]

Part = Literal["input_weight", "recurrent_weight", "input_bias", "recurrent_bias", "initial_state"]

UpdateSense = Literal["keeps", "takes", "absent"]
"""keeps: h' = z*h + (1-z)*n; takes: h' = (1-z)*h + z*n; absent: h' = n."""

ResetMode = Literal["after", "before", "absent"]
"""after: r * (U_n h + c_n); before: U_n (r * h) + c_n; absent: U_n h + c_n."""


@dataclass(frozen=True)
class TensorLayout:
    """What one tensor holds.

    Args:
        name: its name in the file without the prefix of the cell, e.g. "W_xz" or "weight_ih_l{layer}{direction}".
        holds: the parts in it. Several weights stand side by side along the axis that multiplies x or h, in this
            order: ("input_weight", "recurrent_weight") is a product with [x, h]. Several biases are rows, [2, n*H].
        gates: the gates stacked along the axis of the outputs, in this order; () for initial_state.
        rows: "output" where a weight is stored [n*H, I] (y = W x), "input" where [I, n*H] (y = x W).
        flat: several biases are one vector, [2*n*H], rather than rows.
        optional: the cell may lack it, as a bias that can be switched off.
    """

    name: str
    holds: tuple[Part, ...]
    gates: tuple[Gate, ...] = ()
    rows: Literal["output", "input"] = "output"
    flat: bool = False
    optional: bool = False


@dataclass(frozen=True)
class CellLayout:
    """How a GRU cell is stored and what it computes.

    Args:
        name: what the user calls it, e.g. "d2l".
        about: one sentence: whose cell this is.
        update: what the update gate does with the state.
        reset: where the reset gate is applied.
        tensors: what each tensor holds. Every part of every gate stands in exactly one tensor, or in none.
        gate_activation: of the update and reset gates.
        candidate_activation: of the candidate.
        output_activation: what the cell returns is this function of h', which itself goes on; None returns h'.
        time_major: the cell takes [T, B, I] rather than [B, T, I].
        directions: what "{direction}" in a name stands for. The backward direction is optional in a file.
    """

    name: str
    about: str
    update: UpdateSense
    reset: ResetMode
    tensors: tuple[TensorLayout, ...]
    gate_activation: Activation = SIGMOID
    candidate_activation: Activation = TANH
    output_activation: Activation | None = None
    time_major: bool = False
    directions: Mapping[Direction, str] = field(default_factory=lambda: {"forward": "", "backward": "_reverse"})
