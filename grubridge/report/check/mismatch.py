"""A check that a test wanted to pass, in the words of `torch.testing.assert_close`; then place and cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grubridge.checker.findings import Comparison, Tolerance
from grubridge.checker.judge import Element
from grubridge.checker.profile import FINEST
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.files.text import inert_lines
from grubridge.reference.rounding import QUANTITIES
from grubridge.report.wrapping import wrapped

from .text import brief
from .words import NAMES

__all__ = ["mismatch"]

_GREATEST = "Greatest absolute difference"
_RELATIVE = "Greatest difference relative to what is allowed"
_INCONCLUSIVE = (
    "Whether the GRUs are equivalent is not known: not everything could be run and judged, and "
    "that is no pass."
)


def mismatch(report: CheckReport) -> str:
    """Return why a check is not EQUIVALENT, as the message of an AssertionError."""
    if report.verdict is Verdict.INCONCLUSIVE:
        return inert_lines("\n".join([*wrapped(_INCONCLUSIVE, hanging=""), "", *brief(report)]))
    own = report.tolerance
    numbers = list(_by_the_bound(report) if own is None else _by_tolerance(report, own))
    lines = ["GRUs are not equivalent!", "", *numbers, *([""] if numbers else []), *brief(report)]
    return inert_lines("\n".join(lines))


def _by_tolerance(report: CheckReport, own: Tolerance) -> Iterator[str]:
    beyond = next((one for one in report.tolerated if one.verdict is Verdict.DIFFERENT), None)
    if beyond is None or beyond.worst is None:
        yield from _by_the_bound(report)  # of a recorded run, which no tolerance decides
        return
    worst = beyond.worst
    yield _elements(beyond.beyond, beyond.numbers)
    greatest = _RELATIVE if own.rtol else _GREATEST
    yield f"{greatest}: {_difference(worst.difference, worst.element, worst.accepted)}"
    yield f"The failure occurred for layer {worst.layer} {worst.direction}, {NAMES['hidden']}, running free"


def _by_the_bound(report: CheckReport) -> Iterator[str]:
    """The first quantity that is different, in the first layer and over the first edge that has one."""
    wrong = [one for one in report.comparisons if one.verdict is Verdict.DIFFERENT]
    if not wrong:
        return
    first = wrong[0]
    place = (first.edge, first.left, first.right, first.layer, first.direction)
    there = [one for one in wrong if (one.edge, one.left, one.right, one.layer, one.direction) == place]
    yield from _counted(first)
    yield from wrapped(
        f"The failure occurred for layer {first.layer} {first.direction}, {_listed(there)}, "
        f"from step {first.first_bad_time} on"
    )


def _counted(one: Comparison) -> Iterator[str]:
    """How many numbers are beyond their bounds, the largest error, and the one that is furthest beyond."""
    if one.profile is not None:
        yield _elements(sum(one.profile.counts[1 - FINEST :]), sum(one.profile.counts))
    if one.max_abs is None:
        return
    if one.largest is None or one.allowed is None:
        yield f"{_GREATEST}: {one.max_abs:.3g}"
        return
    yield f"{_GREATEST}: {_difference(one.max_abs, one.largest, one.allowed)}"
    furthest = _furthest(one)
    if furthest is not None and one.worst != one.largest:
        yield f"{_RELATIVE}: {_difference(*furthest)}"


def _furthest(one: Comparison) -> tuple[float, Element, float] | None:
    """The error, the place and the bound of the number that is furthest beyond; None where it is not kept."""
    if one.profile is None or one.worst is None or one.worst.time not in one.profile.times:
        return None
    at = one.profile.times.index(one.worst.time)
    return one.profile.errors[at], one.worst, one.profile.bounds[at]


def _elements(beyond: int, total: int) -> str:
    return f"Mismatched elements: {beyond} / {total} ({100 * beyond / total:.1f}%)"


def _difference(difference: float, at: Element, allowed: float) -> str:
    return f"{difference:.3g} at index ({at.batch}, {at.time}, {at.unit}) (up to {allowed:.2g} allowed)"


def _listed(wrong: Sequence[Comparison]) -> str:
    """The quantities that are different, in the order in which reports name them."""
    found = {one.quantity for one in wrong}
    return ", ".join(NAMES[quantity] for quantity in QUANTITIES if quantity in found)
