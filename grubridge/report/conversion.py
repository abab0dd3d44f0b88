"""A conversion: what was done to each tensor, and whether it is exact."""

from __future__ import annotations

from typing import Any

from grubridge.conversion import Conversion
from grubridge.files.opening import shown
from grubridge.files.text import printable
from grubridge.spec import TensorRecord

__all__ = ["render", "to_json"]


def render(conversion: Conversion) -> str:
    """Return the text of a conversion: one line, one row per tensor, the notes."""
    rows = [("tensor", "shape", "what was done", "exact")]
    rows += ((printable(r.tensor), _shape(r), ", ".join(r.actions), _exact(r)) for r in conversion.records)
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        (
            f"{shown(conversion.source)} ({conversion.source_format}, {printable(conversion.stack)}) -> "
            f"{shown(conversion.target)} ({conversion.target_format})"
        )
    ]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  " + "  ".join([*cells, row[3]]).rstrip())
    lines += (f"note: {note}" for note in conversion.notes)
    verdict = "bit for bit" if conversion.exact else "with the rounding shown above"
    lines.append(f"read back and compared: the file holds the source's numbers {verdict}")
    return "\n".join(lines) + "\n"


def to_json(conversion: Conversion) -> dict[str, Any]:
    """Return a conversion as JSON values."""
    return {
        "source": {
            "path": str(conversion.source),
            "format": conversion.source_format,
            "stack": conversion.stack,
            "sha256": conversion.source_sha256,
        },
        "target": {"path": str(conversion.target), "format": conversion.target_format},
        "exact": conversion.exact,
        "tensors": [
            {
                "tensor": record.tensor,
                "shape": list(record.shape),
                "made_of": list(record.made_of),
                "actions": list(record.actions),
                "exact": record.exact,
                "largest_change": record.largest_change,
            }
            for record in conversion.records
        ],
        "notes": list(conversion.notes),
    }


def _shape(record: TensorRecord) -> str:
    return "[" + ", ".join(map(str, record.shape)) + "]"


def _exact(record: TensorRecord) -> str:
    return "yes" if record.exact else f"rounded, by {record.largest_change:.1e} at most"
