"""Do these files hold the same numbers? Decided by algebra: nothing is run, and no framework is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grubridge.checker.algebra import prove
from grubridge.checker.file_causes import searched_cause
from grubridge.checker.findings import Cause, FileProof
from grubridge.checker.outcome import NOT_RUN, Outcome
from grubridge.checker.plan import Subject
from grubridge.checker.probe import BATCH, STEPS, random_probe
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.formats.base import ReadHints
from grubridge.spec import GRUSpec

from .pairing import open_all, paired, subjects
from .reporting import plain_causes, report

__all__ = ["compare_weights"]


def compare_weights(
    *artifacts: Path | str,
    stack: str | None = None,
    mapping: Mapping[str, str] | None = None,
    hints: ReadHints | None = None,
    rounded: bool = False,
) -> CheckReport:
    """Compare the numbers of files and say whether they are one function, without running anything.

    EQUIVALENT is a proof, for every input, of what the files say; a runtime's mistakes are not seen.
    DIFFERENT says that numbers differ which make up the function. That is no proof of another function, but
    files that were made of each other do not differ so.

    Args:
        artifacts: two files or more; one alone is INCONCLUSIVE.
        stack: the GRU to compare, in every file that has one of that name.
        mapping: the first file's GRU -> the others' GRU; only these are compared.
        hints: what files do not say themselves.
        rounded: whether numbers that are the other file's, rounded to a narrower dtype, are the same.

    Raises:
        FileFormatError: when a file cannot be read.
        LayoutError: when the layout's description is wrong.
        StackSelectionError: when GRUs of the files cannot be paired, or none has the layout.
    """
    opened = open_all(artifacts, hints or ReadHints())
    groups = subjects(opened, paired(opened, stack, mapping or {}))
    mismatches = [cause for group in groups for cause in plain_causes(group)]
    if mismatches:
        return report(groups, [Outcome(diagnosis=mismatches)], None, known=Verdict.DIFFERENT)
    found = [_compared(group[0], other, rounded=rounded) for group in groups for other in group[1:]]
    if not found:
        alone = Cause(NOT_RUN, "a file alone can only be compared with what its runtime makes of it")
        return report(groups, [Outcome(diagnosis=[alone])], None, known=Verdict.INCONCLUSIVE)
    different = any(outcome.diagnosis for outcome in found)
    return report(groups, found, None, known=Verdict.DIFFERENT if different else Verdict.EQUIVALENT)


def _compared(first: Subject, other: Subject, *, rounded: bool) -> Outcome:
    proof = prove(first.spec, other.spec, (first.label, other.label))
    outcome = Outcome(proofs=[FileProof(first.label, other.label, proof)])
    if not (proof.equal or (rounded and _rounded(first.spec, other.spec))):
        probe = random_probe([first.spec, other.spec], seed=0, batch=BATCH, steps=STEPS)
        outcome.diagnosis.append(searched_cause(proof, first, other, probe))
    return outcome


def _rounded(first: GRUSpec, other: GRUSpec) -> bool:
    """Whether one of two specs is the other, rounded to its own dtype."""
    return (
        prove(first.astype(other.dtype.name), other).equal
        or prove(first, other.astype(first.dtype.name)).equal
    )
