"""An explanation as Markdown: a fenced block of formulas, a table for each step."""

from __future__ import annotations

import re
from collections.abc import Iterator

from grubridge.explanation.arithmetic import Step
from grubridge.explanation.explaining import Explanation
from grubridge.files.text import printable

from . import words
from .equations import equations
from .formulas import definitions, formulas
from .notation import Notation
from .text import step_title

__all__ = ["markdown"]

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#&~@"})
_LINK = re.compile(r"(?=://)|(?<=www)(?=\.)")  # GitHub makes links of bare addresses


def markdown(story: Explanation) -> str:
    """Return the Markdown."""
    write = Notation(story.digits, several=story.direction.hidden_size > 1)
    lines = [
        f"## {_text(f'{story.model}, {printable(story.stack)}')}",
        "",
        _text(words.sizes(story)),
        "",
        "```text",
        *(f"{formula.left:<2} = {formula.right}  ({formula.word})" for formula in formulas(story, write)),
        *definitions(story),
        "```",
        "",
        *(f"- {_text(note)}" for note in story.notes),
        *(f"- {_text(sentence)}" for sentence in words.conventions(story)),
        *(f"- {_text(sentence)}" for sentence in words.feeding(story)),
        *(f"- {_text(sentence)}" for sentence in words.storage(story)),
    ]
    for step in story.steps:
        lines += ["", *_step(story, step, write)]
    lines += ["", f"**{_text(words.answer(story))}**"]
    for found in story.expectations:
        lines += [""]
        for sentence in words.expectation(story, found):
            listed = sentence.startswith("- ")
            lines += [f"- {_text(sentence[2:])}" if listed else _text(sentence)]
    return "\n".join(lines) + "\n"


def _step(story: Explanation, step: Step, write: Notation) -> Iterator[str]:
    yield f"### {_text(step_title(step, write))}"
    yield ""
    yield "| | terms | value |"
    yield "| --- | --- | --- |"
    for equation in equations(story, step, write):
        *sides, value = equation.sides
        yield f"| `{equation.name}` | `{' = '.join(sides)}` | `{value}` |"


def _text(text: str) -> str:
    return _LINK.sub(r"\\", printable(text, 1000).translate(_SPECIAL))
