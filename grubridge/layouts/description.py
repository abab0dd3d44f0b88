"""A cell's layout as a value: which tensor holds which gate's which part, and how the cell computes.

A layout is what a person would say about their own GRU class; nothing of it is code. `toml` reads it from a
file, `reading` makes a spec of a checkpoint with it, `writing` makes the tensors of a spec.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from grubridge.errors import LayoutError
from grubridge.files.text import printable
from grubridge.spec import CANDIDATE, GATE_NAMES, RESET, SIGMOID, TANH, UPDATE, Activation, Direction, Gate

__all__ = ["BIASES", "STATE", "WEIGHTS", "CellLayout", "Part", "ResetMode", "TensorLayout", "UpdateSense"]

Part = Literal["input_weight", "recurrent_weight", "input_bias", "recurrent_bias", "initial_state"]
WEIGHTS: tuple[Part, ...] = ("input_weight", "recurrent_weight")
BIASES: tuple[Part, ...] = ("input_bias", "recurrent_bias")
STATE: tuple[Part, ...] = ("initial_state",)

UpdateSense = Literal["keeps", "takes", "absent"]
"""keeps: h' = z*h + (1-z)*n; takes: h' = (1-z)*h + z*n; absent: h' = n."""

ResetMode = Literal["after", "before", "absent"]
"""after: r * (U_n h + c_n); before: U_n (r * h) + c_n; absent: U_n h + c_n."""

_BRACES = re.compile(r"[{}]")
_PLACEHOLDERS = ("{layer}", "{direction}")


