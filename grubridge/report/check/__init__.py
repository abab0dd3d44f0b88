"""A check: as text whose last line is the verdict, as JSON values, and in the forms of a suite."""

from grubridge.checker.result import CheckReport

from .alone import github, junit, markdown
from .text import render
from .values import to_json

__all__ = ["github", "html", "junit", "markdown", "render", "to_json"]


def html(report: CheckReport) -> str:
    """Return the page of a check."""
    from grubridge.report.html import render_check  # Jinja2 is an extra

    return render_check(report)
