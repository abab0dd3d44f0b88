"""What became of one task: every run held against what it is to be, and why it is not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from grubridge.reference.arithmetic import UNIT_ROUNDOFF, Arithmetic, arithmetic_of
from grubridge.traces import Probe

from .algebra import Proof, prove
from .compare import compare
from .executed import Difference, Executed, Probes
from .findings import Cause, Comparison, Drift, Edge, FileProof, Sensing, Side, Tolerated
from .pictures import Apart, TriedAt, tried_at
from .plan import Held, PlannedRun
from .result import Run
from .sensitivity import sense
from .verdict import Verdict, combined

__all__ = ["FAILED", "NOT_RUN", "Outcome"]

NOT_RUN = "not run"
"""The cause where a file did not run because no runtime for it was to be used, is there, or can."""
FAILED = "failed"
"""The cause where a runtime failed on a file, crashed or gave no answer."""

_TF32 = 2.0**-10
"""Relative rounding of TF32, which keeps ten bits of a fraction and may cut the rest off."""


@dataclass
class Outcome:
    """What became of a task; `tried` and `apart` only where `keep_pictures` asks for them."""

    runs: list[Run] = field(default_factory=list)
    proofs: list[FileProof] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    sensitivity: list[Sensing] = field(default_factory=list)
    diagnosis: list[Cause] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    lyapunov_exponent: float | None = None
    tolerated: list[Tolerated] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    keep_pictures: bool = False
    tried: list[TriedAt] = field(default_factory=list)
    apart: Apart | None = None

    @property
    def by_the_bound(self) -> Verdict:
        """What every step's rounding bound and the filter for single weights say."""
        seen = (one.verdict for one in self.sensitivity if one.verdict is Verdict.DIFFERENT)
        return self._unless_not_run([*(one.verdict for one in self.comparisons), *seen])

    @property
    def by_tolerance(self) -> Verdict:
        """What the user's own tolerance says of the free runs."""
        return self._unless_not_run(one.verdict for one in self.tolerated)

    def _unless_not_run(self, verdicts: Iterable[Verdict]) -> Verdict:
        """A file that did not run leaves the whole inconclusive, unless a difference was found."""
        not_run = any(cause.cause in {NOT_RUN, FAILED} for cause in self.diagnosis)
        return combined([*verdicts, *[Verdict.INCONCLUSIVE] * not_run])

    def compare(self, run: Executed, held: Held, other_run: Side | None, probes: Probes) -> None:
        """Hold a run against one thing that it is to be, and look for causes where it is not."""
        equations, side = Side(held.subject.label, None), run.planned.side
        sides = {
            "read": (side, equations),
            "write": (equations, side),
            "end-to-end": (other_run or equations, side),
        }[held.edge]
        proof = self._proof(held, run.planned)
        if proof is not None and proof.equal and self._repeat(held.edge, sides, side):
            return
        how = _arithmetic(held, run, proof)
        found = compare(held.spec, run.trace, probes.inputs, held.edge, sides, how)
        sensing = _sensing(held, run, sides, probes.designed, how)
        self.comparisons += found
        self.sensitivity += [sensing] if sensing is not None else []
        self.diagnosis += (Cause("not judged", one.reason) for one in found if one.reason)
        verdicts = [*(one.verdict for one in found), *([sensing.verdict] if sensing is not None else [])]
        if Verdict.DIFFERENT in verdicts:
            from .causes import causes  # the search for them is large, and seldom needed

            difference = Difference(held, run, found, sensing, proof, how)
            explained = list(causes(difference, probes))
            self.diagnosis += explained
            if self.keep_pictures:
                tried = tried_at(difference, probes, explained)
                self.tried += [tried] if tried is not None else []

    def _proof(self, held: Held, planned: PlannedRun) -> Proof | None:
        """Compare the numbers of two files, once."""
        if held.edge != "end-to-end":
            return None
        left, right = held.subject, planned.subject
        proof = prove(left.spec, right.spec, (left.label, right.label))
        self.proofs.append(FileProof(left.label, right.label, proof))
        return proof

    def _repeat(self, edge: Edge, sides: tuple[Side, Side], side: Side) -> bool:
        """Say of the first file what was found of the run's own: the two are proved to be one function."""
        own = [one for one in self.comparisons if one.edge == "read" and one.left == side]
        seen = [one for one in self.sensitivity if one.edge == "read" and one.left == side]
        self.comparisons += (replace(one, edge=edge, left=sides[0], right=sides[1]) for one in own)
        self.sensitivity += (replace(one, edge=edge, left=sides[0], right=sides[1]) for one in seen)
        return bool(own)


def _sensing(
    held: Held, run: Executed, sides: tuple[Side, Side], designed: Probe, how: Arithmetic
) -> Sensing | None:
    """Look for the change of one weight in the run on the designed probe."""
    if run.designed is None:
        return None
    sensed = sense(held.spec, run.designed, designed, how)
    headroom = max((place.headroom for place in sensed.places), default=None)
    certainty = None
    if headroom is None or headroom > 1 or math.isnan(headroom):  # the bound has a slower and closer look
        found = compare(held.spec, run.designed, designed, held.edge, sides, how)
        verdict = combined(one.verdict for one in found)
        headroom = max((one.headroom for one in found if one.headroom is not None), default=None)
        certainty = max((one.certainty for one in found if one.certainty is not None), default=None)
    else:
        verdict = Verdict.EQUIVALENT
    seen = Verdict.DIFFERENT if sensed.changes else verdict
    return Sensing(held.edge, *sides, seen, headroom, sensed, certainty)


def _arithmetic(held: Held, run: Executed, proof: Proof | None) -> Arithmetic:
    """The runtime's own, unless its file has other numbers: then the finer precision of the two files."""
    dtype, errors = run.trace.dtype, run.constants.errors
    if proof is not None and not proof.equal:
        dtype = min(dtype, held.spec.dtype.name, key=lambda name: UNIT_ROUNDOFF[name])
    known = errors if dtype == run.trace.dtype else None
    cell = run.planned.artifact
    return arithmetic_of(
        run.trace.backend,
        dtype,
        run.trace.device,
        known,
        blend=cell.blend or "keeps",
        products=cell.products,
    )
