"""The table of formats and layouts."""

from __future__ import annotations

from typing import Any

from grubridge.files.text import printable
from grubridge.formats.table import FormatRow, FormatTable
from grubridge.layouts import document
from grubridge.spec import DTYPES, Activation

from .wrapping import wrapped

__all__ = ["render", "to_json"]


def to_json(table: FormatTable) -> dict[str, Any]:
    """Return the table as JSON values."""
    return {
        "formats": [
            {
                "format": row.name,
                "suffixes": list(row.suffixes),
                "written": row.capabilities.writes,
                "reset_after": sorted(row.capabilities.reset_modes, reverse=True),
                "gate_activations": _names(row.capabilities.gate_activations),
                "candidate_activations": _names(row.capabilities.candidate_activations),
                **_extras(row),
                "dtypes": _dtypes(row),
            }
            for row in table.rows
        ],
        "layouts": [document.to_json(layout) for layout in table.layouts],
        "layout_folder": table.layout_folder,
    }


def render(table: FormatTable) -> str:
    """Return the table as text, one block per format, and the layouts."""
    lines: list[str] = []
    for row in table.rows:
        can = row.capabilities
        if not can.writes:
            lines += [f"{row.name}  ({' '.join(row.suffixes)})", "  only read, by a layout of its cells", ""]
            continue
        modes = " and ".join("after" if mode else "before" for mode in sorted(can.reset_modes, reverse=True))
        extras = {name.replace("_", " "): holds for name, holds in _extras(row).items()}
        lines += [
            f"{row.name}  ({' '.join(row.suffixes)})",
            f"  reset gate: {modes} the product",
            f"  gate activations: {', '.join(_names(can.gate_activations))}",
            f"  candidate activations: {', '.join(_names(can.candidate_activations))}",
            f"  has: {', '.join(name for name, holds in extras.items() if holds) or '-'}",
            f"  has not: {', '.join(name for name, holds in extras.items() if not holds) or '-'}",
            f"  dtypes: {', '.join(_dtypes(row))}",
            "",
        ]
    lines.append("layouts of cells, for --layout and --to-layout:")
    for layout in table.layouts:
        lines += wrapped(f"{layout.name}: {layout.about}", "  ")
    lines.append("  or your own .toml file; these, to copy from, are in")
    return "\n".join([*lines, f"  {printable(table.layout_folder)}"]) + "\n"


def _extras(row: FormatRow) -> dict[str, bool]:
    can = row.capabilities
    return {
        "clip": can.clip,
        "learned_initial_state": can.initial_state,
        "backward_only_layers": can.backward_only,
        "layers_of_different_size": can.mixed_layers,
        "activations_per_direction": can.per_direction_activations,
    }


def _dtypes(row: FormatRow) -> list[str]:
    return [dtype for dtype in DTYPES if dtype in row.capabilities.dtypes]


def _names(activations: frozenset[Activation] | None) -> list[str]:
    return ["all"] if activations is None else sorted(str(activation) for activation in activations)
