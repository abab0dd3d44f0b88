"""An inspection."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from grubridge.files.text import printable
from grubridge.inspection import Inspection, LayerSummary, StackSummary

from .wrapping import wrapped

__all__ = ["render", "to_json"]

_LONGEST = 500


def to_json(inspection: Inspection) -> dict[str, Any]:
    """Return an inspection as JSON values."""
    return asdict(inspection)


def render(inspection: Inspection) -> str:
    """Return the text of an inspection: one block per stack; what holds for many is said once, at the end."""
    wrote = f", written by {printable(inspection.framework)}" if inspection.framework else ""
    count = len(inspection.stacks)
    lines = [f"{printable(inspection.path)}: {inspection.format}{wrote}, {count} GRU{'s' * (count != 1)}"]
    held_by: dict[str, list[str]] = {}
    for stack in inspection.stacks:
        for remark in _remarks(stack):
            held_by.setdefault(remark, []).append(printable(stack.name))
    of_many = {
        remark: names for remark, names in held_by.items() if len(names) > 2 or len(names) == count > 1
    }
    for stack in inspection.stacks:
        lines += ["", *_stack(stack)]
        for remark in _remarks(stack):
            if remark not in of_many:
                lines += wrapped(remark, "  ")
    for names in dict.fromkeys(map(tuple, of_many.values())):
        lines += ["", *wrapped("all of them:" if len(names) == count else f"{', '.join(names)}:")]
        for remark, holders in of_many.items():
            if tuple(holders) == names:
                lines += wrapped(remark, "  ")
    if inspection.others:
        lines += ["", "also in it, not converted:"]
        lines += (line for other in inspection.others for line in wrapped(printable(other, _LONGEST), "  "))
    return "\n".join(lines) + "\n"


def _stack(stack: StackSummary) -> list[str]:
    lines = [f"{printable(stack.name)}  ({stack.dtype}, {stack.parameters:,} numbers)"]
    if stack.members:
        lines += wrapped("a chain of " + ", ".join(map(printable, stack.members)), "  ")
    for index, layer in enumerate(stack.layers):
        lines += wrapped(f"layer {index}: {_layer(layer)}", "  ")
    return lines


def _remarks(stack: StackSummary) -> list[str]:
    """What was assumed, which formats can hold the stack, and why the others cannot: alike ones at once."""
    fits = [target for target, reasons in stack.targets.items() if not reasons]
    remarks = [f"note: {note}" for note in stack.notes]
    remarks.append("can be written as: " + (", ".join(fits) or "nothing; see below"))
    cannot: dict[tuple[str, ...], list[str]] = {}
    for target, reasons in stack.targets.items():
        if reasons:
            cannot.setdefault(tuple(reason.replace(target, "the target") for reason in reasons), []).append(
                target
            )
    for reasons, targets in cannot.items():
        told = stack.targets[targets[0]] if len(targets) == 1 else reasons
        remarks += (f"not as {', '.join(targets)}: {reason}" for reason in told)
    return remarks


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
