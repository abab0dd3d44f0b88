"""grubridge doctor: what a bug report should say, and what is broken."""

from __future__ import annotations

from typing import Annotated

import typer

from .console import Output, show
from .options import Json

_BROKEN = 3  # as a check ends in which a runtime failed: nothing is known to be different


def doctor(
    json: Json = False,
    no_devices: Annotated[
        bool, typer.Option("--no-devices", help="Versions only: start and import nothing.")
    ] = False,
) -> int:
    """Show versions, devices and what is broken, for a bug report.

    Exit code 3 when something is broken.
    """
    from grubridge import examine

    Output.as_json = json
    examination = examine(start=not no_devices)
    show(examination, json=json)
    return _BROKEN if examination.problems else 0
