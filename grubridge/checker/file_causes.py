"""Why two files are not one function, told by their numbers alone: nothing has to be run."""

from __future__ import annotations

from grubridge.diagnosis.explain import explain
from grubridge.reference import run as run_reference
from grubridge.reference.arithmetic import UNIT_ROUNDOFF, arithmetic_of
from grubridge.traces import Probe

from .algebra import Proof, UnitPermutation
from .findings import Cause, Mend
from .plan import Subject

__all__ = ["file_cause", "searched_cause"]

_SHOWN = 8
_NAMED = 3
_MOST_SEARCHED = 1 << 20
"""Differing numbers among which a mistake is searched for: so that it takes about a second."""


def file_cause(proof: Proof, first: Subject, other: Subject, fix: Mend) -> Cause | None:
    """Return the cause of a difference that two files' numbers show by themselves; None where they do not.

    Args:
        proof: of the two.
        first: what the other is held against.
        other: the other.
        fix: what mends a file that was written wrong.
    """
    if proof.permutation:
        return Cause("order of hidden units", "; ".join(map(_order, proof.permutation)), mend=fix)
    return _single_number(proof, fix) or _rounded_numbers(proof, first, other)


def searched_cause(proof: Proof, first: Subject, other: Subject, probe: Probe) -> Cause:
    """Return why two files differ; a mistake is searched for in what the other's equations compute.

    Args:
        proof: of the two.
        first: what the other is held against.
        other: the other.
        probe: inputs for the equations.
    """
    told = file_cause(proof, first, other, "write anew")
    if told is not None:
        return told
    if sum(one.total for one in proof.differences) > _MOST_SEARCHED:
        return Cause("weights", _differing(proof))
    places = list(dict.fromkeys((one.layer, one.direction) for one in proof.differences))
    trace = run_reference(other.spec, probe)
    found = explain(first.spec, trace, probe, arithmetic_of(trace.backend, other.spec.dtype.name), places)
    if not found:
        return Cause("weights", _differing(proof))
    from .causes import mistake

    return mistake(found[0], "write anew")


def _differing(proof: Proof) -> str:
    """Name the tensors that differ; that unequal numbers make another function is not proved."""
    named = [
        f"{one.tensor} of layer {one.layer} {one.direction}{_by(one.max_abs)}" for one in proof.differences
    ]
    rest = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"the files do not hold the same numbers: {', '.join(named[:_NAMED])}{rest}"


def _by(max_abs: float | None) -> str:
    return "" if max_abs is None else f" by up to {max_abs:.2g}"


def _order(one: UnitPermutation) -> str:
    shown = ", ".join(map(str, one.order[:_SHOWN])) + (", ..." if len(one.order) > _SHOWN else "")
    return f"units 0, 1, 2, ... of layer {one.layer} {one.direction} are units {shown} of the first file"


def _single_number(proof: Proof, fix: Mend) -> Cause | None:
    """The cause, where two files differ in one number only."""
    if len(proof.differences) != 1 or proof.differences[0].count != 1:
        return None
    one = proof.differences[0]
    if one.unit is None:
        return None
    index = f"[{one.unit}]" if one.column is None else f"[{one.unit}, {one.column}]"
    where = f"layer {one.layer} {one.direction} {one.tensor}{index}"
    by = "" if one.max_abs is None else f" by {one.max_abs:.2g}"
    return Cause("weight", f"one number of the files differs{by}: {where} is {one.detail}", mend=fix)


def _rounded_numbers(proof: Proof, first: Subject, other: Subject) -> Cause | None:
    """The cause, where one file has the other's numbers in a lower precision and all else alike."""
    # a sum of rounded biases is not the rounded sum
    told = [one.rounded for one in proof.differences if not one.tensor.endswith("(sum)")]
    if not told or not all(told):
        return None
    narrow, wide = sorted((first, other), key=lambda file: -UNIT_ROUNDOFF[file.spec.dtype.name])
    by = max(one.max_abs or 0.0 for one in proof.differences)
    detail = (
        f"{narrow.label} has the numbers of {wide.label} rounded to {narrow.spec.dtype.name}; "
        f"they differ by up to {by:.2g}"
    )
    return Cause("precision", detail, (f"precision=weights {narrow.spec.dtype.name}",), mend="full precision")
