"""The arithmetic of a step as equations, in one notation or another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grubridge.explanation.arithmetic import GateValue, Products, Step, UnitStep
from grubridge.explanation.explaining import Explanation
from grubridge.spec import GATE_NAMES

from .notation import Notation

__all__ = ["SYMBOLS", "Equation", "equations"]

SYMBOLS = {"update": "z", "reset": "r", "candidate": "n"}


@dataclass(frozen=True)
class Equation:
    """name = sides[0] = sides[1] = ...

    Args:
        name: what is calculated, e.g. "z[0]".
        sides: the terms, what comes of them, the value.
    """

    name: str
    sides: tuple[str, ...]


def equations(story: Explanation, step: Step, write: Notation) -> Iterator[Equation]:
    """Yield the equations of a step: gate by gate, each of all units, then the new states."""
    for gate in GATE_NAMES:
        for worked in step.units:
            value = dict(worked.gates()).get(gate)
            if value is not None:
                yield Equation(write.symbol(SYMBOLS[gate], worked.unit), tuple(_sides(value, write)))
    for worked in step.units:
        yield Equation(write.symbol("h", worked.unit), tuple(_state(story, worked, write)))


def _sides(value: GateValue, write: Notation) -> Iterator[str]:
    taken = [*_terms(value.input, write), *_biases(value.input_bias, write)]
    recurrent = [*_terms(value.recurrent, write), *_biases(value.recurrent_bias, write)]
    if value.reset is not None:
        recurrent = [write.product(write.number(value.reset), write.brackets(write.sum(recurrent)))]
    terms, argument = write.sum([*taken, *recurrent]), write.number(value.argument)
    if value.clipped == value.argument:
        yield write.function(value.activation, terms)
    else:
        yield write.function(value.activation, write.clip(terms))
        yield write.function(value.activation, write.clip(argument))
    yield write.function(value.activation, write.number(value.clipped))
    yield write.number(value.value)


def _terms(products: Products, write: Notation) -> Iterator[str]:
    if not products.terms:
        yield write.total(products.total, products.count)
    for term in products.terms:
        factors = [write.number(term.value)]
        if term.reset is not None:
            factors = [write.brackets(write.product(write.number(term.reset), *factors))]
        yield write.product(write.number(term.weight), *factors)


def _biases(bias: float | None, write: Notation) -> Iterator[str]:
    if bias is not None:
        yield write.number(bias)


def _state(story: Explanation, worked: UnitStep, write: Notation) -> Iterator[str]:
    h, n = write.number(worked.previous), write.number(worked.candidate.value)
    if worked.update is None:
        yield write.symbol("n", worked.unit)
    else:
        z = write.number(worked.update.value)
        rest = write.brackets(f"1 - {z}" if not z.startswith("-") else f"1 - ({z})")
        kept, taken = (rest, z) if story.takes else (z, rest)
        yield write.sum([write.product(kept, h), write.product(taken, n)])
    yield write.number(worked.hidden)
