"""A check as a page, and as a fragment for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from grubridge.checker.findings import Comparison
from grubridge.checker.pictures import Apart
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.files.text import printable
from grubridge.report.check.sections import mends, proof, sensed
from grubridge.report.check.words import (
    BOUND,
    ENSEMBLE,
    PADDING,
    EdgeKey,
    Edges,
    Letters,
    by_edge,
    certainty,
    drift,
    inputs,
    letters_of,
    place,
    side_named,
    verdict,
)

from .causes import TriedFigure, tried_figure
from .curves import ORDER, Panel, error_panel
from .data import by_quantity
from .histogram import Histogram, histograms
from .maps import MapFigure, map_data, map_figures
from .numbers import figure
from .page import fragment, page, within_limit
from .tables import Artifact, EdgeTable, FileProofs, artifacts, edge_tables, edge_title, file_proofs
from .weights import LayoutFigure, layout_figure

__all__ = ["check_fragment", "render_check", "where"]

_PANELS = 4
"""Layers and directions of which the errors are drawn."""
_LAYOUTS = 3
_LISTED = 24


@dataclass(frozen=True)
class CheckView:
    """What the page of a check shows, in its order."""

    verdict: str
    sentence: str
    also: str
    artifacts: tuple[Artifact, ...]
    facts: tuple[tuple[str, str], ...]
    where: tuple[str, ...]
    why: tuple[tuple[str, str], ...]
    mends: tuple[tuple[str, bool], ...]
    sure: tuple[str, ...]
    edge_title: str
    panels: tuple[Panel, ...]
    left_panels: int
    bounds: tuple[str, ...]
    tried: TriedFigure | None
    layouts: tuple[LayoutFigure, ...]
    apart: str
    maps: tuple[MapFigure, ...]
    left_maps: int
    histograms: tuple[Histogram, ...]
    edges: tuple[EdgeTable, ...]
    proofs: tuple[FileProofs, ...]
    notes: tuple[tuple[str, str], ...]

    @property
    def data(self) -> dict[str, object]:
        """What the script needs."""
        curves = {one.key: {"steps": one.steps, "series": by_quantity(one.series)} for one in self.panels}
        return {"curves": curves, "maps": map_data(self.maps)}


def render_check(report: CheckReport) -> str:
    """Return a check as one HTML page that loads nothing, below 400 kB.

    Heatmaps, weight layouts and causes tried in vain are shown where the check kept them (`keep_pictures`).

    Raises:
        MissingDependencyError: when Jinja2 is not installed.
    """
    names = " and ".join(printable(PurePath(one.path).name) for one in report.artifacts[:2])
    whole = _view(report)
    views = (
        whole,
        replace(whole, maps=(), layouts=()),
        replace(whole, maps=(), layouts=(), edges=(), proofs=()),
    )
    return within_limit(page("check", f"{report.verdict.value}: {names}", view=view) for view in views)


def check_fragment(report: CheckReport) -> str:
    """Return the verdict, the reasons and the errors over time, without a script.

    Raises:
        MissingDependencyError: when Jinja2 is not installed.
    """
    return fragment("check_fragment", view=_view(report))


def where(edges: Edges, letters: Letters) -> tuple[str, ...]:
    """Return where each edge begins to differ, and where it differs most."""
    told = ((key, place(found)) for key, found in edges.items())
    return tuple(f"{edge_title(key, letters)}: {at[0]}; {at[1]}" for key, at in told if at is not None)


def _view(report: CheckReport) -> CheckView:
    letters, edges = letters_of(report), by_edge(report.comparisons)
    *also, sentence = verdict(report, edges, letters).split("\n")
    drawn = _drawn_edge(edges)
    comparisons = edges[drawn] if drawn is not None else []
    panels, left_panels = _panels(comparisons, 1 if report.probe is None else report.probe.steps)
    free = {one.followed is not None for one in report.comparisons}
    pictures = report.pictures
    layouts = () if pictures is None else pictures.layouts
    apart = None if pictures is None else pictures.apart
    maps = () if apart is None else map_figures(apart.heatmaps, _runs(apart, letters))
    layout_figures = (layout_figure(one, layouts) for one in report.proofs[:_LAYOUTS])
    return CheckView(
        verdict=report.verdict.value,
        sentence=sentence.partition(": ")[2],
        also=" ".join(also),
        artifacts=artifacts(report, letters),
        facts=tuple(_facts(report)),
        where=where(edges, letters)[:_LISTED],
        why=tuple((one.cause, one.detail) for one in report.diagnosis[:_LISTED]),
        mends=tuple(mends(report)),
        sure=tuple(_sure(report, letters)),
        edge_title="" if drawn is None else edge_title(drawn, letters),
        panels=panels,
        left_panels=left_panels,
        bounds=tuple(text for text, ensemble in ((BOUND, False), (ENSEMBLE, True)) if ensemble in free),
        tried=tried_figure(() if pictures is None else pictures.tried, report.diagnosis),
        layouts=tuple(one for one in layout_figures if one is not None),
        apart="" if apart is None else " minus ".join(_runs(apart, letters)[::-1]),
        maps=maps,
        left_maps=0 if apart is None else apart.places - len(maps),
        histograms=histograms(comparisons),
        edges=edge_tables(edges, letters),
        proofs=file_proofs(report, letters),
        notes=tuple(_notes(report)),
    )


def _drawn_edge(edges: Edges) -> EdgeKey | None:
    """The edge whose errors are drawn: the first that is different, else the last, which is end to end."""
    drawn = [key for key, found in edges.items() if any(one.profile is not None for one in found)]
    wrong = (key for key in drawn if any(one.verdict is Verdict.DIFFERENT for one in edges[key]))
    return next(wrong, drawn[-1] if drawn else None)


def _panels(comparisons: Sequence[Comparison], steps: int) -> tuple[tuple[Panel, ...], int]:
    """The errors of the worst layers and directions, in their order; and how many are left out."""
    places: dict[tuple[int, str], list[Comparison]] = {}
    for one in sorted(comparisons, key=lambda one: ORDER.index(one.quantity)):
        places.setdefault((one.layer, one.direction), []).append(one)
    worst = sorted(places, key=lambda at: -_largest(places[at]))[:_PANELS]
    panels = [
        error_panel(
            f"curves-{layer}-{direction}", f"Layer {layer} {direction}", places[layer, direction], steps
        )
        for layer, direction in sorted(worst, key=list(places).index)
    ]
    return tuple(panel for panel in panels if panel is not None), len(places) - len(worst)


def _largest(comparisons: Iterable[Comparison]) -> float:
    return max((one.headroom for one in comparisons if one.headroom is not None), default=0.0)


def _runs(apart: Apart, letters: Letters) -> tuple[str, str]:
    return side_named(apart.left, letters), side_named(apart.right, letters)


def _facts(report: CheckReport) -> Iterator[tuple[str, str]]:
    ratios = [one.headroom for one in report.comparisons if one.headroom is not None]
    ratios += [one.headroom for one in report.sensitivity if one.headroom is not None]
    errors = [one.max_abs for one in report.comparisons if one.max_abs is not None]
    if ratios:
        yield "error over bound, at most", figure(max(ratios), 2)
    if errors:
        yield "largest error of a step", figure(max(errors))
    if report.drift:
        yield "free runs come apart by", figure(max(one.max_abs for one in report.drift))
    if report.probe is not None:
        yield "inputs", f"{report.probe.batch} sequences, {report.probe.steps} steps"


def _sure(report: CheckReport, letters: Letters) -> Iterator[str]:
    yield from (proof(one, letters) for one in report.proofs[:_LISTED])
    certain = certainty(report)
    if report.by_the_bound is Verdict.DIFFERENT and certain is not None:
        yield (
            "the error exceeds even the bound that assumes nothing of rounding: the difference is proved"
            if certain > 1
            else "honest rounding comes that far once in a billion checks"
        )
    seen = sensed(report)
    if seen is not None:
        yield seen
    if report.drift:
        yield f"{drift(report, letters)}; that is never judged"


def _notes(report: CheckReport) -> Iterator[tuple[str, str]]:
    if report.probe is not None:
        padding = f" ({PADDING})" if report.probe.lengths is not None else ""
        yield "inputs", inputs(report.probe) + padding
    yield from ((f"left out: {name}", reason) for name, reason in list(report.left_out.items())[:_LISTED])
    yield from report.environment.items()
