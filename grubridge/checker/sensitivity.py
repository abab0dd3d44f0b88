"""How small a change of a single weight a check would have seen, and whether it saw one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grubridge.diagnosis.matched_filter import MatchedFilter
from grubridge.diagnosis.weight_change import WeightChange, locate
from grubridge.reference import cell
from grubridge.reference.arithmetic import Arithmetic
from grubridge.reference.inputs import steps_of
from grubridge.spec import Array, Direction, GRUDirection, GRUSpec
from grubridge.traces import Probe, Trace

__all__ = ["Sensed", "Sensitivity", "Visibility", "sense"]

_RELATIVE = (1e-5, 1e-4, 1e-3, 1e-2)


@dataclass(frozen=True)
class Visibility:
    """Which changes of a single weight would be seen, over a number of weights; biases are weights here.

    A change at the limit is seen every other time and one of 1.5 times the limit always, so that the shares
    are of weights, for a change that befalls any of them.

    Args:
        weights: how many.
        median: the absolute change that would be seen in half of them.
        most: the one that would be seen in 99 of 100; infinite where more cannot be seen to change at all,
            because their unit is saturated or their input is always 0.
        coverage: relative change -> the share of the weights that are not 0 in which it would be seen.
    """

    weights: int
    median: float
    most: float
    coverage: Mapping[float, float]


@dataclass(frozen=True)
class Sensitivity:
    """What was to be seen in one direction of one layer.

    Args:
        layer: index of the layer.
        direction: of reading.
        rows: independent steps.
        headroom: the largest error of a step over its bound.
        score: the largest of all weights; above 1 a weight differs from the spec.
        arrays: the spec's name of an array, e.g. "recurrent_weight.reset" -> its weights.
    """

    layer: int
    direction: Direction
    rows: int
    headroom: float
    score: float
    arrays: Mapping[str, Visibility]


@dataclass(frozen=True)
class Sensed:
    """What a run on a designed probe told of a spec's weights.

    Args:
        total: all weights together; those of a place that the trace lacks cannot be seen.
        places: layer by layer.
        changes: the most conspicuous weight of every place that has one with a score above 1.
    """

    total: Visibility
    places: tuple[Sensitivity, ...]
    changes: tuple[WeightChange, ...]


def sense(spec: GRUSpec, trace: Trace, probe: Probe, how: Arithmetic) -> Sensed:
    """Look for the change of a single weight in every layer and direction.

    Args:
        spec: the equations.
        trace: what a runtime did.
        probe: `designed_probe`'s: the answer holds for independent rows.
        how: the runtime's arithmetic.
    """
    places: list[Sensitivity] = []
    changes: list[WeightChange] = []
    limits: list[tuple[Array, Array]] = []
    for index, name, direction in spec.directions():
        layer, place = spec.layers[index], (index, name)
        steps = steps_of(spec, trace, probe, place)
        if steps is None:
            limits += ((np.full(size.shape, np.inf), size) for _, size in _weights(direction))
            continue
        numbers = cell(layer, direction)
        matched = MatchedFilter(numbers, steps, how)
        detectable, score = _detectable(matched)
        own = {array: (detectable[array], size) for array, size in _weights(direction)}
        limits += own.values()
        seen = {array: _visibility([limit]) for array, limit in own.items()}
        places.append(Sensitivity(*place, len(steps.hidden), matched.headroom, score, seen))
        if score > 1:
            changes.append(locate(numbers, steps, how, place, independent=True))
    return Sensed(_visibility(limits), tuple(places), tuple(changes))


def _detectable(seen: MatchedFilter) -> tuple[dict[str, Array], float]:
    """The smallest change that shows by the spec's names of arrays, and the largest score."""
    score, found = 0.0, {}
    for part in seen.parts():
        score = max(score, float(np.max(part.score)))
        if part.part.endswith("weight"):
            found[f"{part.part}.{part.gate}"] = part.detectable
        else:
            names = ("input_bias", "recurrent_bias") if part.part == "bias" else (part.part,)
            found.update({f"{name}.{part.gate}": part.detectable[:, 0] for name in names})
    return found, score


def _weights(direction: GRUDirection) -> Iterator[tuple[str, Array]]:
    """Yield (name, |weight|) of every array that a single step multiplies with or adds."""
    for name, array in direction.arrays():
        if name != "initial_state":
            yield name, np.abs(array.astype(np.float32))


def _visibility(limits: Sequence[tuple[Array, Array]]) -> Visibility:
    """Sum up (smallest detectable change, |weight|) of arrays."""
    changes = np.concatenate([change.ravel() for change, _ in limits])
    sizes = np.concatenate([size.ravel() for _, size in limits])
    there = sizes > 0
    with np.errstate(over="ignore", invalid="ignore"):  # weights of 1e-45, and infinite ones
        needed = changes[there] / sizes[there]
    count = max(1, needed.size)
    return Visibility(
        changes.size,
        _quantile(changes, 0.5),
        _quantile(changes, 0.99),
        {relative: float((needed <= relative).sum() / count) for relative in _RELATIVE},
    )


def _quantile(values: Array, share: float) -> float:
    """The smallest of `values` that is not below `share` of them."""
    place = int(np.ceil(share * values.size)) - 1
    return float(np.partition(values, place)[place])
