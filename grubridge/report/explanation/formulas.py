"""The formulas of a layer in symbols, as its own framework means them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grubridge.explanation.explaining import Explanation
from grubridge.spec import CANDIDATE, GATE_NAMES, RESET, UPDATE, Activation, Gate

from .equations import SYMBOLS
from .notation import LatexNotation, Notation

__all__ = ["Formula", "definitions", "formulas"]

_WORDS = {"update": "update gate", "reset": "reset gate", "candidate": "candidate"}
_DEFINITIONS = {
    "affine": "{alpha}*a + {beta}",
    "elu": "a if a > 0, else {alpha}*(exp(a) - 1)",
    "hard_sigmoid": "{alpha}*a + {beta}, but at least 0 and at most 1",
    "leaky_relu": "a if a > 0, else {alpha}*a",
    "relu": "a if a > 0, else 0",
    "scaled_tanh": "{alpha}*tanh({beta}*a)",
    "sigmoid": "1/(1 + exp(-a))",
    "softplus": "ln(1 + exp(a))",
    "softsign": "a/(1 + |a|)",
    "tanh": "(exp(a) - exp(-a))/(exp(a) + exp(-a))",
    "thresholded_relu": "a if a > {alpha}, else 0",
}


@dataclass(frozen=True)
class Formula:
    """left = right, and what it is called."""

    left: str
    right: str
    word: str


def formulas(story: Explanation, write: Notation) -> Iterator[Formula]:
    """Yield the formula of every gate that the layer has, and of the new state."""
    direction = story.direction
    times = r" \odot " if isinstance(write, LatexNotation) else "*"
    for gate in GATE_NAMES:
        if gate in direction.absent_gates:
            continue
        argument = _argument(story, gate, times)
        if story.layer.clip is not None:
            argument = write.clip(argument)
        activation = direction.activation(gate)
        yield Formula(SYMBOLS[gate], write.function(activation, argument), _WORDS[gate])
    blend = "n"
    if UPDATE not in direction.absent_gates:
        kept, taken = ("(1 - z)", "z") if story.takes else ("z", "(1 - z)")
        blend = f"{kept}{times}h + {taken}{times}n"
    yield Formula("h'", blend, "new state")


def _argument(story: Explanation, gate: Gate, times: str) -> str:
    direction, s = story.direction, SYMBOLS[gate]
    b = "" if direction.input_bias is None else f" + b_{s}"
    recurrent_bias = direction.recurrent_bias
    c = "" if recurrent_bias is None or recurrent_bias[gate] is None else f" + c_{s}"
    recurrent = f"U_{s} h{c}"
    if gate == CANDIDATE and RESET not in direction.absent_gates:
        after = story.layer.reset_after
        recurrent = f"r{times}({recurrent})" if after else f"U_{s} (r{times}h){c}"
    return f"W_{s} x{b} + {recurrent}"


def definitions(story: Explanation) -> list[str]:
    """Return what each activation that is used does, as sentences without an end."""
    direction = story.direction
    used: list[Activation] = [
        direction.activation(gate) for gate in GATE_NAMES if gate not in direction.absent_gates
    ]
    said = [
        f"{activation.name}(a) = "
        + _DEFINITIONS[activation.name].format(alpha=_plain(activation.alpha), beta=_plain(activation.beta))
        for activation in dict.fromkeys(used)
    ]
    clip = story.layer.clip
    return (
        said
        if clip is None
        else [*said, f"clip(a) = a, but at least {_plain(-clip)} and at most {_plain(clip)}"]
    )


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
