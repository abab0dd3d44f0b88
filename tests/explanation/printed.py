"""The arithmetic that a report prints, read back and worked out by Python itself."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Printed", "printed"]

_FUNCTIONS: dict[str, Callable[..., float]] = {
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
    "tanh": math.tanh,
    "relu": lambda a: max(a, 0.0),
    "elu": lambda a: a if a > 0 else math.exp(a) - 1,
    "softsign": lambda a: a / (1 + abs(a)),
    "softplus": lambda a: math.log(1 + math.exp(a)),
    "hard_sigmoid": lambda a: min(1.0, max(0.0, a / 6 + 0.5)),  # Keras 3's
    "clip": lambda a: min(0.25, max(-0.25, a)),
}
_TOTAL = re.compile(r"\[(\S+), sum of (\d+) products\]")


@dataclass(frozen=True)
class Printed:
    """One equation of a step.

    Args:
        step: t.
        name: z, r, n or h.
        unit: which.
        sides: what each side of it comes to.
    """

    step: int
    name: str
    unit: int
    sides: tuple[float, ...]


def printed(text: str) -> Iterator[Printed]:
    """Yield the equations of every step of a text, with the values that earlier ones of the step gave."""
    for block in re.split(r"\n(?=step \d+: )", text)[1:]:
        step = int(block.split(":")[0].removeprefix("step "))
        body = block.split("\n\n")[0]
        equations = re.split(r"\n(?=  [zrnh](?:\[\d+\])? = )", body)[1:]
        known: dict[str, float] = {}
        for equation in equations:
            name, *sides = re.split(r" = |\n +(?:= )?", _joined(equation).strip())
            found = re.fullmatch(r"([zrnh])(?:\[(\d+)\])?", name)
            assert found is not None, name
            values = tuple(_value(side, known) for side in sides)
            known[name.replace("[", "_").replace("]", "")] = values[-1]
            yield Printed(step, found[1], int(found[2] or 0), values)


def _joined(equation: str) -> str:
    """Return an equation on one line: a line that begins with a sign of equality is a new side."""
    lines = equation.split("\n")
    return lines[0] + "".join(f" {line.strip()}" for line in lines[1:])


def _value(side: str, known: dict[str, float]) -> float:
    expression = re.sub(r"\[(\d+)\]", r"_\1", _TOTAL.sub(r"(\1)", side))
    return float(eval(expression, {"__builtins__": {}}, {**_FUNCTIONS, **known}))  # noqa: S307 - our own text
