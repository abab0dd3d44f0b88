"""A traced model: a sparkline of every gate, and what people quote of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from grubridge.diagnosis.statistics import CLOSED, DEAD, OPEN, DirectionStatistics, Memory, OverTime
from grubridge.files.text import printable
from grubridge.reference.tapped import Recomposition
from grubridge.spec import Direction
from grubridge.traces import GateSource
from grubridge.tracing import TracedModel

from .wrapping import wrapped

__all__ = ["html", "render", "to_json"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_COLUMNS = 24  # of a sparkline
_FLAT = 0.02  # a curve that moves by a smaller share of its size than this is not stretched to full height
_MOST_NAMED = 12

_LEGEND = (
    "A curve runs from the number on its left to the one on its right. Memory is 1/(1-z), z being a unit's "
    f"mean over the run. A dead unit's h is constant or smaller than {DEAD:g}."
)
_SOURCES: dict[GateSource, str] = {
    "observed": "observed in the run itself",
    "replayed": "replayed by the runtime's own operators, from its own states",
    "reference": "those of the float64 equations",
}


def to_json(traced: TracedModel) -> dict[str, Any]:
    """Return the statistics as JSON values, without the curves; a number that is not finite is null."""
    probe, run = traced.probe, traced.trace.about()
    del run["gate_sources"]
    return {
        "model": traced.model,
        "stack": traced.stack,
        "inputs": {
            "origin": probe.origin,
            "batch": probe.batch,
            "steps": probe.steps,
            "lengths": None if probe.lengths is None else probe.lengths.tolist(),
        },
        "run": run,
        "unit": traced.unit,
        "layers": [_place_json(traced, *place) for place in traced.trace.places],
    }


def html(traced: TracedModel) -> str:
    """Return the page of a trace."""
    from grubridge.report.html import render_trace  # Jinja2 is an extra

    return render_trace(traced)


def _place_json(traced: TracedModel, layer: int, direction: Direction) -> dict[str, Any]:
    made, seen = traced[layer, direction], traced.statistics((layer, direction))
    proof = traced.recomposition((layer, direction))
    return {
        "layer": layer,
        "direction": direction,
        "units": made.hidden.shape[2],
        "gate_source": None if made.gates is None else made.gate_source,
        "recomposition": proof and {"max_abs": proof.max_abs, "of_bound": proof.headroom},
        "update": _gate_json(seen.update),
        "reset": _gate_json(seen.reset),
        "candidate": _range_json(seen.candidate),
        "hidden": _range_json(seen.hidden),
        "memory": None if seen.memory is None else vars(seen.memory),
        "dead_units": list(seen.dead_units),
    }


def _range_json(seen: OverTime | None) -> dict[str, float] | None:
    return None if seen is None else {"mean": seen.mean, "low": seen.low, "high": seen.high}


def _gate_json(seen: OverTime | None) -> dict[str, float] | None:
    values = _range_json(seen)
    return values if values is None or seen is None else {**values, "above": seen.above, "below": seen.below}


def render(traced: TracedModel) -> str:
    """Return the text: one block per layer and direction, 60 columns wide."""
    probe, run = traced.probe, traced.trace
    lengths = (
        f"{probe.steps} steps"
        if probe.lengths is None
        else f"{probe.lengths.min()} to {probe.lengths.max()} steps"
    )
    how = (run.version, run.device, run.precision or run.dtype, run.kernel)
    sequences = f"{probe.batch} sequence{'s' * (probe.batch != 1)}"
    lines = [
        *wrapped(f"{traced.model}, {printable(traced.stack)}"),
        *wrapped("run: " + ", ".join(filter(None, how))),
        *wrapped(f"inputs: {printable(probe.origin)}; {sequences} of {lengths}"),
    ]
    sources = {made.gate_source if made.gates is not None else None for made in run.places.values()}
    if len(sources) == 1:
        lines += wrapped(f"gates: {_source(next(iter(sources)))}")
    lines += (line for note in run.notes for line in wrapped(f"note: {printable(note, 500)}"))
    for layer, direction in run.places:
        made, seen = traced[layer, direction], traced.statistics((layer, direction))
        size = made.hidden.shape[2]
        units = f"{size} unit{'s' * (size != 1)}" if traced.unit is None else f"unit {traced.unit} of {size}"
        lines += ["", f"layer {layer} {direction}, {units}"]
        if len(sources) > 1:
            lines += wrapped(f"gates: {_source(made.gate_source if made.gates is not None else None)}", "  ")
        lines += _place(traced, seen, traced.recomposition((layer, direction)))
    return "\n".join([*lines, "", *wrapped(_LEGEND)]) + "\n"


def _source(source: GateSource | None) -> str:
    return "not shown by this runtime" if source is None else _SOURCES[source]


def _place(traced: TracedModel, seen: DirectionStatistics, proof: Recomposition | None) -> Iterator[str]:
    """Yield the lines of one layer and direction."""
    one = traced.unit is not None
    per_column = len(seen.hidden.curve) / _COLUMNS
    what = "mean in each step" if per_column <= 1 else f"mean, {per_column:.3g} steps a column"
    shares = "" if seen.update is None else f"{f'>{OPEN:g}':>8}{f'<{CLOSED:g}':>8}"
    yield f"  {what:<42}{shares}".rstrip()
    for name, gate in (("z", seen.update), ("r", seen.reset)):
        if gate is not None:
            yield f"{_curve(name, gate)}{_percent(gate.above):>8}{_percent(gate.below):>8}"
    for name, state in (("n", seen.candidate), ("h", seen.hidden)):
        if state is not None:
            curve = _curve(name if one else f"|{name}|", state)
            yield f"{curve} {f'{_number(state.low)} to {_number(state.high)}':>15}"
    if seen.memory is not None:
        yield f"  memory: {_memory(seen.memory, one=one)}"
    if one:
        yield "  dead" if seen.dead_units else "  not dead"
    else:
        yield from wrapped(_dead(seen.dead_units), "  ")
    if proof is not None:
        yield from wrapped(_proof(proof), "  ")


def _curve(name: str, seen: OverTime) -> str:
    """Return a curve between its lowest and highest mean of a column, which are its scale."""
    columns = np.array_split(seen.curve, min(len(seen.curve), _COLUMNS))
    means = [float(column.mean()) for column in columns]
    low, high = min(means), max(means)
    blocks = _sparkline(means, low, high)
    return f"  {name:<4}{_number(low):>6} {blocks:<{_COLUMNS}} {_number(high):<6}"


def _sparkline(means: Sequence[float], low: float, high: float) -> str:
    if not all(map(math.isfinite, means)):
        return "?" * len(means)
    span = max(high - low, _FLAT * max(abs(low), abs(high))) or 1.0
    bottom = (low + high - span) / 2
    levels = len(_BLOCKS)
    return "".join(_BLOCKS[min(int((mean - bottom) / span * levels), levels - 1)] for mean in means)


def _number(value: float) -> str:
    if value == 0 or 0.005 <= abs(value) < 100 or not math.isfinite(value):
        return f"{value:.2f}"
    return f"{value:.0e}"


def _percent(share: float) -> str:
    """A share of which there is any, or of which any is missing, is not rounded to 0% or 100%."""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def _memory(memory: Memory, *, one: bool) -> str:
    median = _steps(memory.median)
    median = median if median == "endless" else f"{median} steps"
    return median if one else f"{median} (median unit; {_steps(memory.shortest)} to {_steps(memory.longest)})"


def _steps(length: float) -> str:
    if math.isinf(length):
        return "endless"
    return f"{length:.1f}" if length < 1000 else f"{length:,.0f}"


def _dead(units: Sequence[int]) -> str:
    if not units:
        return "no dead units"
    rest = len(units) - _MOST_NAMED
    named = ", ".join(map(str, units[:_MOST_NAMED])) + (f" and {rest} more" if rest > 0 else "")
    return f"{len(units)} dead unit{'s' * (len(units) != 1)}: {named}"


def _proof(proof: Recomposition) -> str:
    said = "z*h + (1-z)*n gives the next h back"
    if math.isinf(proof.headroom):
        return f"{said}: cannot be told, states are NaN or infinite"
    if proof.max_abs == 0:
        return f"{said} exactly"
    said = f"{said} to {proof.max_abs:.1e}, {proof.headroom:.2g} of what rounding allows"
    return said if proof.headroom <= 1 else f"{said}: these are not the gates of this run"
