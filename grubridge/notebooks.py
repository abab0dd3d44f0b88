"""How results show themselves in notebooks.

What is shown is made by `report`, which is above the results: it is imported by name when a notebook asks.
"""

from __future__ import annotations

from importlib import import_module

from .errors import MissingDependencyError

__all__ = ["html"]


def html(result: object, maker: str) -> str | None:
    """Return what a function of `report.html` makes of a result; None, for plain text, without Jinja2."""
    try:
        made: str = getattr(import_module("grubridge.report.html"), maker)(result)
    except MissingDependencyError:
        return None
    return made
