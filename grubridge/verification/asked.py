"""What the command line has to be told to read and pair the files of a check as the check did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grubridge.formats.base import ReadHints

__all__ = ["options_of_files"]


def options_of_files(
    hints: ReadHints, stack: str | None, mapping: Mapping[str, str], example: Path | str | None
) -> tuple[str, ...]:
    """Return the options of `grubridge verify` that say the same as these arguments of `verify`."""
    values = {
        "--stack": stack,
        "--activation": hints.activation,
        "--recurrent-activation": hints.recurrent_activation,
        "--layout": hints.layout,
        "--example": None if example is None else str(example),
    }
    options = [f"{option}={value}" for option, value in values.items() if value is not None]
    options += [f"--map={one}={other}" for one, other in mapping.items()]
    if hints.reset_after is not None:
        options.append("--reset-after" if hints.reset_after else "--reset-before")
    return (*options, *(["--skip-unsafe"] if hints.skip_unsafe else []))
