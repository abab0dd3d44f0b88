"""grubridge backends: which runtimes are installed, their versions and devices."""

from __future__ import annotations

from .console import Output, show
from .options import Json


def backends(json: Json = False) -> None:
    """Show which runtimes are installed."""
    from grubridge import backend_table

    Output.as_json = json
    show(backend_table(), json=json)
