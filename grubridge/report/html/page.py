"""A page: one file that loads nothing, and runs no script but its own, which it names by its hash."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grubridge.errors import MissingDependencyError
from grubridge.files.text import printable, printable_lines
from grubridge.version import __version__

from .data import in_script

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["LARGEST", "fragment", "page", "within_limit"]

LARGEST = 400_000
"""Bytes of a page: it is opened at once everywhere, and can be attached to a message."""

_TEMPLATES = Path(__file__).parent / "templates"


def page(template: str, title: str, **content: Any) -> str:  # noqa: ANN401 - what a template takes
    """Return a whole page.

    Args:
        template: its name, without ".html".
        title: of the page.
        content: what the template takes.

    Raises:
        MissingDependencyError: when Jinja2 is not installed.
    """
    style, script = _text("style.css"), _text("script.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return _render(template, title=title, policy=policy, style=style, script=script, **content)


def within_limit(pages: Iterable[str]) -> str:
    """Return the first page that is not too large, else the last; each shows less than the one before."""
    text = ""
    for text in pages:
        if len(text.encode()) <= LARGEST:
            break
    return text


def fragment(template: str, **content: Any) -> str:  # noqa: ANN401 - likewise
    """Return a part of a page, for a notebook: with its style, without any script.

    Raises:
        MissingDependencyError: when Jinja2 is not installed.
    """
    return _render(template, style=_text("style.css"), **content)


def _render(template: str, **content: Any) -> str:  # noqa: ANN401 - likewise
    made = _environment().get_template(f"{template}.html").render(version=__version__, **content)
    return printable_lines(made).replace("##[", "##&#91;")  # a command, in the log of a job on GitHub


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError as error:
        hint = "an HTML page needs Jinja2: pip install 'grubridge[report]'"
        raise MissingDependencyError(hint, "report") from error

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(_TEMPLATES),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(in_script=in_script, printable=printable)
    return environment


@cache
def _text(name: str) -> str:
    """The style or the script; its own text between its tags is what the policy's hash is of."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
