"""What a page shows of a check beyond its report: heatmaps, how weights lie, causes tried in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from grubridge.diagnosis.explain import rivals
from grubridge.diagnosis.search import Fit
from grubridge.spec import CANDIDATE, Direction, Gate
from grubridge.traces import Place, Probe, Trace

from .executed import Difference, Executed, Probes
from .findings import Cause, Comparison, Side, Tried
from .heatmaps import Heatmap, heatmaps
from .plan import Subject
from .verdict import Verdict

__all__ = ["Apart", "Pictures", "TriedAt", "WeightLayout", "free_runs_apart", "tried_at", "weight_layout"]

_RIVALS = 8

Biases = Literal["none", "all", "candidate"]


@dataclass(frozen=True)
class WeightLayout:
    """How the weights of one stack lie in its file.

    Args:
        label: of the file.
        format: e.g. "keras".
        gate_order: the gates along the stacked axis.
        rows: "output" when a weight is stored [3H, I], "input" when [I, 3H].
        takes: whether the update gate takes the candidate.
        input_size: I of the first layer.
        hidden_size: H of the first layer.
        input_bias: whether there is one.
        recurrent_bias: of which gates there is one.
        reset_after: whether the reset gate multiplies the recurrent product.
    """

    label: str
    format: str
    gate_order: tuple[Gate, ...]
    rows: Literal["output", "input"]
    takes: bool
    input_size: int
    hidden_size: int
    input_bias: bool
    recurrent_bias: Biases
    reset_after: bool


@dataclass(frozen=True)
class TriedAt:
    """What was tried to explain one place of a run, the best first; most of it in vain.

    Args:
        side: the run.
        layer: index of the layer.
        direction: of reading.
        unchanged: how far the run is off where nothing is taken into account.
        rivals: single mistakes and lower precisions.
    """

    side: Side
    layer: int
    direction: Direction
    unchanged: Tried
    rivals: tuple[Tried, ...]


@dataclass(frozen=True)
class Apart:
    """Two free runs on the same inputs, as heatmaps.

    Args:
        left: one run.
        right: the other.
        heatmaps: of their worst layers and directions.
        places: how many layers and directions there are.
    """

    left: Side
    right: Side
    heatmaps: tuple[Heatmap, ...]
    places: int


@dataclass(frozen=True)
class Pictures:
    """What a page shows of a check beyond its report.

    Args:
        layouts: of every artifact, in the order of the report.
        tried: where a cause was looked for.
        apart: two runs: of the first GRU that is different, or of the first; None where nothing ran.
    """

    layouts: tuple[WeightLayout, ...]
    tried: tuple[TriedAt, ...]
    apart: Apart | None


def weight_layout(subject: Subject) -> WeightLayout:
    """Return how the weights of a stack lie in its file."""
    layout, layer = subject.entry.layout, subject.spec.layers[0]
    direction = next(one for _, one in layer.directions())
    biases: Biases = "none"
    if direction.recurrent_bias is not None:
        given = [gate for gate, bias in direction.recurrent_bias.items() if bias is not None]
        biases = "candidate" if given == [CANDIDATE] else "all"
    return WeightLayout(
        subject.label,
        subject.about.format,
        layout.gate_order,
        layout.rows,
        layout.takes,
        direction.input_size,
        direction.hidden_size,
        direction.input_bias is not None,
        biases,
        layer.reset_after,
    )


def tried_at(found: Difference, probes: Probes, causes: Sequence[Cause]) -> TriedAt | None:
    """Return what else was tried to explain a difference; None where no mistake was looked for."""
    wrong = [(one.layer, one.direction) for one in found.compared if one.verdict is Verdict.DIFFERENT]
    if not wrong or not any(one.tried or one.cause == "unexplained" for one in causes):
        return None
    place = wrong[0]
    fits = rivals(found.held.spec, found.run.trace, probes.inputs, found.how, place)
    if not fits:
        return None
    unchanged, *others = (Tried(_clause(fit), fit.residual, fit.headroom) for fit in fits)
    named = {tried.what for cause in causes for tried in cause.tried}
    kept = [one for one in others if one.what not in named][:_RIVALS]
    return TriedAt(found.run.planned.side, *place, unchanged, tuple(kept))


def _clause(fit: Fit) -> str:
    return " and ".join(edit.phrase for edit in fit.hypothesis)


def free_runs_apart(
    equations: tuple[Side, Trace], done: Sequence[Executed], comparisons: Sequence[Comparison], probe: Probe
) -> Apart | None:
    """Return the first run beside the one that is furthest from what it is to be; None where nothing ran.

    A run that is alone is shown beside the free-running equations.
    """
    if not done:
        return None
    first = (done[0].planned.side, done[0].trace)
    others = [(run.planned.side, run.trace) for run in done[1:]]
    if not others:
        first, others = equations, [first]

    def off(side: Side, place: Place | None = None) -> float:
        """How far a run, or one place of it, is from what it is held against."""
        found = [one for one in comparisons if side in (one.left, one.right)]
        found = [one for one in found if place in (None, (one.layer, one.direction))]
        return max((one.headroom for one in found if one.headroom is not None), default=0.0)

    worst = max(others, key=lambda run: off(run[0]))
    places = sorted(first[1].places, key=lambda place: -off(worst[0], place))
    return Apart(first[0], worst[0], tuple(heatmaps([first[1], worst[1]], probe, places)), len(places))
