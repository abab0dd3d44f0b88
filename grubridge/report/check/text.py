"""A check: what ran, how far each quantity is from the equations, and the verdict, which is the last line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple

from grubridge.checker.ensemble import Followed
from grubridge.checker.findings import RECORDED, Comparison, Edge, Side
from grubridge.checker.result import CheckedProbe, CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.files.text import printable
from grubridge.reference.rounding import QUANTITIES, Quantity
from grubridge.report.wrapping import wrapped

from .sections import causes, proofs, sensitivity

__all__ = ["render"]

_LONGEST_NOTE = 500
_DETAILED = 4
"""Up to so many edges, every quantity of the last ones and of wrong ones has a line of its own."""
_NAMES: dict[Quantity, str] = {
    "hidden": "hidden state",
    "update": "update gate",
    "reset": "reset gate",
    "candidate": "candidate",
}
_BOUND = (
    "The bound is what rounding can do in one step from the run's own last state; one honest check in a "
    "billion exceeds it."
)
_ENSEMBLE = (
    "Where a run is judged from end to end, the bound is what rounding can do in all its steps together, as "
    "the spread of perturbed runs shows it; one honest check in a billion exceeds it."
)
_PADDING = (
    "past a sequence's end PyTorch and ONNX Runtime give zeros, Keras repeats the last state: not compared"
)
_GATES = {
    "observed": "gates observed in the run",
    "replayed": "gates replayed by its operators",
    "recorded": "gates recorded beside the states",
}

_EdgeKey = tuple[Edge, Side, Side]
_Edges = dict[_EdgeKey, list[Comparison]]
_Letters = dict[str, str]
"""What the text calls each artifact, by label: A, B, ..."""


def render(report: CheckReport) -> str:
    """Return the text of a check, ASCII but for names that the user chose; the verdict is the last line."""
    edges = _edges(report.comparisons)
    letters = _letters(report)
    lines = list(_legend(report, letters))
    if report.probe is not None:
        lines.append(_inputs(report.probe))
    lines += proofs(report, letters)
    lines.append("")
    for key, found in edges.items():
        last = key[0] == "end-to-end" or not any(edge == "end-to-end" for edge, *_ in edges)
        different = any(one.verdict is Verdict.DIFFERENT for one in found)
        lines += _edge(key, found, letters, detailed=len(edges) <= _DETAILED and (last or different))
        lines += _place(found)
    if edges:
        lines.append("")
        free = {one.followed is not None for one in report.comparisons}
        for said, bound in ((False, _BOUND), (True, _ENSEMBLE)):
            lines += wrapped(bound, hanging="") if said in free else ()
    lines += sensitivity(report)
    if report.drift:
        lines += wrapped(f"drift, never judged: {_drift(report, letters)}")
    for name, reason in report.left_out.items():
        lines += wrapped(f"left out: {name}: {reason}")
    lines += causes(report)
    return "\n".join([*lines, "", _verdict(report, edges, letters)]) + "\n"


def _edges(comparisons: Sequence[Comparison]) -> _Edges:
    """The comparisons by edge and sides, in order."""
    found: _Edges = {}
    for one in comparisons:
        found.setdefault((one.edge, one.left, one.right), []).append(one)
    return found


def _letters(report: CheckReport) -> _Letters:
    labels = [one.label for one in report.artifacts] + [run.artifact for run in report.runs]
    return {label: _letter(index) for index, label in enumerate(dict.fromkeys(labels))}


def _letter(index: int) -> str:
    """A to Z, then A1 to Z1, ..."""
    return chr(ord("A") + index % 26) + (str(index // 26) if index >= 26 else "")


def _legend(report: CheckReport, letters: _Letters) -> Iterator[str]:
    """What each letter stands for, and where it ran."""
    ran = {run.artifact: run for run in report.runs if run.backend != "reference"}
    dtypes = {one.label: one.dtype for one in report.artifacts}
    for label, letter in letters.items():
        run = ran.get(label)
        if run is None:
            yield f"{letter}  {label} ({dtypes[label]}), not run"
            continue
        yield ", ".join(filter(None, (f"{letter}  {label} ({run.dtype})", run.version, run.device)))
        precision = "" if run.precision == run.dtype else run.precision
        told = (run.kernel, precision, _GATES.get(run.gates or "", ""))
        yield from wrapped(printable("; ".join(filter(None, told)), _LONGEST_NOTE), "   ")
        if not run.native:
            for note in run.notes or ("rebuilt from the file's arrays",):
                yield from wrapped(f"note: {printable(note, _LONGEST_NOTE)}", "   ")


def _inputs(probe: CheckedProbe) -> str:
    steps = (
        f"{probe.steps} steps each"
        if probe.lengths is None
        else f"{', '.join(map(str, probe.lengths))} steps"
    )
    start = {"given": "", "learned": ", the model's own initial state", "zero": ", initial state zero"}
    line = f"inputs: {printable(probe.origin)}; {probe.batch} sequences, {steps}{start[probe.initial_state]}"
    return "\n".join([line, *(wrapped(_PADDING, "  ", "") if probe.lengths is not None else ())])


def _edge(key: _EdgeKey, found: Sequence[Comparison], letters: _Letters, *, detailed: bool) -> Iterator[str]:
    """A heading, and a line per quantity."""
    edge, left, right = key
    yield f"{edge}: {_side(left, letters)} against {_side(right, letters)}"
    for quantity in QUANTITIES if detailed else QUANTITIES[:1]:
        ones = [one for one in found if one.quantity == quantity]
        if ones:
            yield f"  {_NAMES[quantity]:<12}  {_measure(ones)}"
    followed = [one.followed for one in found if one.followed is not None]
    if followed:
        yield from wrapped(_ensemble(followed), "  ")
    given_back = [one.recomposition for one in found if one.recomposition is not None]
    if given_back and detailed:
        largest, headroom = (max(column) for column in zip(*map(astuple, given_back), strict=True))
        yield f"  z*h+(1-z)*n   off by {largest:.1e} from the states, {_times(headroom)}"


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


def _side(side: Side, letters: _Letters) -> str:
    letter = letters[side.artifact]
    if side.backend is None:
        return f"the equations of {letter}"
    return f"the recorded run {letter}" if side.backend == RECORDED else f"{letter} on {side.backend}"


def _measure(ones: Sequence[Comparison]) -> str:
    """The errors of one quantity over all layers and directions."""
    judged = [
        (one.max_abs, one.headroom) for one in ones if one.max_abs is not None and one.headroom is not None
    ]
    if not judged:
        return "not judged"
    largest, headroom = (max(column) for column in zip(*judged, strict=True))
    return f"max |error| {largest:.1e}, {_times(headroom)}"


def _times(headroom: float) -> str:
    if headroom <= 1:
        return f"{headroom:.2f} of the bound"
    return "infinitely above the bound" if math.isinf(headroom) else f"{headroom:.2g} times the bound"


def _place(found: Sequence[Comparison]) -> Iterator[str]:
    """Where a difference begins, and where it is largest: in the first layer that shows one."""
    wrong = [one for one in found if one.verdict is Verdict.DIFFERENT]
    if wrong and wrong[0].worst is not None:
        first, worst = wrong[0], wrong[0].worst
        where = f"layer {first.layer} {first.direction}, {_NAMES[first.quantity]}"
        yield f"  DIFFERENT from step {first.first_bad_time} on: {where};"
        yield f"  most at step {worst.time}, sequence {worst.batch}, unit {worst.unit}"


def _drift(report: CheckReport, letters: _Letters) -> str:
    most = max(report.drift, key=lambda one: one.max_abs)
    sides = f"{_side(most.left, letters)} and {_side(most.right, letters)}"
    apart = f"running free, {sides} come up to {most.max_abs:.1e} apart"
    if most.horizon is not None:
        apart += f", by more than 1e-3 from step {most.horizon} on"
    exponent = report.lyapunov_exponent
    if exponent is None:
        return apart
    what = "grows" if exponent > 0 else "shrinks"
    factor = math.exp(abs(exponent))
    return f"{apart}; a small difference {what} {factor:.2g} times a step (Lyapunov exponent {exponent:+.2f})"


def _verdict(report: CheckReport, edges: _Edges, letters: _Letters) -> str:
    by_the_bound = _by_the_bound(report, edges, letters)
    if report.tolerance is None:
        return by_the_bound
    accepted = f"atol {report.tolerance.atol:g}, rtol {report.tolerance.rtol:g}"
    largest = max((one.largest for one in report.tolerated), default=math.inf)
    how = {
        Verdict.EQUIVALENT: f"within your own tolerance ({accepted}), {largest:.2g} of it",
        Verdict.DIFFERENT: f"beyond your own tolerance ({accepted}), {largest:.2g} times",
        Verdict.INCONCLUSIVE: f"your own tolerance ({accepted}) could not be applied to everything",
    }[report.verdict]
    return f"the rounding bound says {by_the_bound}\n{report.verdict.value}: {how}"


def _by_the_bound(report: CheckReport, edges: _Edges, letters: _Letters) -> str:
    headrooms = [one.headroom for one in report.comparisons]
    headrooms += [one.headroom for one in report.sensitivity]
    largest = max((headroom for headroom in headrooms if headroom is not None), default=0.0)
    proved = bool(report.proofs) and all(one.proof.equal for one in report.proofs)
    if report.by_the_bound is Verdict.EQUIVALENT:
        gates = any(one.quantity != "hidden" for one in report.comparisons)
        what = "hidden states and gates agree" if gates else "hidden states agree"
        files = "the files are one function; " if proved else ""
        return f"EQUIVALENT: {files}{what}, within {_times(largest)}"
    if report.by_the_bound is Verdict.INCONCLUSIVE:
        return "INCONCLUSIVE: not everything could be run and judged"
    wrong = [key for key, found in edges.items() if any(one.verdict is Verdict.DIFFERENT for one in found)]
    wrong += [
        (one.edge, one.left, one.right) for one in report.sensitivity if one.verdict is Verdict.DIFFERENT
    ]
    if not wrong:
        return "DIFFERENT: these GRUs are not of one shape"
    return f"DIFFERENT: {_blame(wrong[0], letters)}; {_extent(report, largest)}"


def _blame(key: _EdgeKey, letters: _Letters) -> str:
    edge, left, right = key
    if left.backend == RECORDED:
        return f"{_side(left, letters)} is no run of {_side(right, letters)}"
    return {
        "read": f"{_side(left, letters)} is not what was read from the file",
        "write": f"{_side(right, letters)} is not the function of {letters[left.artifact]}",
        "end-to-end": f"{letters[right.artifact]} is not the function of {letters[left.artifact]}",
    }[edge]


def _extent(report: CheckReport, largest: float) -> str:
    """By how much, and how sure that is."""
    if largest <= 1:
        return "by a single weight, which only the designed steps show"
    certainties = [one.certainty for one in report.comparisons if one.certainty is not None]
    chance = (
        ""
        if not certainties or max(certainties) > 1
        else " (honest rounding comes that far once in a billion checks)"
    )
    return f"up to {_times(largest)}{chance}"
