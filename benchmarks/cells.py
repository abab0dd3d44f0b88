"""Random GRU cells as people write them: tensors by name, and a run of the equations in float32.

The equations are typed out here once more, so that what is found can be held against something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cell", "draw"]

Numbers: TypeAlias = NDArray[Any]

_Z, _R, _N = "zrn"
_GATES: dict[str, Callable[[Numbers], Numbers]] = {
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "hard_sigmoid 0.2": lambda a: np.clip(a / 5 + 0.5, 0, 1),
    "hard_sigmoid 1/6": lambda a: np.clip(a / 6 + 0.5, 0, 1),
}
_CANDIDATES: dict[str, Callable[[Numbers], Numbers]] = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "softsign": lambda a: a / (1 + np.abs(a)),
}


@dataclass(frozen=True)
class Cell:
    """A cell, its tensors and how it computes.

    Args:
        kind: what its tensors are like.
        tensors: by name, those of a final layer included.
        weights: W [H, I] and U [H, H] of every gate.
        biases: b and c [H] of every gate; zeros where it has none.
        reset: "after", "before" or "absent".
        update: "keeps", "takes" or "absent".
        gate: name of the gates' activation.
        candidate: name of the candidate's.
        squashed: whether it returns tanh of its state.
    """

    kind: str
    tensors: Mapping[str, Numbers]
    weights: Mapping[str, tuple[Numbers, Numbers]]
    biases: Mapping[str, tuple[Numbers, Numbers]]
    reset: str
    update: str
    gate: str
    candidate: str
    squashed: bool

    def run(self, x: Numbers, start: Numbers) -> Numbers:
        """Return the outputs [B, T, H] for x [B, T, I] from the state [B, H], in the precision of x."""
        made = []
        h = start.astype(x.dtype)
        for t in range(x.shape[1]):
            h = self._step(x[:, t], h)
            made.append(np.tanh(h) if self.squashed else h)
        return np.stack(made, axis=1)

    def _step(self, x: Numbers, h: Numbers) -> Numbers:
        def of_x(gate: str) -> Numbers:
            weight, bias = self.weights[gate][0].astype(x.dtype), self.biases[gate][0].astype(x.dtype)
            total: Numbers = x @ weight.T + bias
            return total

        def of_h(gate: str, state: Numbers) -> Numbers:
            weight, bias = self.weights[gate][1].astype(x.dtype), self.biases[gate][1].astype(x.dtype)
            total: Numbers = state @ weight.T + bias
            return total

        sigmoid, f = _GATES[self.gate], _CANDIDATES[self.candidate]
        if self.reset == "absent":
            n = f(of_x(_N) + of_h(_N, h))
        else:
            r = sigmoid(of_x(_R) + of_h(_R, h))
            n = f(of_x(_N) + (r * of_h(_N, h) if self.reset == "after" else of_h(_N, r * h)))
        if self.update == "absent":
            return n
        z = sigmoid(of_x(_Z) + of_h(_Z, h))
        following: Numbers = z * h + (1 - z) * n if self.update == "keeps" else (1 - z) * h + z * n
        return following


def draw(rng: np.random.Generator) -> Cell:
    """Draw a cell: sizes, tensors, names and equations."""
    hidden_size = int(rng.choice([2, 3, 5, 8, 16]))
    input_size = hidden_size if rng.random() < 0.3 else int(rng.choice([1, 4, 6, 7]))
    ablated = rng.random() < 0.2
    update = str(rng.choice(["keeps", "takes"]))
    reset = str(rng.choice(["after", "before"]))
    if ablated and rng.random() < 0.5:
        update = "absent"
    elif ablated:
        reset = "absent"
    gates = [g for g, how in ((_Z, update), (_R, reset), (_N, "")) if how != "absent"]
    rng.shuffle(gates)
    usual = rng.random() < 0.8
    squashed = bool(rng.random() < 0.2)
    packing = str(rng.choice(["separate", "fused", "concat", "two and one", "recurrent two and one"]))
    bias = str(
        rng.choice(
            ["none", "one", "two", "one and inner"]
            if packing != "fused"
            else ["none", "one", "two", "one and inner", "rows", "flat"]
        )
    )
    if bias == "one and inner" and reset != "after":
        bias = "one"
    scale = 1.5 / np.sqrt(hidden_size + input_size)

    def numbers(*shape: int) -> Numbers:
        drawn: Numbers = (scale * rng.standard_normal(shape)).astype(np.float32)
        return drawn

    weights = {g: (numbers(hidden_size, input_size), numbers(hidden_size, hidden_size)) for g in gates}
    none = np.zeros(hidden_size, np.float32)
    biases = {
        g: (
            none if bias == "none" else numbers(hidden_size),
            numbers(hidden_size)
            if bias in ("two", "rows", "flat") or (bias == "one and inner" and g == _N)
            else none,
        )
        for g in gates
    }
    named = _Names(rng, gates)
    named.weights(packing, weights)
    named.biases(packing, bias, biases)
    if rng.random() < 0.4:
        classes = hidden_size if rng.random() < 0.3 else 11
        named.put("head.weight", numbers(classes, hidden_size), turned=False)
        named.put("head.bias", numbers(classes), turned=False)
    return Cell(
        f"{packing}, bias {bias}, {'output' if not named.turned else 'input'} rows, order {''.join(gates)}",
        named.tensors,
        weights,
        biases,
        reset,
        update,
        "sigmoid" if usual else str(rng.choice(list(_GATES))),
        "tanh" if usual or squashed else str(rng.choice(list(_CANDIDATES))),
        squashed,
    )


class _Names:
    """Tensors in the making, in one of the ways in which people store and name them."""

    def __init__(self, rng: np.random.Generator, order: Sequence[str]) -> None:
        self.tensors: dict[str, Numbers] = {}
        self.turned = bool(rng.random() < 0.5)
        self._state_first = bool(rng.random() < 0.5)
        self._order = list(order)
        self._prefix = str(rng.choice(["", "cell.", "encoder/rnn/"]))
        self._style = str(rng.choice(["letters", "modules", "numbers"]))

    def put(self, name: str, values: Numbers, *, turned: bool) -> None:
        self.tensors[name] = np.ascontiguousarray(values.T if turned and values.ndim == 2 else values)

    def _name(self, what: str, gate: str) -> str:
        if self._style == "letters":
            return f"{self._prefix}{what}_{gate}"
        if self._style == "modules":
            return f"{self._prefix}{gate or 'all'}_gate.{what}"
        return f"{self._prefix}{what}{self._order.index(gate[0]) + 1 if gate else 0}"

    def weights(self, packing: str, weights: Mapping[str, tuple[Numbers, Numbers]]) -> None:
        order, (w, u) = self._order, zip(*(weights[g] for g in self._order), strict=True)
        joined = [
            np.concatenate([b, a] if self._state_first else [a, b], axis=1) for a, b in zip(w, u, strict=True)
        ]
        first = [i for i, g in enumerate(order) if g != _N]
        last = order.index(_N)
        if packing == "separate":
            for gate, a, b in zip(order, w, u, strict=True):
                self._put("Wx", gate, [a])
                self._put("Wh", gate, [b])
        elif packing == "fused":
            self._put("Wx", "", w)
            self._put("Wh", "", u)
        elif packing == "concat":
            for gate, a in zip(order, joined, strict=True):
                self._put("W", gate, [a])
        elif packing == "two and one":
            self._put("W", "".join(order[i] for i in first), [joined[i] for i in first])
            self._put("W", _N, [joined[last]])
        else:
            self._put("Wx", "", w)
            self._put("Wh", "".join(order[i] for i in first), [u[i] for i in first])
            self._put("Wh", _N, [u[last]])

    def biases(self, packing: str, kind: str, biases: Mapping[str, tuple[Numbers, Numbers]]) -> None:
        order = self._order
        if kind == "none":
            return
        b, c = zip(*(biases[g] for g in order), strict=True)
        if kind == "rows":
            self.put(self._name("bias", ""), np.stack([np.concatenate(b), np.concatenate(c)]), turned=False)
        elif kind == "flat":
            self.put(self._name("bias", ""), np.concatenate([*b, *c]), turned=False)
        elif packing in ("separate", "concat"):
            for gate in order:
                self.put(self._name("bx", gate), biases[gate][0], turned=False)
                if kind == "two" or (kind == "one and inner" and gate == _N):
                    self.put(self._name("bh", gate), biases[gate][1], turned=False)
        else:
            self.put(self._name("bx", ""), np.concatenate(b), turned=False)
            if kind == "two":
                self.put(self._name("bh", ""), np.concatenate(c), turned=False)
            elif kind == "one and inner":
                self.put(self._name("bh", _N), biases[_N][1], turned=False)

    def _put(self, what: str, gate: str, blocks: Sequence[Numbers]) -> None:
        self.put(self._name(what, gate), np.concatenate(blocks), turned=self.turned)
