"""grubridge formats: what can be read and written, and what each format can hold."""

from __future__ import annotations

from .console import Output, show
from .options import Json


def formats(json: Json = False) -> None:
    """Show what can be read and written."""
    from grubridge import format_table

    Output.as_json = json
    show(format_table(), json=json)
