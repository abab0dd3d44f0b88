"""Names of files for the stacks of a model, which may be called anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from grubridge.errors import TargetError

from .opening import shown
from .text import printable

__all__ = ["files_for"]


def files_for(stacks: Sequence[str], folder: Path, suffix: str) -> list[Path]:
    """Return a file in `folder` for each stack, called after it and ending in `suffix`.

    Raises:
        TargetError: when two would have the same.
    """
    found: dict[str, str] = {}
    for stack in stacks:
        name = _file_name(stack) + suffix
        if name in found:
            raise TargetError(
                f"{shown(folder / name)}: it would be the file of two GRUs, {printable(found[name])} and "
                f"{printable(stack)}; convert one at a time, with --stack NAME"
            )
        found[name] = stack
    return [folder / name for name in found]


def _file_name(stack: str) -> str:
    """Return a file name for a stack: letters, digits, '.', '_' and '-' only, never hidden."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in stack)
    return kept.strip("._") or "gru"
