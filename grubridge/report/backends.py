"""The table of runtimes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from grubridge.backends.table import BackendTable

from .wrapping import in_columns

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
    lines = in_columns(cells)
    lines += [row.problem for row in table.rows if row.problem]
    lines.append("The float64 equations need nothing and judge every run.")
    return "\n".join(lines) + "\n"
