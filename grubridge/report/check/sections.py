"""Parts of a check's text: what the files prove, what would have been seen, and why it is not EQUIVALENT."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping

from grubridge.checker.algebra import Proof, TensorDifference
from grubridge.checker.findings import FileProof, Sensing
from grubridge.checker.result import CheckReport
from grubridge.files.text import printable
from grubridge.report.wrapping import wrapped

__all__ = ["causes", "proofs", "sensitivity"]

_LISTED = 4
_RELATIVE = 1e-3
_PRECISION = "run it in full precision, or accept it with a tolerance of your own: --atol, --rtol"


def proofs(report: CheckReport, letters: Mapping[str, str]) -> Iterator[str]:
    """What the numbers of the files say, for every input."""
    for one in report.proofs:
        yield from wrapped(f"files: {_proof(one, letters)}")
        for remark in one.proof.remarks:
            yield from wrapped(printable(remark), "  ")
        if not one.proof.permutation:
            yield from _differences(one.proof)


def _proof(one: FileProof, letters: Mapping[str, str]) -> str:
    both = f"{letters[one.left]} and {letters[one.right]}"
    if one.proof.equal:
        return f"{both} hold the same numbers, which proves them to be one function for every input"
    if one.proof.permutation:
        orders = "; ".join(map(str, one.proof.permutation))
        what = "the same output" if one.proof.same_output else "the same units in another order"
        return f"{both} give {what}: {orders}"
    return f"{both} do not hold the same numbers"


def _differences(proof: Proof) -> Iterator[str]:
    for one in proof.differences[:_LISTED]:
        yield from wrapped(_difference(one), "  ")
    if len(proof.differences) > _LISTED:
        yield f"  and {len(proof.differences) - _LISTED} more (all with --json)"


def _difference(one: TensorDifference) -> str:
    where = f"layer {one.layer} {one.direction} {one.tensor}"
    if one.unit is None:
        return f"{where}: {one.detail}"
    size = "" if one.max_abs is None else f", by up to {one.max_abs:.2g}"
    return f"{where}: {one.count} of {one.total} numbers{size}"


def sensitivity(report: CheckReport) -> Iterator[str]:
    """The smallest change of a weight that would have been seen, in the run that sees least."""
    ends = [one for one in report.sensitivity if one.edge != "read"] or list(report.sensitivity)
    if not ends:
        return
    least = min(
        ends, key=lambda one: (one.sensed.total.coverage.get(_RELATIVE, 0.0), -one.sensed.total.median)
    )
    yield from wrapped(f"sensitivity: {_sentence(least)}")


def _sentence(one: Sensing) -> str:
    total, rows = one.sensed.total, max((place.rows for place in one.sensed.places), default=0)
    most = f"{total.most:.1e}" if math.isfinite(total.most) else "no change, however large,"
    share = f"{100 * total.coverage.get(_RELATIVE, 0.0):.1f}%"
    return (
        f"in {rows} further single steps, one weight off by {total.median:.1e} would have been seen in half "
        f"of the {total.weights:,} weights, {most} in 99% of them, and 1e-3 of itself in {share}"
    )


def causes(report: CheckReport) -> Iterator[str]:
    """Why it is not EQUIVALENT, and what to do about it."""
    for one in report.diagnosis:
        yield from wrapped(f"why: {one.cause}: {one.detail}")
    for mend in dict.fromkeys(one.mend for one in report.diagnosis):
        if mend == "write anew":
            files = " ".join(shlex.quote(printable(one.path)) for one in report.artifacts)
            yield f"mend: grubridge verify {files} --fix NEW"
        elif mend == "full precision":
            yield from wrapped(f"mend: {_PRECISION}")
