"""A traced model as a page, and as a fragment for notebooks: its gates over time, and unit by unit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from grubridge.checker.heatmaps import heatmaps
from grubridge.diagnosis.statistics import DirectionStatistics, OverTime
from grubridge.files.text import listed, printable
from grubridge.traces import Place
from grubridge.tracing import TracedModel

from .curves import Curve, gate_panel
from .maps import MapFigure, map_data, map_figures
from .numbers import figure, ratio
from .page import fragment, page

__all__ = ["render_trace", "trace_fragment"]

_SOURCES = {
    "observed": "observed in the run itself",
    "replayed": "replayed by the runtime's own operators, from its own states",
    "reference": "those of the float64 equations",
}
_PLACES = 8
"""Layers and directions whose curves are drawn."""


@dataclass(frozen=True)
class GateRow:
    """One quantity in the table."""

    symbol: str
    name: str
    mean: str
    low: str
    high: str
    open: str
    closed: str


@dataclass(frozen=True)
class TracedPlace:
    """One layer and direction."""

    title: str
    curves: tuple[Curve, ...]
    rows: tuple[GateRow, ...]
    told: tuple[str, ...]


@dataclass(frozen=True)
class TraceView:
    """What the page of a trace shows, in its order."""

    model: str
    stack: str
    facts: tuple[tuple[str, str], ...]
    places: tuple[TracedPlace, ...]
    left_places: int
    maps: tuple[MapFigure, ...]
    left_maps: int
    notes: tuple[tuple[str, str], ...]

    @property
    def data(self) -> dict[str, object]:
        """What the script needs."""
        return {"curves": {}, "maps": map_data(self.maps)}


def render_trace(traced: TracedModel) -> str:
    """Return a traced model as one HTML page that loads nothing, below 400 kB.

    Raises:
        MissingDependencyError: when Jinja2 is not installed.
    """
    title = f"Gates of {printable(PurePath(traced.model).name)}"
    return page(
        "trace", title, view=_view(traced, map_figures(heatmaps([traced.trace], traced.probe), ("value",)))
    )


def trace_fragment(traced: TracedModel) -> str:
    """Return the curves and the statistics of a traced model, without a script.

    Raises:
        MissingDependencyError: when Jinja2 is not installed.
    """
    return fragment("trace_fragment", view=_view(traced, ()))


def _view(traced: TracedModel, maps: tuple[MapFigure, ...]) -> TraceView:
    run, probe = traced.trace, traced.probe
    places = list(run.places)
    lengths = f"{probe.steps}" if probe.lengths is None else f"{probe.lengths.min()} to {probe.lengths.max()}"
    told = [
        ("run", ", ".join(filter(None, (run.version, run.device, run.kernel, run.precision or run.dtype)))),
        ("inputs", probe.origin),
        *(("note", note) for note in run.notes),
    ]
    units = sorted({made.hidden.shape[2] for made in run.places.values()})
    facts = (
        ("sequences", str(probe.batch)),
        ("steps", lengths),
        (
            "hidden units",
            ", ".join(map(str, units)) if traced.unit is None else f"{traced.unit} of {units[0]}",
        ),
        ("layers and directions", str(len(places))),
    )
    drawn = tuple(_place(traced, place) for place in places[:_PLACES])
    return TraceView(
        traced.model,
        traced.stack,
        facts,
        drawn,
        max(0, len(places) - _PLACES),
        maps,
        len(places) - len(maps),
        tuple(told),
    )


def _place(traced: TracedModel, place: Place) -> TracedPlace:
    made, seen = traced[place], traced.statistics(place)
    one = traced.unit is not None
    rows = (
        _row("z", "update gate", seen.update, gate=True),
        _row("r", "reset gate", seen.reset, gate=True),
        _row("n", "candidate", seen.candidate, gate=False),
        _row("h", "hidden state", seen.hidden, gate=False),
    )
    told = [
        "gates are not shown by this runtime"
        if made.gates is None
        else f"gates: {_SOURCES[made.gate_source]}"
    ]
    told += _told(traced, place, seen)
    return TracedPlace(
        f"Layer {place[0]} {place[1]}",
        gate_panel(seen, one_unit=one),
        tuple(row for row in rows if row is not None),
        tuple(told),
    )


def _row(symbol: str, name: str, seen: OverTime | None, *, gate: bool) -> GateRow | None:
    if seen is None:
        return None
    shares = (f"{seen.above:.1%}", f"{seen.below:.1%}") if gate else ("", "")
    return GateRow(symbol, name, figure(seen.mean), figure(seen.low), figure(seen.high), *shares)


def _told(traced: TracedModel, place: Place, seen: DirectionStatistics) -> list[str]:
    told = []
    if seen.memory is not None:
        memory = seen.memory
        told.append(
            f"memory 1/(1-z): {figure(memory.median)} steps (median unit; {figure(memory.shortest)} to "
            f"{figure(memory.longest)})"
        )
    dead = seen.dead_units
    told.append(f"{len(dead)} dead units: {listed(list(map(str, dead)))}" if dead else "no dead units")
    proof = traced.recomposition(place)
    if proof is not None:
        told.append(
            f"z*h + (1-z)*n gives the next h back to {figure(proof.max_abs, 2)}, {ratio(proof.headroom)}"
        )
    return told
