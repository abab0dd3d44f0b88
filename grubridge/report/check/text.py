"""A check: what ran, how far each quantity is from the equations, and the verdict, which is the last line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple

from grubridge.checker.ensemble import Followed
from grubridge.checker.findings import Comparison
from grubridge.checker.result import CheckReport, Run
from grubridge.checker.verdict import Verdict
from grubridge.files.text import printable
from grubridge.reference.rounding import QUANTITIES
from grubridge.report.wrapping import wrapped

from .sections import causes, proofs, sensitivity
from .words import (
    BOUND,
    ENSEMBLE,
    NAMES,
    PADDING,
    EdgeKey,
    Letters,
    by_edge,
    drift,
    inputs,
    letters_of,
    place,
    side_named,
    times,
    verdict,
)

__all__ = ["brief", "render"]

_LONGEST_NOTE = 500
_ARTIFACTS = 6
_DETAILED = 4
"""Up to so many edges, every quantity of the last ones and of wrong ones has a line of its own."""
_GATES = {
    "observed": "gates observed in the run",
    "replayed": "gates replayed by its operators",
    "recorded": "gates recorded beside the states",
}


def render(report: CheckReport) -> str:
    """Return the text of a check, ASCII but for names that the user chose; the verdict is the last line."""
    edges = by_edge(report.comparisons)
    letters = letters_of(report)
    lines = list(_legend(report, letters))
    if report.probe is not None:
        lines.append(f"inputs: {inputs(report.probe)}")
        lines += wrapped(PADDING, "  ", "") if report.probe.lengths is not None else ()
    lines += proofs(report, letters)
    lines.append("")
    for key, found in edges.items():
        last = key[0] == "end-to-end" or not any(edge == "end-to-end" for edge, *_ in edges)
        different = any(one.verdict is Verdict.DIFFERENT for one in found)
        lines += _edge(key, found, letters, detailed=len(edges) <= _DETAILED and (last or different))
        where = place(found)
        lines += () if where is None else (f"  DIFFERENT {where[0]};", f"  {where[1]}")
    if edges:
        lines.append("")
        free = {one.followed is not None for one in report.comparisons}
        for said, bound in ((False, BOUND), (True, ENSEMBLE)):
            lines += wrapped(bound, hanging="") if said in free else ()
    lines += sensitivity(report)
    if report.drift:
        lines += wrapped(f"drift, never judged: {drift(report, letters)}")
    for name, reason in report.left_out.items():
        lines += wrapped(f"left out: {name}: {reason}")
    lines += causes(report)
    return "\n".join([*lines, "", verdict(report, edges, letters)]) + "\n"


def brief(report: CheckReport) -> list[str]:
    """Return the lines that say what was compared, where a difference is, how large, and why."""
    edges = by_edge(report.comparisons)
    letters = letters_of(report)
    lines = [line for line, _ in _ran(report, letters)]
    if len(lines) > _ARTIFACTS:
        lines[_ARTIFACTS:] = [f"and {len(lines) - _ARTIFACTS} more"]
    lines += [line for said in verdict(report, edges, letters).splitlines() for line in wrapped(said)]
    for key, found in edges.items():
        where = place(found)
        if where is not None:
            lines += [*_edge(key, found, letters, detailed=True), f"  DIFFERENT {where[0]};", f"  {where[1]}"]
            break
    else:
        lines += proofs(report, letters) if any(one.proof.differences for one in report.proofs) else ()
    return [*lines, *causes(report)]


def _ran(report: CheckReport, letters: Letters) -> Iterator[tuple[str, Run | None]]:
    """What each letter stands for, and its run."""
    ran = {run.artifact: run for run in report.runs if run.backend != "reference"}
    dtypes = {one.label: one.dtype for one in report.artifacts}
    for label, letter in letters.items():
        run = ran.get(label)
        if run is None:
            yield f"{letter}  {label} ({dtypes[label]}), not run", None
        else:
            about = (f"{letter}  {label} ({run.dtype})", run.version, run.device)
            yield ", ".join(filter(None, about)), run


def _legend(report: CheckReport, letters: Letters) -> Iterator[str]:
    """What each letter stands for, and how it ran."""
    for line, run in _ran(report, letters):
        yield line
        if run is None:
            continue
        precision = "" if run.precision == run.dtype else run.precision
        told = (run.kernel, precision, _GATES.get(run.gates or "", ""))
        yield from wrapped(printable("; ".join(filter(None, told)), _LONGEST_NOTE), "   ")
        if not run.native:
            for note in run.notes or ("rebuilt from the file's arrays",):
                yield from wrapped(f"note: {printable(note, _LONGEST_NOTE)}", "   ")


def _edge(key: EdgeKey, found: Sequence[Comparison], letters: Letters, *, detailed: bool) -> Iterator[str]:
    """A heading, and a line per quantity."""
    edge, left, right = key
    yield f"{edge}: {side_named(left, letters)} against {side_named(right, letters)}"
    for quantity in QUANTITIES if detailed else QUANTITIES[:1]:
        ones = [one for one in found if one.quantity == quantity]
        if ones:
            yield f"  {NAMES[quantity]:<12}  {_measure(ones)}"
    followed = [one.followed for one in found if one.followed is not None]
    if followed:
        yield from wrapped(_ensemble(followed), "  ")
    given_back = [one.recomposition for one in found if one.recomposition is not None]
    if given_back and detailed:
        largest, headroom = (max(column) for column in zip(*map(astuple, given_back), strict=True))
        yield f"  z*h+(1-z)*n   off by {largest:.1e} from the states, {times(headroom)}"


def _ensemble(followed: Sequence[Followed]) -> str:
    """What an ensemble could judge, in all directions together."""
    judged, outputs = (sum(counts) for counts in zip(*((o.judged, o.outputs) for o in followed), strict=True))
    runs = f"an ensemble of {followed[0].members} perturbed runs"
    if not judged:
        return f"{runs} could judge none of the {outputs:,} numbers"
    accepted = max(one.accepted for one in followed)
    return (
        f"judged from end to end by {runs}: {judged:,} of {outputs:,} numbers, none accepted that is more "
        f"than {accepted:.1e} off"
    )


def _measure(ones: Sequence[Comparison]) -> str:
    """The errors of one quantity over all layers and directions."""
    judged = [
        (one.max_abs, one.headroom) for one in ones if one.max_abs is not None and one.headroom is not None
    ]
    if not judged:
        return "not judged"
    largest, headroom = (max(column) for column in zip(*judged, strict=True))
    return f"max |error| {largest:.1e}, {times(headroom)}"
