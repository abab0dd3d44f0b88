"""The table of runtimes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from grubridge.backends.table import BackendTable

__all__ = ["render", "to_json"]


def to_json(table: BackendTable) -> dict[str, Any]:
    """Return the table as JSON values."""
    return {"backends": [asdict(row) for row in table.rows]}


def render(table: BackendTable) -> str:
    """Return the table as text, one line per runtime, and what to do about those that cannot run."""
    cells = [
        (row.name, row.version or "not installed", " ".join(row.devices) or "-", " ".join(row.formats))
        for row in table.rows
    ]
    cells.insert(0, ("runtime", "version", "devices", "opens itself"))
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in cells
    ]
    lines += [row.problem for row in table.rows if row.problem]
    lines.append("The float64 equations need nothing and judge every run.")
    return "\n".join(lines) + "\n"
