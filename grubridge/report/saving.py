"""A report as a file."""

from __future__ import annotations

import os
from pathlib import Path

from grubridge.files.staging import replace_file

__all__ = ["save_report"]


def save_report(text: str, path: Path | str) -> None:
    """Write a report to a file, which is the old one or the new one at any time; a link to it stays a link.

    Args:
        text: what `render` returned.
        path: the file.

    Raises:
        TargetError: when it cannot be written; nothing has changed then.
    """
    replace_file(Path(os.path.realpath(path)), text.encode())
