"""One edge: a trace, held against the equations of a spec, quantity by quantity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from grubridge.reference import cell
from grubridge.reference.arithmetic import Arithmetic
from grubridge.reference.inputs import initial_state, layer_input
from grubridge.reference.rounding import Quantity
from grubridge.reference.tapped import Recomposition
from grubridge.spec import Array, GRUSpec, numpy_dtype
from grubridge.traces import DirectionTrace, Place, Probe, Trace

from .findings import Comparison, Edge, Side
from .judge import Finding, Observation, judge
from .verdict import Verdict

__all__ = ["compare", "largest_finite"]


def compare(
    spec: GRUSpec,
    trace: Trace,
    probe: Probe,
    edge: Edge,
    sides: tuple[Side, Side],
    how: Arithmetic,
) -> tuple[Comparison, ...]:
    """Judge whether `trace` is an execution of `spec` on `probe`.

    The first layer's input and every initial state are the probe's (or the spec's own learned state), a
    higher layer's input is what the trace itself has for the layer below: nothing that the runtime says of
    its inputs is believed.

    Args:
        spec: the equations.
        trace: what a runtime did.
        probe: the inputs that the runtime was given.
        edge: what the comparison is part of.
        sides: left and right.
        how: the arithmetic to allow for.

    Returns:
        One comparison per layer, direction and quantity; a place that the trace lacks, or has in another
        shape, is INCONCLUSIVE.
    """
    found: list[Comparison] = []
    for index, name, direction in spec.directions():
        layer, place = spec.layers[index], (index, name)
        x = layer_input(spec, trace, probe, index)
        expected = (probe.batch, probe.steps, direction.hidden_size)
        seen = trace.places.get(place)
        problem = _problem(seen, expected) or (None if x is not None else "the layer below it has no states")
        if problem or seen is None or x is None:
            reason = f"layer {index} {name}: {problem}"
            found.append(Comparison(edge, *sides, *place, "hidden", Verdict.INCONCLUSIVE, reason=reason))
            continue
        received: dict[Quantity, Array] = {"hidden": seen.hidden}
        received.update(seen.gates.items() if seen.gates is not None else ())
        start = initial_state(direction, probe, place)
        observed = seen.gate_source == "observed"
        largest = largest_finite(trace.dtype)
        observation = Observation(x, start, received, probe.lengths, name, largest, observed)
        judgement = judge(cell(layer, direction), observation, how)
        ones = [
            _comparison(finding, edge, sides, place, quantity)
            for quantity, finding in judgement.findings.items()
        ]
        found += _with_recomposition(ones, judgement.recomposition)
    return tuple(found)


def _with_recomposition(
    ones: Sequence[Comparison], recomposition: Recomposition | None
) -> Iterator[Comparison]:
    """Gates that do not give back states that are right are not the gates of this run: they prove nothing."""
    hidden = next(one for one in ones if one.quantity == "hidden")
    foreign = recomposition is not None and recomposition.headroom > 1
    for one in ones:
        if one is hidden:
            yield replace(one, recomposition=recomposition)
        elif foreign and hidden.verdict is Verdict.EQUIVALENT and one.verdict is not Verdict.INCONCLUSIVE:
            where = f"layer {one.layer} {one.direction} {one.quantity}"
            reason = f"{where}: the gates do not give back the states of the run, so they are not its own"
            yield replace(one, verdict=Verdict.INCONCLUSIVE, reason=reason)
        else:
            yield one


def _problem(seen: DirectionTrace | None, expected: tuple[int, int, int]) -> str | None:
    if seen is None:
        return "the runtime returned nothing"
    arrays: dict[str, Array] = {"hidden state": seen.hidden}
    arrays.update(seen.gates.items() if seen.gates is not None else ())
    for name, array in arrays.items():
        if array.shape != expected:
            return f"the {name} must be {list(expected)}; the runtime returned {list(array.shape)}"
    return None


def largest_finite(dtype: str) -> float:
    """Return the largest finite number of a dtype."""
    import ml_dtypes

    return float(ml_dtypes.finfo(numpy_dtype(dtype)).max)  # type: ignore[no-untyped-call]


def _comparison(
    finding: Finding, edge: Edge, sides: tuple[Side, Side], place: Place, quantity: Quantity
) -> Comparison:
    where = f"layer {place[0]} {place[1]} {quantity}"
    if not finding.judged:
        reason = f"{where}: no value could be judged"
        return Comparison(edge, *sides, *place, quantity, Verdict.INCONCLUSIVE, reason=reason)
    verdict, reason = Verdict.EQUIVALENT, ""
    if finding.headroom > 1:
        verdict = Verdict.DIFFERENT
    elif finding.lost:
        verdict = Verdict.INCONCLUSIVE
        reason = f"{where}: {finding.lost} values follow from NaN or infinity, or overflow by themselves"
    return Comparison(
        edge,
        *sides,
        *place,
        quantity,
        verdict,
        finding.max_abs,
        finding.headroom,
        finding.certainty,
        finding.worst,
        finding.first_bad_time,
        reason,
        profile=finding.profile,
        largest=finding.largest,
        allowed=finding.allowed,
    )
