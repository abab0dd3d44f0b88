"""A single check in the forms of a suite: it is written as a suite of one pair."""

from __future__ import annotations

import re

from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.suite.result import PairResult, PairStatus, SuiteReport

__all__ = ["as_suite", "github", "junit", "markdown"]

_STATUSES: dict[Verdict, PairStatus] = {
    Verdict.EQUIVALENT: "equivalent",
    Verdict.DIFFERENT: "different",
    Verdict.INCONCLUSIVE: "inconclusive",
}


def as_suite(report: CheckReport) -> SuiteReport:
    """Return the suite whose one pair this check is; the pair is called by its files."""
    parts = [one.headroom for one in report.comparisons] + [one.headroom for one in report.sensitivity]
    causes = [f"{one.cause}: {one.detail}" for one in report.diagnosis]
    pair = PairResult(
        name=" = ".join(one.label for one in report.artifacts),
        artifacts=tuple(dict.fromkeys(one.path for one in report.artifacts)),
        status=_STATUSES[report.verdict],
        report=report,
        seconds=sum(run.seconds for run in report.runs),
        headroom=max((headroom for headroom in parts if headroom is not None), default=None),
        cause=re.split(r"\. |\n", causes[0])[0] if causes else None,
    )
    return SuiteReport("", (pair,), report.environment)


def junit(report: CheckReport) -> str:
    """Return the check as JUnit XML."""
    from grubridge.report.suite.junit import junit as of_suite

    return of_suite(as_suite(report))


def markdown(report: CheckReport) -> str:
    """Return the check as Markdown."""
    from grubridge.report.suite.markdown import markdown as of_suite

    return of_suite(as_suite(report))


def github(report: CheckReport) -> str:
    """Return the check as workflow commands."""
    from grubridge.report.suite.github import github as of_suite

    return of_suite(as_suite(report))
