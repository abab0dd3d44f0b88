"""An identification: the layouts that explain a recorded run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grubridge.files.text import listed, printable
from grubridge.identification.result import Fit, Identification
from grubridge.layouts import document
from grubridge.layouts.description import CellLayout, TensorLayout
from grubridge.spec import GATE_NAMES

from .wrapping import wrapped

__all__ = ["render", "to_json"]

_SHOWN = 4  # layouts beside the first

_UPDATE = {
    "keeps": "h' = z * h + (1 - z) * n",
    "takes": "h' = (1 - z) * h + z * n",
    "absent": "h' = n",
}
_RESET = {
    "after": "n = f(W x + b + r * (U h + c))",
    "before": "n = f(W x + b + U (r * h) + c)",
    "absent": "n = f(W x + b + U h + c)",
}


def to_json(found: Identification) -> dict[str, Any]:
    """Return an identification as JSON values."""
    return {
        "path": found.path,
        "format": found.format,
        "example": found.example,
        "outputs": found.outputs,
        "ambiguous": _ambiguous(found),
        "fits": [_fit_to_json(fit) for fit in found.fits],
        "apart": list(found.apart),
        "tried": found.tried,
        "not_tried": list(found.cut),
        "written": found.written,
    }


def _fit_to_json(fit: Fit) -> dict[str, Any]:
    return {
        "layout": document.to_json(fit.layout),
        "shipped": fit.shipped,
        "keys": list(fit.keys),
        "prefix": fit.prefix,
        "headroom": fit.measure.headroom,
        "max_abs": fit.measure.max_abs,
        "left_over": list(fit.left_over),
        "remarks": list(fit.remarks),
        "same_function": fit.same,
        "differs": list(fit.differs),
    }


def _ambiguous(found: Identification) -> bool:
    return not all(fit.same for fit in found.fits)


def render(found: Identification) -> str:
    """Return the text of an identification: the cell, its tensors, how well it fits, what is left open."""
    first = found.fits[0]
    lines = [f"{printable(found.path)}: {_title(first)}"]
    lines += _cell(first)
    measured = first.measure
    lines += wrapped(
        f"{found.outputs} of {printable(found.example)} is off by {measured.max_abs:.2g} at most, "
        f"{measured.headroom:.2g} of what rounding may do",
        "  ",
    )
    for remark in first.remarks:
        lines += wrapped(f"note: {remark}", "  ")
    if first.left_over:
        lines += wrapped(f"no part of it: {listed(first.left_over)}", "  ")
    for fit in found.fits[1 : 1 + _SHOWN]:
        lines += ["", *wrapped(_tie(fit))]
        lines += (line for difference in fit.differs for line in wrapped(difference, "  "))
    if len(found.fits) > 1 + _SHOWN:
        lines += ["", f"and {len(found.fits) - 1 - _SHOWN} more: see --json"]
    for advice in found.apart:
        lines += ["", *wrapped(f"to tell them apart, record {advice}")]
    lines += ["", *wrapped(_said(found))]
    for cut in found.cut:
        lines += wrapped(cut, "  ")
    if found.written is not None:
        lines += wrapped(f"written: {printable(found.written)}")
    return "\n".join([*lines, *_usage(found)]) + "\n"


def _title(fit: Fit) -> str:
    where = "".join(f", in {printable(key)}" for key in fit.keys)
    where += f", behind {printable(fit.prefix)}" if fit.prefix else ""
    return (f"the shipped layout {fit.layout.name}" if fit.shipped else "a layout was found") + where


def _cell(fit: Fit) -> Iterator[str]:
    layout = fit.layout
    if layout.update != "absent":
        yield f"  z = g(W x + b + U h + c)    g: {layout.gate_activation}"
    if layout.reset != "absent":
        yield f"  r = g(W x + b + U h + c)    g: {layout.gate_activation}"
    yield f"  {_RESET[layout.reset]}    f: {layout.candidate_activation}"
    yield f"  {_UPDATE[layout.update]}"
    if layout.output_activation is not None:
        yield f"  output: {layout.output_activation} of h'"
    yield from _tensors(layout)


def _tensors(layout: CellLayout) -> Iterator[str]:
    width = max(len(printable(tensor.name)) for tensor in layout.tensors)
    for tensor in layout.tensors:
        yield f"  {printable(tensor.name).ljust(width)}  {_held(tensor)}"


def _held(tensor: TensorLayout) -> str:
    letters = {"input_weight": "W", "recurrent_weight": "U", "input_bias": "b", "recurrent_bias": "c"}
    parts = "[" + ", ".join(letters[part] for part in tensor.holds) + "]" if len(tensor.holds) > 1 else ""
    parts = parts or letters.get(tensor.holds[0], "h0")
    gates = dict(zip(GATE_NAMES, "zrn", strict=True))
    held = f"{parts} {' '.join(gates[gate] for gate in tensor.gates)}".rstrip()
    if not tensor.is_weight:
        return held
    return f"{held}, {'y = W x' if tensor.rows == 'output' else 'y = x W'}"


def _tie(fit: Fit) -> str:
    name = f"the shipped layout {fit.layout.name}" if fit.shipped else "another layout"
    if fit.same:
        return f"{name} makes the same function of these tensors:"
    return f"{name} fits the run as well ({fit.measure.headroom:.2g} of what rounding may do):"


def _said(found: Identification) -> str:
    others = sum(not fit.same for fit in found.fits)
    tried = f"{found.tried:,} cells were tried" if found.tried else "no others were tried"
    if not others:
        return f"{tried}; no other function fits"
    count = f"{others} other function{'s' * (others > 1)}"
    return f"{tried}; {count} would fit: the plainest of the best was chosen"


def _usage(found: Identification) -> Iterator[str]:
    first = found.fits[0]
    name = first.layout.name if first.shipped else found.written
    if name is None:
        yield "to write its description: --out my_gru.toml"
    else:
        yield f"to use it: --layout {printable(name)}"
