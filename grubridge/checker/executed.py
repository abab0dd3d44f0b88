"""What was run, and what was found when it was held against something: from which causes are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grubridge.reference.arithmetic import Arithmetic
from grubridge.traces import Probe, Trace

from .algebra import Proof
from .calibration import Constants
from .findings import Comparison, Sensing
from .plan import Held, PlannedRun

__all__ = ["Difference", "Executed", "Probes"]


@dataclass(frozen=True)
class Probes:
    """The inputs of a check.

    Args:
        inputs: sequences, random or the user's own.
        designed: independent single steps, in which the change of one weight shows.
    """

    inputs: Probe
    designed: Probe


@dataclass(frozen=True)
class Executed:
    """A planned run that was carried out.

    Args:
        planned: the plan.
        trace: what it did on the inputs.
        designed: what it did on the designed probe; None when that failed.
        constants: of its runtime's activation functions.
    """

    planned: PlannedRun
    trace: Trace
    designed: Trace | None
    constants: Constants


@dataclass(frozen=True)
class Difference:
    """A run, and what was found when it was held against something.

    Args:
        held: against what.
        run: the run.
        compared: on the inputs.
        sensing: on the designed probe.
        proof: what the numbers of the two files say, end to end.
        how: the arithmetic that was allowed for.
    """

    held: Held
    run: Executed
    compared: Sequence[Comparison]
    sensing: Sensing | None
    proof: Proof | None
    how: Arithmetic
