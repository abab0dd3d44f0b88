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

__all__ = ["causes", "difference", "mends", "proof", "proofs", "sensed", "sensitivity"]

_LISTED = 4
_RELATIVE = 1e-3
_FIXED = 2
"""Files with one GRU each, of which --fix mends the second."""
_IN_MEMORY = "make the second model anew from the first; to_module, to_layer and to_model do that for specs"
_SEVERAL = "write what is wrong anew from the first file, with grubridge convert and its --stack for each GRU"
_PRECISION = (
    "run it in full precision, or accept it with a tolerance of your own: --atol, --rtol; "
    "in a manifest, tolerance"
)


def proofs(report: CheckReport, letters: Mapping[str, str]) -> Iterator[str]:
    """What the numbers of the files say, for every input."""
    for one in report.proofs:
        yield from wrapped(f"files: {proof(one, letters)}")
        for remark in one.proof.remarks:
            yield from wrapped(printable(remark), "  ")
        if not one.proof.permutation:
            yield from _differences(one.proof)


def proof(one: FileProof, letters: Mapping[str, str]) -> str:
    """Return what the numbers of two files say, in a sentence."""
    both = f"{letters[one.left]} and {letters[one.right]}"
    if one.proof.equal:
        return f"{both} hold the same numbers, which proves them to be one function for every input"
    if one.proof.permutation:
        orders = "; ".join(map(str, one.proof.permutation))
        what = "the same output" if one.proof.same_output else "the same units in another order"
        return f"{both} give {what}: {orders}"
    return f"{both} do not hold the same numbers"


def _differences(proved: Proof) -> Iterator[str]:
    for one in proved.differences[:_LISTED]:
        yield from wrapped(difference(one), "  ")
    if len(proved.differences) > _LISTED:
        yield f"  and {len(proved.differences) - _LISTED} more (all with --json)"


def difference(one: TensorDifference) -> str:
    """Return how one tensor differs."""
    where = f"layer {one.layer} {one.direction} {one.tensor}"
    if one.unit is None:
        return f"{where}: {one.detail}"
    size = ", NaN or infinite" if one.max_abs is None else f", by up to {one.max_abs:.2g}"
    return f"{where}: {one.count} of {one.total} numbers{size}"


def sensitivity(report: CheckReport) -> Iterator[str]:
    """The smallest change of a weight that would have been seen, in the run that sees least."""
    sentence = sensed(report)
    if sentence is not None:
        yield from wrapped(f"sensitivity: {sentence}")


def sensed(report: CheckReport) -> str | None:
    """Return in a sentence what the run that sees least would have seen; None where it did not look."""
    ends = [one for one in report.sensitivity if one.edge != "read"] or list(report.sensitivity)
    if not ends:
        return None
    least = min(
        ends, key=lambda one: (one.sensed.total.coverage.get(_RELATIVE, 0.0), -one.sensed.total.median)
    )
    return _sentence(least)


def _sentence(one: Sensing) -> str:
    total, rows = one.sensed.total, max((place.rows for place in one.sensed.places), default=0)
    if not math.isfinite(total.median):
        return f"in {rows} further single steps, no change of half of the {total.weights:,} weights shows"
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
    for mend, command in mends(report):
        line = f"mend: {mend}"
        yield from [line] if command else wrapped(line)


def mends(report: CheckReport) -> Iterator[tuple[str, bool]]:
    """Yield what to do about it, and whether that is a command to copy."""
    for mend in dict.fromkeys(one.mend for one in report.diagnosis):
        if mend == "write anew":
            paths = [one.path for one in report.artifacts]
            if not all(paths):
                yield _IN_MEMORY, False
            elif len(paths) > _FIXED:
                yield _SEVERAL, False
            else:
                told = (shlex.quote(printable(word)) for word in (*paths, *report.options))
                yield f"grubridge verify {' '.join(told)} --fix NEW", True
        elif mend == "full precision":
            yield _PRECISION, False
