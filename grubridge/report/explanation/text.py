"""An explanation as plain text, 60 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from grubridge.explanation.arithmetic import Step
from grubridge.explanation.explaining import Explanation
from grubridge.files.text import printable
from grubridge.report.wrapping import wrapped

from . import words
from .equations import Equation, equations
from .formulas import definitions, formulas
from .notation import Notation

__all__ = ["render", "step_title", "vector"]

_WIDTH = 60
_MOST_SHOWN = 4


def render(story: Explanation) -> str:
    """Return the text: conventions, every step, the answer, expected values."""
    write = Notation(story.digits, several=story.direction.hidden_size > 1)
    lines = [
        *wrapped(f"{story.model}, {printable(story.stack)}"),
        *wrapped(words.sizes(story)),
        *(line for note in story.notes for line in wrapped(f"note: {printable(note, 500)}")),
        "",
        *_formulas(story, write),
        "",
        *(line for sentence in words.conventions(story) for line in wrapped(sentence)),
        *(line for sentence in words.feeding(story) for line in wrapped(sentence)),
    ]
    stored = list(words.storage(story))
    if story.layout is not None:
        lines += ["", *wrapped(f"Stored as {printable(story.layout.name)}:")]
        lines += (line for sentence in stored for line in wrapped(sentence, "  "))
    for step in story.steps:
        lines += ["", *wrapped(step_title(step, write))]
        for equation in equations(story, step, write):
            lines += _equation(equation)
    lines += ["", *wrapped(words.answer(story))]
    for found in story.expectations:
        lines += ["", *(line for sentence in words.expectation(story, found) for line in wrapped(sentence))]
    return "\n".join(lines) + "\n"


def step_title(step: Step, write: Notation) -> str:
    """Return the line above a step: its number, what it takes."""
    return (
        f"step {step.time}: x = {vector(step.x.tolist(), write)}, h = {vector(step.previous.tolist(), write)}"
    )


def vector(values: list[float], write: Notation) -> str:
    """Return a vector, a number by itself where there is one, and the first ones where there are many."""
    if len(values) == 1:
        return write.number(values[0])
    shown = ", ".join(map(write.number, values[:_MOST_SHOWN]))
    rest = len(values) - _MOST_SHOWN
    return f"[{shown}{f', and {rest} more' if rest > 0 else ''}]"


def _formulas(story: Explanation, write: Notation) -> Iterator[str]:
    found = list(formulas(story, write))
    lines = [f"  {formula.left:<2} = {formula.right}" for formula in found]
    column = max(map(len, lines)) + 2
    fits = column + max(len(formula.word) for formula in found) <= _WIDTH
    for line, formula in zip(lines, found, strict=True):
        yield f"{line:<{column}}{formula.word}" if fits else line
    for definition in definitions(story):
        yield from wrapped(definition, "  ")


def _equation(equation: Equation) -> list[str]:
    """Return the lines of an equation: one if it fits, else one for each side."""
    start = f"  {equation.name} = "
    whole = start + " = ".join(equation.sides)
    if len(whole) <= _WIDTH:
        return [whole]
    again = " " * (len(start) - 2) + "= "
    inner = " " * (len(start) + 2)
    return [
        line
        for index, side in enumerate(equation.sides)
        for line in textwrap.wrap(
            side,
            _WIDTH,
            initial_indent=start if index == 0 else again,
            subsequent_indent=inner,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
