"""Sentences and names that every form of a check's report shares."""

from __future__ import annotations

import math
from collections.abc import Sequence

from grubridge.checker.findings import RECORDED, Comparison, Edge, Side
from grubridge.checker.result import CheckedProbe, CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.files.text import printable
from grubridge.reference.rounding import Quantity

__all__ = [
    "BOUND",
    "ENSEMBLE",
    "NAMES",
    "PADDING",
    "EdgeKey",
    "Edges",
    "Letters",
    "by_edge",
    "certainty",
    "drift",
    "inputs",
    "letters_of",
    "place",
    "side_named",
    "times",
    "verdict",
]

NAMES: dict[Quantity, str] = {
    "hidden": "hidden state",
    "update": "update gate",
    "reset": "reset gate",
    "candidate": "candidate",
}
BOUND = (
    "The bound is what rounding can do in one step from the run's own last state; one honest check in a "
    "billion exceeds it."
)
ENSEMBLE = (
    "Where a run is judged from end to end, the bound is what rounding can do in all its steps together, as "
    "the spread of perturbed runs shows it; one honest check in a billion exceeds it."
)
PADDING = (
    "past a sequence's end PyTorch and ONNX Runtime give zeros, Keras repeats the last state: not compared"
)

EdgeKey = tuple[Edge, Side, Side]
Edges = dict[EdgeKey, list[Comparison]]
Letters = dict[str, str]
"""What the text calls each artifact, by label: A, B, ..."""


def by_edge(comparisons: Sequence[Comparison]) -> Edges:
    """Return the comparisons by edge and sides, in order."""
    found: Edges = {}
    for one in comparisons:
        found.setdefault((one.edge, one.left, one.right), []).append(one)
    return found


def letters_of(report: CheckReport) -> Letters:
    """Return the letters of the artifacts, and of what was written of them to be run."""
    labels = [one.label for one in report.artifacts] + [run.artifact for run in report.runs]
    return {label: _letter(index) for index, label in enumerate(dict.fromkeys(labels))}


def _letter(index: int) -> str:
    """A to Z, then A1 to Z1, ..."""
    return chr(ord("A") + index % 26) + (str(index // 26) if index >= 26 else "")


def inputs(probe: CheckedProbe) -> str:
    """Return what the runs received."""
    steps = (
        f"{probe.steps} steps each"
        if probe.lengths is None
        else f"{', '.join(map(str, probe.lengths))} steps"
    )
    start = {"given": "", "learned": ", the model's own initial state", "zero": ", initial state zero"}
    return f"{printable(probe.origin)}; {probe.batch} sequences, {steps}{start[probe.initial_state]}"


def side_named(side: Side, letters: Letters) -> str:
    """Return what ran, or the equations, by the letter of the file."""
    letter = letters[side.artifact]
    if side.backend is None:
        return f"the equations of {letter}"
    return f"the recorded run {letter}" if side.backend == RECORDED else f"{letter} on {side.backend}"


def times(headroom: float) -> str:
    """Return a ratio of error to bound in words."""
    if headroom <= 1:
        return f"{headroom:.2f} of the bound"
    return "infinitely above the bound" if math.isinf(headroom) else f"{headroom:.2g} times the bound"


def place(found: Sequence[Comparison]) -> tuple[str, str] | None:
    """Return where a difference begins, in the first layer that shows one, and where it is largest."""
    wrong = [one for one in found if one.verdict is Verdict.DIFFERENT]
    if not wrong or wrong[0].worst is None:
        return None
    first, worst = wrong[0], wrong[0].worst
    where = f"layer {first.layer} {first.direction}, {NAMES[first.quantity]}"
    return (
        f"from step {first.first_bad_time} on: {where}",
        f"most at step {worst.time}, sequence {worst.batch}, unit {worst.unit}",
    )


def drift(report: CheckReport, letters: Letters) -> str:
    """Return how far the free runs come apart."""
    most = max(report.drift, key=lambda one: one.max_abs)
    sides = f"{side_named(most.left, letters)} and {side_named(most.right, letters)}"
    apart = f"running free, {sides} come up to {most.max_abs:.1e} apart"
    if most.horizon is not None:
        apart += f", by more than 1e-3 from step {most.horizon} on"
    exponent = report.lyapunov_exponent
    if exponent is None:
        return apart
    what = "grows" if exponent > 0 else "shrinks"
    factor = math.exp(abs(exponent))
    return f"{apart}; a small difference {what} {factor:.2g} times a step (Lyapunov exponent {exponent:+.2f})"


def verdict(report: CheckReport, edges: Edges, letters: Letters) -> str:
    """Return the verdict in a sentence; with a tolerance of the user's own, in two lines."""
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


def _by_the_bound(report: CheckReport, edges: Edges, letters: Letters) -> str:
    if report.by_the_bound is Verdict.INCONCLUSIVE:
        return "INCONCLUSIVE: not everything could be run and judged"
    if report.proofs and not report.runs:
        return _by_the_files(report)
    headrooms = [one.headroom for one in report.comparisons]
    headrooms += [one.headroom for one in report.sensitivity]
    largest = max((headroom for headroom in headrooms if headroom is not None), default=0.0)
    proved = bool(report.proofs) and all(one.proof.equal for one in report.proofs)
    if report.by_the_bound is Verdict.EQUIVALENT:
        gates = any(one.quantity != "hidden" for one in report.comparisons)
        what = "hidden states and gates agree" if gates else "hidden states agree"
        files = "the files are one function; " if proved else ""
        return f"EQUIVALENT: {files}{what}, within {times(largest)}"
    wrong = [key for key, found in edges.items() if any(one.verdict is Verdict.DIFFERENT for one in found)]
    wrong += [
        (one.edge, one.left, one.right) for one in report.sensitivity if one.verdict is Verdict.DIFFERENT
    ]
    if not wrong:
        shapes = any(cause.cause == "structure" for cause in report.diagnosis)
        return f"DIFFERENT: these GRUs {'are not of one shape' if shapes else 'return other outputs'}"
    return f"DIFFERENT: {_blame(wrong[0], letters)}; {_extent(report, largest)}"


def _by_the_files(report: CheckReport) -> str:
    """What the numbers of the files say alone."""
    if report.by_the_bound is Verdict.DIFFERENT:
        return "DIFFERENT: the files do not hold the same numbers; nothing was run"
    rounded = "" if all(one.proof.equal for one in report.proofs) else ", rounded to the dtype of each"
    return f"EQUIVALENT: the files hold the same numbers{rounded}; nothing was run"


def _blame(key: EdgeKey, letters: Letters) -> str:
    edge, left, right = key
    if left.backend == RECORDED:
        return f"{side_named(left, letters)} is no run of {side_named(right, letters)}"
    return {
        "read": f"{side_named(left, letters)} is not what was read from the file",
        "write": f"{side_named(right, letters)} is not the function of {letters[left.artifact]}",
        "end-to-end": f"{letters[right.artifact]} is not the function of {letters[left.artifact]}",
    }[edge]


def _extent(report: CheckReport, largest: float) -> str:
    """By how much, and how sure that is."""
    if largest <= 1:
        return "by a single weight, which only the designed steps show"
    certain = certainty(report)
    chance = (
        "" if certain is None or certain > 1 else " (honest rounding comes that far once in a billion checks)"
    )
    return f"up to {times(largest)}{chance}"


def certainty(report: CheckReport) -> float | None:
    """Return the largest error over the bound that assumes nothing of rounding; None without any."""
    judged = [one.certainty for one in report.comparisons] + [one.certainty for one in report.sensitivity]
    return max((one for one in judged if one is not None), default=None)
