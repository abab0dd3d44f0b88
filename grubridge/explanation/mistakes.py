"""What a person, or the code that they copied, may have calculated instead of a GRU's state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from grubridge.diagnosis.edits import Edit, Site, edited
from grubridge.diagnosis.hypotheses import alternatives
from grubridge.errors import GRUBridgeError
from grubridge.reference import cell, one_step
from grubridge.spec import Activation, Array, Gates

from .arithmetic import arguments

__all__ = ["Calculated", "Calculation", "Mistake", "calculate", "known_mistakes"]

_IDENTITY = Activation("affine", 1.0, 0.0)


@dataclass(frozen=True)
class Calculation:
    """How a state is calculated.

    Args:
        site: the weights and conventions.
        x: the inputs in the order in which they are read, [T, I], float64; the state after the last is asked.
        start: the state before the first, [H].
        carried: what a step hands on to the next: its new state; its candidate; nothing, so that each step
            begins at `start`.
        blend: how the new state is made of h and n.
    """

    site: Site
    x: Array
    start: Array
    carried: Literal["state", "candidate", "nothing"] = "state"
    blend: Literal["z*h + (1-z)*n", "z*h + n", "(1-z)*n"] = "z*h + (1-z)*n"


@dataclass(frozen=True)
class Calculated:
    """What came out.

    Args:
        hidden: the states, [T, H].
        gates: of the last step, [H] each.
        arguments: of their activations, before these are taken, [H] each.
    """

    hidden: Array
    gates: Gates[Array]
    arguments: Gates[Array]


@dataclass(frozen=True)
class Mistake:
    """One thing that can be done otherwise.

    Args:
        kind: mistakes of one kind exclude each other.
        phrase: a clause: "the inputs are summed and fed as one step".
        made: the calculation in which it was made; raises ValueError or GRUBridgeError where it cannot be.
    """

    kind: str
    phrase: str
    made: Callable[[Calculation], Calculation]


def calculate(how: Calculation) -> Calculated:
    """Calculate in float64."""
    numbers = cell(how.site.layer, how.site.direction)
    h = how.start
    states: list[Array] = []
    for x in how.x:
        gates, hidden = one_step(numbers, x, h)
        seen, z, n = h, gates.update, gates.candidate
        if how.blend != "z*h + (1-z)*n":
            hidden = z * h + n if how.blend == "z*h + n" else (1 - z) * n
        states.append(hidden)
        h = {"state": hidden, "candidate": n, "nothing": how.start}[how.carried]
    return Calculated(np.array(states), gates, arguments(numbers, how.x[-1], seen, gates.reset))


def known_mistakes(how: Calculation, *, takes: bool) -> tuple[Mistake, ...]:
    """Return the mistakes that can be made in a calculation and are looked for, one at a time.

    Args:
        how: the right calculation.
        takes: whether z is told as what takes the candidate.
    """
    return tuple(
        mistake
        for mistake in (
            *_of_conventions(how.site, takes=takes),
            *_of_weights(how.site),
            *_of_formula(takes=takes),
            *_of_inputs(how),
        )
        if _can_be_made(mistake, how)
    )


def _can_be_made(mistake: Mistake, how: Calculation) -> bool:
    try:
        mistake.made(how)
    except (
        ValueError,
        GRUBridgeError,
    ):  # transposed where it is not square, z flipped where nothing allows it
        return False
    return True


def _of_conventions(at: Site, *, takes: bool) -> Iterator[Mistake]:
    for axis in alternatives(at):
        for edit in axis:
            yield Mistake(edit.axis, _plain(edit, at, takes=takes), _edit(edit))
    if at.direction.gate_activation != _IDENTITY:
        left_out = Edit("gate_activation", "affine:1.0:0.0", "the activation of the gates is left out")
        yield Mistake(left_out.axis, left_out.phrase, _edit(left_out))


def _plain(edit: Edit, at: Site, *, takes: bool) -> str:
    if edit.axis == "update_gate" and takes:
        return "the update gate keeps the state where it should take the candidate"
    if edit.axis == "candidate_activation" and edit.value == "affine:1.0:0.0":
        return f"the candidate's {at.direction.candidate_activation} is left out"
    return edit.phrase


def _edit(edit: Edit) -> Callable[[Calculation], Calculation]:
    return lambda how: replace(how, site=edited(how.site, (edit,)))


def _of_weights(at: Site) -> Iterator[Mistake]:
    if at.direction.input_size == at.direction.hidden_size:
        yield Mistake("exchanged", "the kernel and the recurrent kernel are exchanged", _exchanged)


def _exchanged(how: Calculation) -> Calculation:
    direction = how.site.direction
    turned = replace(
        direction, input_weight=direction.recurrent_weight, recurrent_weight=direction.input_weight
    )
    return replace(how, site=replace(how.site, direction=turned))


def _of_formula(*, takes: bool) -> Iterator[Mistake]:
    kept, taken = ("(1 - z)", "z") if takes else ("z", "(1 - z)")
    yield Mistake(
        "blend", f"the new state is {kept}*h + n, without {taken}", lambda how: replace(how, blend="z*h + n")
    )
    yield Mistake(
        "blend", f"the new state is {taken}*n, without {kept}*h", lambda how: replace(how, blend="(1-z)*n")
    )
    yield Mistake(
        "carried",
        "each step hands on its candidate n, not its new state h",
        lambda how: replace(how, carried="candidate"),
    )
    yield Mistake(
        "carried",
        "the state is not carried from step to step, as if only this step's input had been fed",
        lambda how: replace(how, carried="nothing"),
    )


def _of_inputs(how: Calculation) -> Iterator[Mistake]:
    """Yield mistakes with the sequence and the state at its start."""
    if how.start.any():
        yield Mistake(
            "start", "the state starts at zeros", lambda how: replace(how, start=np.zeros_like(how.start))
        )
    else:
        yield Mistake(
            "start", "the state starts at ones", lambda how: replace(how, start=np.ones_like(how.start))
        )
    zeros = np.zeros((1, how.x.shape[1]))
    for phrase, change in (
        ("the inputs are summed and fed as one step", lambda x: x.sum(axis=0, keepdims=True)),
        ("the mean of the inputs is fed as one step", lambda x: x.mean(axis=0, keepdims=True)),
        ("the sequence is fed in reverse", lambda x: x[::-1]),
        ("the first input is left out", lambda x: x[1:]),
        ("a step of zeros is fed before the others", lambda x: np.concatenate([zeros, x])),
        ("a step of zeros is fed after the others", lambda x: np.concatenate([x, zeros])),
    ):
        if len(how.x) > 1 or "zeros" in phrase:
            yield Mistake("inputs", phrase, _fed(change))


def _fed(change: Callable[[Array], Array]) -> Callable[[Calculation], Calculation]:
    return lambda how: replace(how, x=change(how.x))