@dataclass(frozen=True)
class TensorLayout:
    """What one tensor holds.

    Args:
        name: its name in the file without the cell's prefix, e.g. "W_xz" or "weight_ih_l{layer}{direction}".
        holds: the parts in it. Both weights stand side by side along the axis that multiplies x or h, in this
            order: ("input_weight", "recurrent_weight") is a product with [x, h]. Both biases are rows,
            [2, n*H].
        gates: the gates stacked along the axis of the outputs, in this order; () for initial_state.
        rows: "output" where a weight is stored [n*H, I] (y = W x), "input" where [I, n*H] (y = x W).
        flat: both biases are one vector, [2*n*H], rather than rows.
        optional: the cell may lack it, as a bias that can be switched off.

    Raises:
        LayoutError: when no tensor can be like that.
    """

    name: str
    holds: tuple[Part, ...]
    gates: tuple[Gate, ...] = ()
    rows: Literal["output", "input"] = "output"
    flat: bool = False
    optional: bool = False

    def __post_init__(self) -> None:
        for key, message in (*self._wrong_name(), *self._wrong_contents()):
            raise LayoutError(message, ("tensors", self.name, *key))

    @property
    def is_weight(self) -> bool:
        """Whether it holds weights."""
        return self.holds[0] in WEIGHTS

    def _wrong_name(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what is wrong, and under which key of the tensor."""
        bare = self.name
        for placeholder in _PLACEHOLDERS:
            bare = bare.replace(placeholder, "", 1)
        if not self.name:
            yield (), "a tensor needs a name"
        if _BRACES.search(bare):
            yield (), f"braces in a name stand for {' and '.join(_PLACEHOLDERS)}, each once"

    def _wrong_contents(self) -> Iterator[tuple[tuple[str, ...], str]]:
        for key, names in (("holds", self.holds), ("gates", self.gates)):
            for name, count in Counter[str](names).items():
                if count > 1:
                    yield (key,), f"{name} is named twice"
        kind = next((kind for kind in (WEIGHTS, BIASES, STATE) if set(self.holds) <= set(kind)), None)
        if not self.holds or kind is None:
            held = ", ".join(self.holds) or "nothing"
            yield ("holds",), f"expected weights, or biases, or the initial_state alone; received {held}"
        elif kind == STATE and self.gates:
            yield ("gates",), "an initial state belongs to no gate"
        elif kind != STATE and not self.gates:
            yield (), "gates is missing: those that are stacked in it, in their order"
        if self.rows == "input" and kind != WEIGHTS:
            yield ("rows",), "only weights have rows"
        if self.flat and set(self.holds) != set(BIASES):
            yield ("flat",), "only both biases in one tensor can be flat"
        if self.optional and kind == WEIGHTS:
            yield ("optional",), "no cell works without its weights"


@dataclass(frozen=True)
class CellLayout:
    """How a GRU cell is stored and what it computes.

    Args:
        name: what the user calls it, e.g. "d2l".
        about: one sentence: whose cell this is.
        update: what the update gate does with the state.
        reset: where the reset gate is applied.
        tensors: what each tensor holds. Every weight of every gate stands in exactly one of them, every bias
            and the initial state in one or none.
        gate_activation: of the update and reset gates.
        candidate_activation: of the candidate.
        output_activation: the cell returns this function of h' and goes on with h' itself; None returns h'.
        time_major: the cell takes [T, B, I] rather than [B, T, I].
        directions: what "{direction}" in a name stands for. The backward direction is optional in a file.

    Raises:
        LayoutError: when no cell can be like that; `key` says where.
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
    directions: Mapping[Direction, str] = field(
        default_factory=lambda: {"forward": "", "backward": "_reverse"}
    )

    def __post_init__(self) -> None:
        if not self.name:
            raise LayoutError("a layout needs a name", ("name",))
        self._check_names()
        self._check_parts()

    @property
    def absent_gates(self) -> frozenset[Gate]:
        """The gates that the cell does not have."""
        found: list[tuple[Gate, str]] = [(UPDATE, self.update), (RESET, self.reset)]
        return frozenset(gate for gate, how in found if how == "absent")

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The gates that the cell has, in the order of `GATE_NAMES`."""
        return tuple(gate for gate in GATE_NAMES if gate not in self.absent_gates)

    @property
    def has_layers(self) -> bool:
        """Whether the names count layers, so that a stack may have several."""
        return "{layer}" in self.tensors[0].name

    @property
    def has_directions(self) -> bool:
        """Whether the names tell directions apart, so that a layer may have two."""
        return "{direction}" in self.tensors[0].name

    def _check_names(self) -> None:
        if not self.tensors:
            raise LayoutError("a cell needs tensors", ("tensors",))
        for name, count in Counter(tensor.name for tensor in self.tensors).items():
            if count > 1:
                raise LayoutError("two tensors have this name", ("tensors", name))
        for placeholder in _PLACEHOLDERS:
            without = [tensor.name for tensor in self.tensors if placeholder not in tensor.name]
            if without and len(without) < len(self.tensors):
                raise LayoutError(
                    f"its name lacks {placeholder}, which others have: then it would belong to all of them",
                    ("tensors", without[0]),
                )
        if set(self.directions) != {"forward", "backward"}:
            raise LayoutError("expected forward and backward", ("directions",))
        for way, ending in self.directions.items():
            if _BRACES.search(ending):
                raise LayoutError("braces stand for a layer or direction only", ("directions", way))
        if self.directions["forward"] == self.directions["backward"]:
            raise LayoutError("forward and backward must differ", ("directions", "backward"))

    def _check_parts(self) -> None:
        places: dict[tuple[Part, Gate | None], str] = {}
        for tensor in self.tensors:
            for gate in tensor.gates or (None,):
                if gate in self.absent_gates:
                    raise LayoutError(
                        f'the cell has no {gate} gate ({gate} = "absent"), so no tensor holds any of it',
                        ("tensors", tensor.name, "gates"),
                    )
                for part in tensor.holds:
                    if (part, gate) in places:
                        of_gate = f" of the {gate}" if gate else ""
                        raise LayoutError(
                            f"the {part}{of_gate} is in {printable(places[part, gate])} already",
                            ("tensors", tensor.name, "holds"),
                        )
                    places[part, gate] = tensor.name
        for part in WEIGHTS:
            for gate in self.gates:
                if (part, gate) not in places:
                    what = "candidate" if gate == CANDIDATE else f"{gate} gate"
                    raise LayoutError(f"no tensor holds the {part} of the {what}", ("tensors",))
