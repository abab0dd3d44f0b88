"""What a check found, put together as its report."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import numpy as np

from grubridge.checker.findings import Cause, Tolerance
from grubridge.checker.outcome import Outcome
from grubridge.checker.pictures import Pictures, weight_layout
from grubridge.checker.plan import Subject
from grubridge.checker.result import CheckedProbe, CheckReport
from grubridge.checker.structure import outputs, shapes
from grubridge.checker.verdict import Verdict, combined
from grubridge.traces import Probe
from grubridge.version import __version__

__all__ = ["plain_causes", "report"]


def plain_causes(group: Sequence[Subject]) -> list[Cause]:
    """Return why the GRUs of a group are not one function, whatever their numbers: shapes and outputs."""
    first = group[0]
    found: list[Cause] = []
    for other in group[1:]:
        sides = first.label, other.label
        for what, compared in (("structure", shapes), ("output", outputs)):
            cause = compared(first.spec, other.spec, sides)
            if cause is not None:
                found.append(Cause(what, cause))
                break
    return found


def report(  # noqa: PLR0913 - the parts of a report
    groups: Sequence[Sequence[Subject]],
    outcomes: Sequence[Outcome],
    probe: Probe | None,
    *,
    tolerance: Tolerance | None = None,
    recorded: Outcome | None = None,
    known: Verdict | None = None,
    options: tuple[str, ...] = (),
    keep_pictures: bool = False,
) -> CheckReport:
    """Return the report of a check.

    Args:
        groups: what was checked; the GRUs of each group are to be one function.
        outcomes: of what was run.
        probe: the inputs; None when nothing was run.
        tolerance: the user's own.
        recorded: of a recorded run, which no tolerance decides: it was not run on the probe.
        known: the verdict where nothing had to be run to know it; it then decides.
        options: of the command line, that say how the files were read and paired.
        keep_pictures: whether to keep what a page shows beyond the report.
    """
    held = [] if recorded is None else [recorded]
    by_the_bound = by_tolerance = known
    if by_the_bound is None or by_tolerance is None:
        by_the_bound = combined(one.by_the_bound for one in (*held, *outcomes))
        by_tolerance = combined([*(one.by_the_bound for one in held), *(o.by_tolerance for o in outcomes)])
    outcomes = [*held, *outcomes]
    return CheckReport(
        verdict=by_the_bound if tolerance is None else by_tolerance,
        by_the_bound=by_the_bound,
        artifacts=tuple(subject.about for group in groups for subject in group),
        runs=tuple(run for outcome in outcomes for run in outcome.runs),
        proofs=tuple(one for outcome in outcomes for one in outcome.proofs),
        sensitivity=tuple(one for outcome in outcomes for one in outcome.sensitivity),
        comparisons=tuple(one for outcome in outcomes for one in outcome.comparisons),
        diagnosis=tuple(dict.fromkeys(cause for outcome in outcomes for cause in outcome.diagnosis)),
        drift=tuple(one for outcome in outcomes for one in outcome.drift),
        lyapunov_exponent=max(
            (one.lyapunov_exponent for one in outcomes if one.lyapunov_exponent is not None), default=None
        ),
        tolerance=tolerance,
        tolerated=tuple(one for outcome in outcomes for one in outcome.tolerated),
        probe=None if probe is None else _checked(probe, groups[0][0]),
        environment={
            "grubridge": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": f"{platform.system()} {platform.machine()}".lower(),
        },
        left_out=dict(entry for outcome in outcomes for entry in outcome.left_out),
        options=options,
        pictures=_pictures(groups, outcomes) if keep_pictures else None,
    )


def _pictures(groups: Sequence[Sequence[Subject]], outcomes: Sequence[Outcome]) -> Pictures:
    worst_first = sorted(outcomes, key=lambda outcome: outcome.by_the_bound is not Verdict.DIFFERENT)
    return Pictures(
        layouts=tuple(weight_layout(subject) for group in groups for subject in group),
        tried=tuple(one for outcome in outcomes for one in outcome.tried),
        apart=next((outcome.apart for outcome in worst_first if outcome.apart is not None), None),
    )


def _checked(probe: Probe, first: Subject) -> CheckedProbe:
    learned = any(direction.initial_state is not None for _, _, direction in first.spec.directions())
    lengths = None if probe.lengths is None else tuple(int(length) for length in probe.lengths)
    start = "given" if probe.initial_state else "learned" if learned else "zero"
    return CheckedProbe(probe.origin, probe.batch, probe.steps, lengths, start)  # type: ignore[arg-type]
