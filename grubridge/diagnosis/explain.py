"""Why a run differs from a spec, as far as one mistake repeated in several layers can tell, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from grubridge.reference.arithmetic import Arithmetic
from grubridge.reference.inputs import initial_state, layer_input
from grubridge.spec import Direction, GRUSpec
from grubridge.traces import Place, Probe, Trace

from .edits import DATA_AXES, SPEC_AXES, Hypothesis
from .hypotheses import site
from .search import MOST_MISTAKES, Fit, Search
from .steps import Seen

__all__ = ["Explanation", "explain", "rivals"]

_NAMED_TIES = 3


@dataclass(frozen=True)
class Explanation:
    """Mistakes with which a run is an execution of its spec after all.

    Args:
        hypothesis: the mistakes, a lower precision among them.
        residual: largest |error| of the hidden states that is left with them.
        headroom: largest error over its bound, at most 1.
        places: (layer, direction) of everything that they explain.
        everywhere: whether those are all that the spec has.
        ties: other sets of as many mistakes that explain the same places; this run cannot tell them apart.
    """

    hypothesis: Hypothesis
    residual: float
    headroom: float
    places: tuple[Place, ...]
    everywhere: bool
    ties: tuple[Explanation, ...] = ()

    @property
    def cause(self) -> str:
        """A short name, e.g. "gate order, biases"."""
        return ", ".join(edit.axis.replace("_", " ") for edit in self.hypothesis)

    @property
    def edits(self) -> tuple[str, ...]:
        """What a machine reads, e.g. "gate_order=reset,update,candidate": what was taken for update..."""
        return tuple(str(edit) for edit in self.hypothesis)

    @property
    def convention(self) -> bool:
        """Whether a file that is written anew mends it: weights or equations are wrong, and no data."""
        axes = {edit.axis for edit in self.hypothesis}
        return not axes.isdisjoint(SPEC_AXES) and axes.isdisjoint(DATA_AXES)

    @property
    def what(self) -> str:
        """The mistakes alone, as clauses."""
        return ", and ".join(edit.phrase for edit in self.hypothesis)

    @property
    def sentence(self) -> str:
        """What is wrong, where, and how well that explains the run."""
        fit = f"taking that into account, the two agree to {self.residual:.1e}"
        said = f"{self._where}{self.what}; {fit} ({self.headroom:.2g} of what rounding may do)"
        if not self.ties:
            return said
        named = [f'"{tie.what}"' for tie in self.ties[:_NAMED_TIES]]
        more = len(self.ties) - len(named)
        rest = f" or {more} more" if more else ""
        return f"{said}; this run cannot tell that from {' or '.join(named)}{rest}"

    @property
    def _where(self) -> str:
        if self.everywhere:
            return "in every layer and direction " if len(self.places) > 1 else ""
        return f"in {', '.join(f'layer {layer} {direction}' for layer, direction in self.places)} "


def explain(
    spec: GRUSpec, trace: Trace, probe: Probe, how: Arithmetic, places: Sequence[Place]
) -> tuple[Explanation, ...]:
    """Find the mistakes that make `trace` an execution of `spec` on `probe`.

    Every place is looked at by itself, on the input that the trace itself has for it; what explains one is
    tried on the next before anything else. Where nothing is found in one place, the others are searched for
    a single mistake only.

    Args:
        spec: what should have been computed.
        trace: what a runtime did.
        probe: the inputs that the runtime was given.
        how: the arithmetic that the runtime declares.
        places: where `trace` differs from `spec`.

    Returns:
        Explanations of different places, those of most places first; () when nothing was found.
    """
    everywhere: list[Place] = [(index, name) for index, name, _ in spec.directions()]
    with np.errstate(all="ignore"):  # NaN and infinity, in weights or from them, explain nothing
        searched = [place for place in everywhere if place in places]
        fits = _fits(searched, lambda place: _search(spec, trace, probe, how, place))
    return tuple(_cover(fits, everywhere))


def rivals(spec: GRUSpec, trace: Trace, probe: Probe, how: Arithmetic, place: Place) -> list[Fit]:
    """Return how well nothing, and then each single mistake, the best first, explains one place of a run.

    Arguments are those of `explain`; () where the place cannot be searched.
    """
    with np.errstate(all="ignore"):
        search = _search(spec, trace, probe, how, place)
        return [] if search is None else [search.fit(()), *search.rivals()]


def _fits(
    places: Sequence[Place], search_at: Callable[[Place], Search | None]
) -> dict[Hypothesis, dict[Place, Fit]]:
    """What explains each place, by hypothesis."""
    fits: dict[Hypothesis, dict[Place, Fit]] = {}
    most = MOST_MISTAKES
    for place in places:
        search = search_at(place)
        if search is None:
            continue
        found = [fit for fit in map(search.fit, list(fits)) if fit.explains]
        found = found or search.explanations(most)
        if not found:
            most = 1
        for fit in found:
            if fit.hypothesis:
                fits.setdefault(fit.hypothesis, {})[place] = fit
    if any(len(fitting) < len(places) for fitting in fits.values()):
        for place in places:  # what was found later may explain what came before
            search = search_at(place)
            for hypothesis, fitting in fits.items():
                if search is not None and place not in fitting and (fit := search.fit(hypothesis)).explains:
                    fitting[place] = fit
    return fits


def _search(spec: GRUSpec, trace: Trace, probe: Probe, how: Arithmetic, place: Place) -> Search | None:
    """Prepare the search at `place`; None where the trace lacks it, or has another shape or no number."""
    index, name = place
    other: Direction = "backward" if name == "forward" else "forward"
    at = site(spec, index, name)
    x = layer_input(spec, trace, probe, index)
    seen, opposite = trace.places.get(place), trace.places.get((index, other))
    shape = (probe.batch, probe.steps, at.direction.hidden_size)
    if x is None or seen is None or seen.hidden.shape != shape:
        return None
    start = initial_state(at.direction, probe, place)
    across = opposite.hidden if opposite is not None and opposite.hidden.shape == shape else None
    across_start = None if at.opposite is None else at.opposite.initial_state
    rows = Seen(name, x, start, seen.hidden, across, across_start, probe.lengths)
    search = Search(at, rows, how)
    return search if search.possible else None


def _cover(fits: dict[Hypothesis, dict[Place, Fit]], order: Sequence[Place]) -> Iterator[Explanation]:
    """Yield the hypotheses that explain most places, until all are explained that can be."""
    left = {place for fitting in fits.values() for place in fitting}
    while left:
        explained = {edits: left.intersection(fitting) for edits, fitting in fits.items()}
        best = min(fits, key=lambda edits: (-len(explained[edits]), len(edits)))
        places = [place for place in order if place in explained[best]]
        one, *ties = (
            _explanation(edits, fits[edits], places, everywhere=len(places) == len(order))
            for edits in (best, *fits)
            if len(edits) == len(best) and explained[edits] == explained[best]
        )
        yield replace(one, ties=tuple(tie for tie in ties if tie.hypothesis != best))
        left.difference_update(places)


def _explanation(
    edits: Hypothesis, fitting: dict[Place, Fit], places: Sequence[Place], *, everywhere: bool
) -> Explanation:
    chosen = [fitting[place] for place in places]
    return Explanation(
        edits,
        max(fit.residual for fit in chosen),
        max(fit.headroom for fit in chosen),
        tuple(places),
        everywhere,
    )
