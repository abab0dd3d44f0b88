"""A single check in the forms of a suite: it is written as a suite of one pair."""

from __future__ import annotations

from grubridge.checker.result import CheckReport
from grubridge.suite.judged import judged
from grubridge.suite.result import PairResult, SuiteReport

__all__ = ["as_suite", "github", "junit", "markdown"]


def as_suite(report: CheckReport) -> SuiteReport:
    """Return the suite whose one pair this check is; the pair is called by its files."""
    pair = PairResult(
        name=" = ".join(one.label for one in report.artifacts),
        artifacts=tuple(dict.fromkeys(one.path for one in report.artifacts)),
        seconds=sum(run.seconds for run in report.runs),
        **judged(report),
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
