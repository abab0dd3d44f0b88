"""The three outcomes of a check, and how several become one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NoReturn

__all__ = ["Verdict", "combined"]


class Verdict(Enum):
    """EQUIVALENT, DIFFERENT or INCONCLUSIVE.

    There is no truth value: `if verify(...).verdict:` would take "inconclusive" for one of the other two.
    """

    EQUIVALENT = "EQUIVALENT"
    DIFFERENT = "DIFFERENT"
    INCONCLUSIVE = "INCONCLUSIVE"

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"a verdict has three values and no truth value; this one is {self.name}. "
            "Compare it: `verdict is Verdict.EQUIVALENT`"
        )


def combined(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict of a check made of several: one difference decides, and nothing proves nothing."""
    found = set(verdicts)
    if Verdict.DIFFERENT in found:
        return Verdict.DIFFERENT
    return Verdict.EQUIVALENT if found == {Verdict.EQUIVALENT} else Verdict.INCONCLUSIVE
