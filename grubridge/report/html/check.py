"""A check as a page, and as a fragment for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from grubridge.checker.findings import Comparison
from grubridge.checker.pictures import Apart
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.files.text import printable
from grubridge.reference.rounding import QUANTITIES
from grubridge.report.check.sections import difference, mends, proof, sensed
from grubridge.report.check.words import (
    BOUND,
    ENSEMBLE,
    NAMES,
    PADDING,
    EdgeKey,
    Letters,
    by_edge,
    drift,
    inputs,
    letters_of,
    place,
    side_named,
    verdict,
)

from .curves import SYMBOLS, Panel, error_panel
from .data import Series
from .histogram import Histogram, TriedFigure, histograms, tried_figure
from .maps import MapFigure, map_figures
from .numbers import figure, ratio
from .page import fragment, page
from .weights import LayoutFigure, layout_figure

__all__ = ["check_fragment", "map_data", "render_check", "where"]

_PANELS = 4
"""Layers and directions of which the errors are drawn; the worst ones."""
_DIFFERENCES = 200
_CHANCE = "one honest check in a billion is told DIFFERENT"


@dataclass(frozen=True)
class Row:
    """One comparison in the table."""

    layer: int
    direction: str
    symbol: str
    name: str
    error: str
    ratio: str
    where: str
    verdict: str


@dataclass(frozen=True)
class EdgeTable:
    """The comparisons of one edge."""

    edge: str
    title: str
    verdict: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Artifact:
    """A file, and where it ran."""

    letter: str
    label: str
    format: str
    stack: str
    dtype: str
    sha256: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class CheckView:
    """What the page of a check shows, in its order."""

    verdict: str
    sentence: str
    also: str
    facts: tuple[tuple[str, str], ...]
    artifacts: tuple[Artifact, ...]
    where: tuple[str, ...]
    why: tuple[tuple[str, str], ...]
    mends: tuple[tuple[str, bool], ...]
    sure: tuple[str, ...]
    edge_title: str
    panels: tuple[Panel, ...]
    left_panels: int
    bounds: tuple[str, ...]
    tried: tuple[TriedFigure, ...]
    layouts: tuple[LayoutFigure, ...]
    maps: tuple[MapFigure, ...]
    apart: str
    histograms: tuple[Histogram, ...]
    edges: tuple[EdgeTable, ...]
    proofs: tuple[tuple[str, tuple[str, ...], tuple[str, ...], int], ...]
    notes: tuple[tuple[str, str], ...]

    @property
    def data(self) -> dict[str, object]:
        """What the script needs."""
        return {
            "curves": {
                one.key: {"steps": one.steps, "series": _series(one.series)} for one in self.panels
            },
            "maps": {one.key: map_data(one) for one in self.maps},
        }


def render_check(report: CheckReport) -> str:
    """Return a check as one HTML page that loads nothing, below 400 kB.

    Heatmaps, weight layouts and rival causes are shown where the check kept them (`keep_pictures`).

    Raises:
        MissingDependencyError: when jinja2 is not installed.
    """
    names = " and ".join(PurePath(one.path).name for one in report.artifacts[:2])
    title = f"{report.verdict.value}: {printable(names)}"
    return page("check", title, view=view_of(report))


def check_fragment(report: CheckReport) -> str:
    """Return the verdict, the reasons and the errors over time, without a script.

    Raises:
        MissingDependencyError: when jinja2 is not installed.
    """
    return fragment("check_fragment", view=view_of(report))


def view_of(report: CheckReport) -> CheckView:
    """Return what the page of a check shows."""
    letters, edges = letters_of(report), by_edge(report.comparisons)
    *before, sentence = verdict(report, edges, letters).split("\n")
    telling = _telling(edges)
    comparisons = edges.get(telling, []) if telling is not None else []
    panels, left_out = _panels(comparisons, report)
    pictures = report.pictures
    tried = [] if pictures is None else list(pictures.tried)
    figures = [tried_figure(at, report.diagnosis) for at in tried[:1] or [None]]
    layouts = () if pictures is None else pictures.layouts
    drawn = [layout_figure(one, layouts) for one in report.proofs]
    return CheckView(
        verdict=report.verdict.value,
        sentence=sentence.partition(": ")[2],
        also=" ".join(before),
        facts=tuple(_facts(report)),
        artifacts=tuple(_artifacts(report, letters)),
        where=tuple(where(edges, letters)),
        why=tuple((one.cause, one.detail) for one in report.diagnosis),
        mends=tuple(mends(report)),
        sure=tuple(_sure(report, letters)),
        edge_title="" if telling is None else _edge_title(telling, letters),
        panels=panels,
        left_panels=left_out,
        bounds=tuple(
            text
            for text, free in ((BOUND, False), (ENSEMBLE, True))
            if any((one.followed is not None) == free for one in report.comparisons)
        ),
        tried=tuple(one for one in figures if one is not None),
        layouts=tuple(one for one in drawn if one is not None),
        maps=() if pictures is None or pictures.apart is None else _maps(pictures.apart, letters),
        apart="" if pictures is None or pictures.apart is None else _apart(pictures.apart, letters),
        histograms=histograms(comparisons),
        edges=tuple(_edge_table(key, found, letters) for key, found in edges.items()),
        proofs=tuple(
            (
                proof(one, letters),
                one.proof.remarks,
                tuple(map(difference, one.proof.differences[:_DIFFERENCES])),
                max(0, len(one.proof.differences) - _DIFFERENCES),
            )
            for one in report.proofs
        ),
        notes=tuple(_notes(report, letters)),
    )


def _telling(edges: dict[EdgeKey, list[Comparison]]) -> EdgeKey | None:
    """The edge whose errors are drawn: the first that is different, else the last, which is end to end."""
    wrong = [key for key, found in edges.items() if any(one.verdict is Verdict.DIFFERENT for one in found)]
    drawn = [key for key, found in edges.items() if any(one.profile is not None for one in found)]
    return next((key for key in drawn if key in wrong), drawn[-1] if drawn else None)


def _edge_title(key: EdgeKey, letters: Letters) -> str:
    edge, left, right = key
    return f"{edge}: {side_named(left, letters)} against {side_named(right, letters)}"


def _panels(comparisons: Sequence[Comparison], report: CheckReport) -> tuple[tuple[Panel, ...], int]:
    """The errors of the worst layers and directions, in their order; and how many are left out."""
    steps = 1 if report.probe is None else report.probe.steps
    places = dict.fromkeys((one.layer, one.direction) for one in comparisons)
    worst = sorted(places, key=lambda at: -_largest(one for one in comparisons if (one.layer, one.direction) == at))
    found = []
    for layer, direction in (at for at in places if at in worst[:_PANELS]):
        ones = [one for one in comparisons if (one.layer, one.direction) == (layer, direction)]
        ones.sort(key=lambda one: (*QUANTITIES[1:], "hidden").index(one.quantity))
        found.append(error_panel(f"curves-{layer}-{direction}", f"Layer {layer} {direction}", ones, steps))
    return tuple(panel for panel in found if panel is not None), max(0, len(places) - _PANELS)


def _largest(comparisons: object) -> float:
    return max((one.headroom or 0.0 for one in comparisons), default=0.0)  # type: ignore[attr-defined]


def _facts(report: CheckReport) -> list[tuple[str, str]]:
    judged = [one for one in report.comparisons if one.headroom is not None and one.max_abs is not None]
    facts = []
    if judged:
        ratios = [one.headroom for one in (*judged, *report.sensitivity) if one.headroom is not None]
        facts.append(("error over bound, at most", figure(max(ratios), 2)))
        facts.append(("largest error of a step", figure(max(one.max_abs or 0.0 for one in judged))))
    if report.drift:
        facts.append(("free runs come apart by", figure(max(one.max_abs for one in report.drift))))
    if report.probe is not None:
        facts.append(("inputs", f"{report.probe.batch} sequences, {report.probe.steps} steps"))
    return facts


def _artifacts(report: CheckReport, letters: Letters) -> list[Artifact]:
    known = {one.label: one for one in report.artifacts}
    found = []
    for label, letter in letters.items():
        runs = [
            ", ".join(filter(None, (run.version, run.device, run.kernel, run.precision or run.dtype)))
            + (f"; gates {run.gates}" if run.gates else "")
            + "".join(f"; {note}" for note in run.notes)
            for run in report.runs
            if run.artifact == label and run.backend != "reference"
        ]
        one = known.get(label)
        about = (one.format, one.stack, one.dtype, one.sha256 or "") if one is not None else ("written to run", "", "", "")
        found.append(Artifact(letter, label, *about, tuple(runs)))
    return found


def where(edges: dict[EdgeKey, list[Comparison]], letters: Letters) -> list[str]:
    """Return where each edge begins to differ, and where most."""
    told = ((key, place(found)) for key, found in edges.items())
    return [f"{_edge_title(key, letters)}: {at[0]}; {at[1]}" for key, at in told if at is not None]


def _sure(report: CheckReport, letters: Letters) -> list[str]:
    told = [proof(one, letters) for one in report.proofs]
    certain = [one.certainty for one in report.comparisons if one.certainty is not None]
    if report.by_the_bound is Verdict.DIFFERENT and certain:
        told.append(
            "the error exceeds even the bound that assumes nothing of rounding: the difference is proved"
            if max(certain) > 1
            else "honest rounding comes that far once in a billion checks"
        )
    seen = sensed(report)
    told += [seen] if seen is not None else []
    if report.drift:
        told.append(f"{drift(report, letters)}; that is never judged")
    return told


def _maps(apart: Apart, letters: Letters) -> tuple[MapFigure, ...]:
    return map_figures(apart.heatmaps, (side_named(apart.left, letters), side_named(apart.right, letters)))


def _apart(apart: Apart, letters: Letters) -> str:
    return f"{side_named(apart.right, letters)} minus {side_named(apart.left, letters)}"


def _edge_table(key: EdgeKey, found: Sequence[Comparison], letters: Letters) -> EdgeTable:
    verdicts = [one.verdict.value for one in found]
    worst = next((value for value in ("DIFFERENT", "INCONCLUSIVE") if value in verdicts), "EQUIVALENT")
    rows = tuple(
        Row(
            one.layer,
            one.direction,
            SYMBOLS[one.quantity],
            NAMES[one.quantity],
            figure(one.max_abs) if one.max_abs is not None else "",
            "not judged" if one.headroom is None else figure(one.headroom, 2),
            "" if one.worst is None else f"step {one.worst.time}, sequence {one.worst.batch}, unit {one.worst.unit}",
            one.verdict.value,
        )
        for one in found
    )
    return EdgeTable(key[0], _edge_title(key, letters), worst, rows)


def _notes(report: CheckReport, letters: Letters) -> list[tuple[str, str]]:
    told = []
    if report.probe is not None:
        padding = f" ({PADDING})" if report.probe.lengths is not None else ""
        told.append(("inputs", inputs(report.probe) + padding))
    told += [(f"left out: {name}", reason) for name, reason in report.left_out.items()]
    return [*told, *report.environment.items()]


def _series(series: Sequence[Series]) -> dict[str, object]:
    return {one.quantity: one.arrays for one in series}


def map_data(one: MapFigure) -> dict[str, object]:
    """Return what the script needs of a figure of heatmaps."""
    return {
        "columns": one.columns,
        "rows": one.rows,
        "start": one.start,
        "series": _series([row.series for row in one.quantities]),
    }
