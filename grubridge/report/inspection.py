"""An inspection."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from grubridge.files.text import printable
from grubridge.inspection import Inspection, LayerSummary, StackSummary

__all__ = ["render", "to_json"]


def to_json(inspection: Inspection) -> dict[str, Any]:
    """Return an inspection as JSON values."""
    return asdict(inspection)


def render(inspection: Inspection) -> str:
    """Return the text of an inspection: one block per stack, targets at its end."""
    wrote = f", written by {printable(inspection.framework)}" if inspection.framework else ""
    count = len(inspection.stacks)
    lines = [f"{printable(inspection.path)}: {inspection.format}{wrote}, {count} GRU{'s' * (count != 1)}"]
    for stack in inspection.stacks:
        lines += ["", *_stack(stack)]
    if inspection.others:
        lines += ["", "also in it, not converted: " + ", ".join(printable(o) for o in inspection.others)]
    return "\n".join(lines) + "\n"


def _stack(stack: StackSummary) -> list[str]:
    lines = [f"{printable(stack.name)}  ({stack.dtype}, {stack.parameters:,} numbers)"]
    if stack.members:
        lines.append("  a chain of " + ", ".join(printable(member) for member in stack.members))
    lines += (f"  layer {index}: {_layer(layer)}" for index, layer in enumerate(stack.layers))
    lines += (f"  note: {note}" for note in stack.notes)
    fits = [target for target, reasons in stack.targets.items() if not reasons]
    lines.append("  can be written as: " + (", ".join(fits) or "nothing; see below"))
    for target, reasons in stack.targets.items():
        lines += (f"  not as {target}: {reason}" for reason in reasons)
    return lines


def _layer(layer: LayerSummary) -> str:
    parts = [
        f"{layer.input_size} -> {layer.hidden_size}",
        " and ".join(layer.directions),
        f"reset {'after' if layer.reset_after else 'before'} the product",
        f"gates {layer.gate_activation}",
        f"candidate {layer.candidate_activation}",
        f"bias {layer.bias}",
    ]
    if layer.clip is not None:
        parts.append(f"clip {layer.clip:g}")
    if layer.initial_state:
        parts.append("learned initial state")
    return ", ".join(parts)
