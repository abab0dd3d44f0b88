"""Results kept as JSON lines, so that a long measurement that was cut off goes on where it stood."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["Journal"]


class Journal:
    """A file with one JSON object per line.

    Args:
        path: the file; its folder is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.read_bytes() if path.exists() else b""
        whole = written[: written.rfind(b"\n") + 1]
        if whole != written:  # cut off in the middle of a line
            path.write_bytes(whole)
        self.records: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]

    def add(self, records: Iterable[dict[str, Any]]) -> None:
        """Append records, on disk at once."""
        new = list(records)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in new)
        self.records += new
