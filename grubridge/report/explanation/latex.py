"""An explanation as LaTeX: a fragment for a document that uses the package amsmath."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from grubridge.explanation.arithmetic import Step
from grubridge.explanation.explaining import Explanation
from grubridge.files.text import printable

from . import words
from .equations import equations
from .formulas import definitions, formulas
from .notation import LatexNotation, Notation, latex_text
from .text import step_title

__all__ = ["latex"]


def latex(story: Explanation) -> str:
    """Return the LaTeX."""
    several = story.direction.hidden_size > 1
    write, plain = LatexNotation(story.digits, several), Notation(story.digits, several)
    lines = [
        r"% needs \usepackage{amsmath}",
        r"\allowdisplaybreaks",
        rf"\paragraph{{{_text(f'{story.model}, {printable(story.stack)}')}}}",
        _text(words.sizes(story)) + ".",
        r"\begin{align*}",
        *_rows(rf"{one.left} &= {one.right} && \text{{{one.word}}}" for one in formulas(story, write)),
        r"\end{align*}",
        *_list(
            [
                *definitions(story),
                *story.notes,
                *words.conventions(story),
                *words.feeding(story),
                *words.storage(story),
            ]
        ),
    ]
    for step in story.steps:
        lines += ["", *_step(story, step, write, plain)]
    lines += ["", rf"\noindent\textbf{{{_text(words.answer(story))}}}"]
    for found in story.expectations:
        lines += ["", " ".join(map(_text, words.expectation(story, found)))]
    return "\n".join(lines) + "\n"


def _step(story: Explanation, step: Step, write: Notation, plain: Notation) -> Iterator[str]:
    yield rf"\paragraph{{{_text(step_title(step, plain))}}}"
    yield r"\begin{align*}"
    yield from _rows(
        rf"{equation.name if index == 0 else ''} &= {side}".lstrip()
        for equation in equations(story, step, write)
        for index, side in enumerate(equation.sides)
    )
    yield r"\end{align*}"


def _rows(rows: Iterable[str]) -> Iterator[str]:
    """Yield the rows of an alignment, each but the last ended."""
    found = list(rows)
    yield from (rf"{row} \\" for row in found[:-1])
    yield found[-1]


def _list(sentences: Iterable[str]) -> Iterator[str]:
    yield r"\begin{itemize}"
    yield from (rf"\item {_text(sentence)}" for sentence in sentences)
    yield r"\end{itemize}"


def _text(text: str) -> str:
    return latex_text(printable(text, 1000))
