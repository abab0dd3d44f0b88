"""How numbers, products and functions are written: as plain text, or as LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from grubridge.spec import Activation

__all__ = ["LatexNotation", "Notation", "latex_text"]

_LARGEST_WHOLE = 1e6
_TERMS_IN_A_ROW = 4  # what a page of LaTeX has room for
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_LATEX_FUNCTIONS = {"tanh": r"\tanh"}


@dataclass(frozen=True)
class Notation:
    """Plain text.

    Args:
        digits: significant digits; whole numbers are written out.
        several: whether there are several units, so that symbols carry theirs.
    """

    digits: int
    several: bool

    def number(self, value: float) -> str:
        """Return a number; one that is rounded shows all its digits, "1.000", one that is not does not."""
        if not math.isfinite(value):
            return str(value)
        if value == int(value) and abs(value) < _LARGEST_WHOLE:
            return str(int(value))
        short = f"{value:.{self.digits}g}"
        return short if float(short) == value else f"{value:#.{self.digits}g}".rstrip(".")

    def symbol(self, name: str, unit: int) -> str:
        """Return z, or z[unit]."""
        return f"{name}[{unit}]" if self.several else name

    def product(self, *factors: str) -> str:
        """Return the product; a later factor with a sign stands in brackets."""
        first, *rest = factors
        return "*".join([first, *(f"({factor})" if factor.startswith("-") else factor for factor in rest)])

    def brackets(self, text: str) -> str:
        """Return `text` in brackets."""
        return f"({text})"

    def function(self, activation: Activation, text: str) -> str:
        """Return f(text)."""
        return f"{activation.name}({text})"

    def clip(self, text: str) -> str:
        """Return the clipped value of `text`."""
        return f"clip({text})"

    def total(self, value: float, count: int) -> str:
        """Return a sum of which only the total is told."""
        return f"[{self.number(value)}, sum of {count} products]"

    def sum(self, terms: Sequence[str]) -> str:
        """Return the sum, with a minus in the place of a plus where a term has a sign."""
        first, *rest = terms
        return first + "".join(f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in rest)


@dataclass(frozen=True)
class LatexNotation(Notation):
    """LaTeX's mathematics, for the package amsmath."""

    def number(self, value: float) -> str:
        """Return a number, a power of ten as such."""
        if not math.isfinite(value):
            return r"\mathrm{nan}" if math.isnan(value) else r"\infty" if value > 0 else r"-\infty"
        return re.sub(r"e([+-]\d+)", lambda found: rf" \cdot 10^{{{int(found[1])}}}", super().number(value))

    def symbol(self, name: str, unit: int) -> str:
        """Return z, or z_unit."""
        return f"{name}_{{{unit}}}" if self.several else name

    def product(self, *factors: str) -> str:
        """Return the product; a later factor with a sign stands in brackets."""
        first, *rest = factors
        return r" \cdot ".join(
            [first, *(self.brackets(factor) if factor.startswith("-") else factor for factor in rest)]
        )

    def sum(self, terms: Sequence[str]) -> str:
        """Return the sum, a long one in several rows of an alignment."""
        rows = [terms[start : start + _TERMS_IN_A_ROW] for start in range(0, len(terms), _TERMS_IN_A_ROW)]
        first, *rest = (super(LatexNotation, self).sum(row) for row in rows)
        return first + "".join(rf" \\ &\quad {row if row.startswith('-') else f'+ {row}'}" for row in rest)

    def function(self, activation: Activation, text: str) -> str:
        """Return f(text)."""
        name = activation.name
        command = _LATEX_FUNCTIONS.get(name) or rf"\operatorname{{{latex_text(name)}}}"
        return f"{command}({text})"

    def clip(self, text: str) -> str:
        """Return the clipped value of `text`."""
        return rf"\operatorname{{clip}}({text})"

    def total(self, value: float, count: int) -> str:
        """Return a sum of which only the total is told."""
        return rf"\underbrace{{{self.number(value)}}}_{{\text{{{count} products}}}}"


def latex_text(text: str) -> str:
    """Return `text` with what LaTeX would take for commands escaped."""
    return "".join(_LATEX_SPECIAL.get(character, character) for character in text)
