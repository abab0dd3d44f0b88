"""A suite of checks: as text, JSON values, JUnit XML, Markdown, and annotations of a job on GitHub."""

from grubridge.suite.result import SuiteReport

from .github import github
from .junit import junit
from .markdown import markdown
from .text import render
from .values import to_json

__all__ = ["github", "html", "junit", "markdown", "render", "to_json"]


def html(report: SuiteReport) -> str:
    """Return the page of a suite."""
    from grubridge.report.html import render_suite  # Jinja2 is an extra

    return render_suite(report)
