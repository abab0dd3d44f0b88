"""Inputs at which models whose numbers differ come far apart, for a probe to be aimed at.

Where most inputs saturate every gate, or none reaches a clip, two models that are not one function take the
same steps but for a few. The equations of both tell which these are, before anything runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grubridge.reference import run
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Probe

from .algebra import prove
from .probe import exact_in_all

__all__ = ["aimed"]

_SHARE = 4  # one row in so many is aimed
_SIZES = (
    (1.0, 1.0),
    (2.0**-4, 2.0**-4),
    (2.0**-8, 2.0**-8),
    (2.0**-8, 1.0),
    (1.0, 2.0**-8),
    (2.0**-12, 2.0**-12),
    (2.0**6, 1.0),
)
"""Of inputs and of states, as multiples of the probe's own."""
_FLOPS = 2e10  # of all candidates: about a second


def aimed(probe: Probe, specs: Sequence[GRUSpec], seed: int) -> Probe:
    """Return `probe` with a quarter of its rows replaced by the ones that most set its models apart.

    Among rows of several sizes, those are taken at which the float64 equations of the first model and of
    another come farthest apart. Models that are proved equal set no aim.

    Args:
        probe: independent rows.
        specs: what will run, of one shape.
        seed: of the random numbers.
    """
    others = [spec for spec in specs[1:] if not prove(specs[0], spec).equal]
    if not others:
        return probe
    rng = np.random.default_rng(seed)
    count = max(1, probe.batch // (_SHARE * len(others) * len(_SIZES)))
    tried = int(min(probe.batch, max(count, _FLOPS / (len(others) * len(_SIZES) * _flops(probe, specs[0])))))
    found: list[Probe] = []
    for other in others:
        for of_x, of_states in _SIZES:
            rows = _rows(probe, rng.permutation(probe.batch)[:tried])
            states = {place: of_states * state for place, state in rows.initial_state.items()}
            sized = replace(rows, x=of_x * rows.x, initial_state=states)
            found.append(_farthest(exact_in_all(sized, specs), specs[0], other, count))
    return _with_rows(probe, found[: max(1, probe.batch // _SHARE)])


def _flops(probe: Probe, spec: GRUSpec) -> float:
    """The operations that one row of two models takes."""
    weights = (array.size for name, array in spec.arrays() if "weight" in name)
    return 2.0 * 2.0 * probe.steps * sum(weights)


def _rows(probe: Probe, rows: Array) -> Probe:
    states = {place: state[rows] for place, state in probe.initial_state.items()}
    return replace(probe, x=probe.x[rows], initial_state=states)


def _farthest(probe: Probe, one: GRUSpec, other: GRUSpec, count: int) -> Probe:
    """Return the rows of `probe` at which the states of two models are farthest apart, by their size."""
    apart: Array = np.zeros(probe.batch)
    with np.errstate(all="ignore"):  # weights may be NaN or infinite
        left, right = run(one, probe), run(other, probe)
        for place, seen in left.places.items():
            gap = np.abs(seen.hidden - right.places[place].hidden) / (1 + np.abs(seen.hidden))
            apart = np.fmax(apart, np.nan_to_num(gap, nan=0.0).max(axis=(1, 2)))
    return _rows(probe, np.argsort(-apart, kind="stable")[:count])


def _with_rows(probe: Probe, found: Sequence[Probe]) -> Probe:
    """Return `probe` with the rows of others in the place of its last."""
    kept = probe.batch - sum(one.batch for one in found)

    def joined(own: Array, others: Sequence[Array]) -> Array:
        return np.concatenate([own[:kept], *others])

    states = {
        place: joined(state, [one.initial_state[place] for one in found])
        for place, state in probe.initial_state.items()
    }
    return replace(probe, x=joined(probe.x, [one.x for one in found]), initial_state=states)
