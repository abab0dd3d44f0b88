"""One edge: a trace, held against the equations of a spec, quantity by quantity."""

from __future__ import annotations

import numpy as np

from grubridge.reference import cell
from grubridge.reference.arithmetic import Arithmetic, arithmetic_of
from grubridge.reference.rounding import Quantity
from grubridge.spec import Array, GRUDirection, GRUSpec, numpy_dtype
from grubridge.traces import DirectionTrace, Place, Probe, Trace

from .judge import Finding, Observation, judge
from .result import Comparison, Edge, Side
from .verdict import Verdict

__all__ = ["compare"]


def compare(
    spec: GRUSpec,
    trace: Trace,
    probe: Probe,
    edge: Edge,
    sides: tuple[Side, Side],
    how: Arithmetic | None = None,
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
        how: the arithmetic to allow for; None for the one of the trace's own runtime and dtype.

    Returns:
        One comparison per layer, direction and quantity; a place that the trace lacks, or has in another
        shape, is INCONCLUSIVE.
    """
    how = how or arithmetic_of(trace.backend, trace.dtype, trace.device)
    found: list[Comparison] = []
    for index, name, direction in spec.directions():
        layer, place = spec.layers[index], (index, name)
        x = _layer_input(spec, trace, probe, index)
        expected = (probe.batch, probe.steps, direction.hidden_size)
        seen = trace.places.get(place)
        problem = _problem(seen, expected) or (None if x is not None else "the layer below it has no states")
        if problem or seen is None or x is None:
            reason = f"layer {index} {name}: {problem}"
            found.append(Comparison(edge, *sides, *place, "hidden", Verdict.INCONCLUSIVE, reason=reason))
            continue
        received: dict[Quantity, Array] = {"hidden": seen.hidden}
        received.update(seen.gates.items() if seen.gates is not None else ())
        start = _start(direction, probe, place)
        observation = Observation(x, start, received, probe.lengths, name, _largest(trace.dtype))
        for quantity, finding in judge(cell(layer, direction), observation, how).items():
            found.append(_comparison(finding, edge, sides, place, quantity))
    return tuple(found)


def _layer_input(spec: GRUSpec, trace: Trace, probe: Probe, index: int) -> Array | None:
    """[B, T, I] of a layer; None when the trace lacks the layer below."""
    if index == 0:
        return probe.x
    below = [(index - 1, name) for name, _ in spec.layers[index - 1].directions()]
    if any(place not in trace.places for place in below):
        return None
    try:
        joined: Array = np.concatenate([trace.places[place].hidden for place in below], axis=-1)
    except ValueError:  # shapes that do not go together
        return None
    expected = (probe.batch, probe.steps, spec.layers[index].input_size)
    return joined if joined.shape == expected else None


def _problem(seen: DirectionTrace | None, expected: tuple[int, int, int]) -> str | None:
    if seen is None:
        return "the runtime returned nothing"
    arrays: dict[str, Array] = {"hidden state": seen.hidden}
    arrays.update(seen.gates.items() if seen.gates is not None else ())
    for name, array in arrays.items():
        if array.shape != expected:
            return f"the {name} must be {list(expected)}; the runtime returned {list(array.shape)}"
    return None


def _start(direction: GRUDirection, probe: Probe, place: Place) -> Array:
    shape = (probe.batch, direction.hidden_size)
    if direction.initial_state is not None:
        return np.broadcast_to(direction.initial_state.astype(np.float64), shape)
    return probe.initial_state.get(place, np.zeros(shape)).astype(np.float64)


def _largest(dtype: str) -> float:
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
    )
