"""What a check finds, piece by piece, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from grubridge.errors import ProbeError
from grubridge.reference.rounding import Quantity
from grubridge.reference.tapped import Recomposition
from grubridge.spec import Direction

from .algebra import Proof
from .ensemble import Followed
from .judge import Element
from .profile import Profile
from .sensitivity import Sensed
from .verdict import Verdict

__all__ = [
    "RECORDED",
    "Cause",
    "Comparison",
    "Drift",
    "Edge",
    "FileProof",
    "Furthest",
    "Mend",
    "Sensing",
    "Side",
    "Tolerance",
    "Tolerated",
    "Tried",
]

Edge = Literal["read", "write", "end-to-end"]
"""read: a file as its own runtime runs it, against the equations of the spec that was read from it.
write: the equations of a spec, against a file that was made of it. end-to-end: two files, each as its own
runtime runs it; the second is held against the equations of the first."""


Mend = Literal["", "write anew", "full precision"]

RECORDED = "recorded"
"""What stands in the place of a runtime's name where the user brought a recording of a run."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Args:
        artifact: label of the file.
        backend: where it ran, or `RECORDED`; None for the equations of the spec that was read from it.
    """

    artifact: str
    backend: str | None

    def __str__(self) -> str:
        if self.backend is None:
            return f"equations of {self.artifact}"
        return (
            f"recorded run {self.artifact}"
            if self.backend == RECORDED
            else f"{self.artifact} on {self.backend}"
        )


@dataclass(frozen=True)
class Comparison:
    """One quantity of one layer and direction, over one edge.

    Args:
        edge: which.
        left: one side.
        right: the other.
        layer: index of the layer.
        direction: of reading.
        quantity: the hidden state or a gate.
        verdict: EQUIVALENT where every judged error is within its bound.
        max_abs: largest |error|; infinite where a runtime returned NaN for a finite value; None when
            nothing was judged.
        headroom: largest error over bound, at most 1 when EQUIVALENT; None when nothing was judged.
        certainty: largest error over the bound that assumes nothing of rounding errors' signs: above 1 the
            difference is proved, otherwise honest rounding shows it once in a billion checks.
        worst: where that is.
        first_bad_time: the first step, in the order of reading, with an error above its bound.
        reason: why it is INCONCLUSIVE.
        recomposition: of a hidden state: whether the gates that are compared beside it are its own.
        followed: what an ensemble of perturbed runs could judge, where no step could be judged by itself;
            the bound is then on the outputs of the whole run.
        profile: of errors and bounds over time, where steps were judged by themselves.
        largest: where the largest |error| is, likewise.
        allowed: the bound there.
    """

    edge: Edge
    left: Side
    right: Side
    layer: int
    direction: Direction
    quantity: Quantity
    verdict: Verdict
    max_abs: float | None = None
    headroom: float | None = None
    certainty: float | None = None
    worst: Element | None = None
    first_bad_time: int | None = None
    reason: str = ""
    recomposition: Recomposition | None = None
    followed: Followed | None = None
    profile: Profile | None = None
    largest: Element | None = None
    allowed: float | None = None


@dataclass(frozen=True)
class Tried:
    """An explanation that was held against a run.

    Args:
        what: is taken into account, as a clause.
        residual: largest |error| of the hidden states that is left then.
        headroom: largest error over its bound; at most 1 explains.
    """

    what: str
    residual: float
    headroom: float


@dataclass(frozen=True)
class Cause:
    """Why a check did not end in EQUIVALENT.

    Args:
        cause: in a few words, e.g. "gate order".
        detail: in a sentence.
        edits: the mistakes, for a machine, e.g. "gate_order=reset,update,candidate".
        ties: other causes that explain the same.
        mend: "write anew" where the second file would be right if it were made of the first, "full precision"
            where only the arithmetic differs; else "".
        tried: of a mistake: how well it and its ties explain the run; it comes first.
    """

    cause: str
    detail: str
    edits: tuple[str, ...] = ()
    ties: tuple[str, ...] = ()
    mend: Mend = ""
    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True)
class FileProof:
    """What the numbers of two files say, whatever was run: labels of the files, and the proof."""

    left: str
    right: str
    proof: Proof


@dataclass(frozen=True)
class Sensing:
    """What a run on the designed probe could have told of single weights, and what it told.

    Args:
        edge: what it was part of.
        left: one side.
        right: the other.
        verdict: DIFFERENT when a weight differs, or a step is beyond its bound.
        headroom: largest error over bound of a step; None when nothing was judged.
        sensed: which changes of a weight would have been seen, and which was.
        certainty: as a comparison's, where a step is beyond its bound; else None.
    """

    edge: Edge
    left: Side
    right: Side
    verdict: Verdict
    headroom: float | None
    sensed: Sensed
    certainty: float | None = None


@dataclass(frozen=True)
class Drift:
    """How far two free-running executions came apart. Never judged: a chaotic network parts from itself.

    Args:
        left: one run.
        right: the other.
        max_abs: the largest |difference| of two hidden states.
        layer: where that is.
        direction: likewise.
        time: likewise.
        by_step: the largest |difference| of every time step, over all layers.
        horizon: the first step at which it exceeds 1e-3; None when it never does.
    """

    left: Side
    right: Side
    max_abs: float
    layer: int
    direction: Direction
    time: int
    by_step: tuple[float, ...] = ()
    horizon: int | None = None


@dataclass(frozen=True)
class Furthest:
    """One hidden state of two free runs.

    Args:
        layer: where it is.
        direction: likewise.
        element: likewise.
        difference: how far the runs are apart in it.
        accepted: how far they may be.
    """

    layer: int
    direction: Direction
    element: Element
    difference: float
    accepted: float


@dataclass(frozen=True)
class Tolerated:
    """A tolerance of the user's own, applied to the hidden states of two free runs.

    Args:
        left: one run.
        right: the other.
        largest: the largest difference over what is accepted; at most 1 passes.
        verdict: EQUIVALENT, DIFFERENT, or INCONCLUSIVE where there was nothing to compare.
        numbers: how many were compared.
        beyond: how many of them are further apart than is accepted.
        worst: the one that is furthest beyond, or nearest to it; None where there was nothing to compare.
    """

    left: Side
    right: Side
    largest: float
    verdict: Verdict
    numbers: int = 0
    beyond: int = 0
    worst: Furthest | None = None


@dataclass(frozen=True)
class Tolerance:
    """|left - right| <= atol + rtol * |left| is accepted, for every hidden state.

    Raises:
        ProbeError: when a number is negative or not finite.
    """

    atol: float = 0.0
    rtol: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("atol", self.atol), ("rtol", self.rtol)):
            if not 0 <= value < float("inf"):
                raise ProbeError(f"{name} must be 0 or more, and finite; received {value}")
