"""Why the outputs of a run are not those of the equations: mistakes are tried one by one, from end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product

import numpy as np

from grubridge.diagnosis.edits import DATA_AXES, SPEC_AXES, Edit, Hypothesis
from grubridge.diagnosis.explain import Explanation
from grubridge.diagnosis.hypotheses import alternatives, apply, site
from grubridge.diagnosis.precision import LADDER, Precision
from grubridge.diagnosis.steps import DATA_EDITS
from grubridge.errors import InvalidSpecError, UnsupportedFeatureError
from grubridge.reference import run as run_reference
from grubridge.reference.activations import evaluate
from grubridge.reference.arithmetic import Arithmetic
from grubridge.spec import Array, Gates, GRUDirection, GRUSpec
from grubridge.traces import valid_steps

from .ensemble import FOLLOWED
from .free_run import FreeRun, judge_free, last_read

__all__ = ["explain_free"]

_MOST = 2  # mistakes at once
_STEPS = 60_000  # of one direction of a layer, for all hypotheses of two mistakes
_SEQUENCES, _EARLY = 4, 32  # that are looked at first, and how many of their steps where all were recorded
_JUDGED = 8  # of the closest hypotheses


def explain_free(spec: GRUSpec, run: FreeRun, how: Arithmetic) -> Explanation | None:
    """Return the fewest mistakes, made in every layer, with which `run` is an execution of `spec` after all.

    Two at once are tried where the run is short enough for that to take seconds. None when nothing fits.

    Args:
        spec: what should have been computed.
        run: the outputs.
        how: the arithmetic to allow for.
    """
    places = len(list(spec.directions()))
    first = _first_sequences(run)
    axes = _axes(spec, run)
    for count in range(1, _MOST + 1):
        hypotheses = [edits for chosen in combinations(axes, count) for edits in product(*chosen)]
        if count > 1 and len(hypotheses) * _length(run) * places > _STEPS:
            return None
        errors = [(_error(spec, first, edits), number) for number, edits in enumerate(hypotheses)]
        near = [hypotheses[number] for error, number in sorted(errors)[:_JUDGED] if error < FOLLOWED]
        fits = [fit for edits in near if (fit := _judged(spec, run, how, edits)).headroom <= 1]
        if fits:
            one, *ties = sorted(fits, key=lambda fit: round(fit.headroom, 1))
            return replace(one, ties=tuple(ties))
    return None


def _axes(spec: GRUSpec, run: FreeRun) -> list[list[Edit]]:
    """What can have gone wrong in some place of the stack, with the data, or with the numbers; by axis."""
    found: dict[str, dict[str, Edit]] = {}
    for index, name, _ in spec.directions():
        for edits in alternatives(site(spec, index, name)):
            found.setdefault(edits[0].axis, {}).update((edit.value, edit) for edit in edits)
    data = _OF_LAST if run.only_last else _OF_SEQUENCES
    for edit in (*data, *_CASTS):
        found.setdefault(edit.axis, {})[edit.value] = edit
    return [list(edits.values()) for edits in found.values()]


def _first_sequences(run: FreeRun) -> FreeRun:
    probe = run.probe
    states = {place: state[:_SEQUENCES] for place, state in probe.initial_state.items()}
    lengths = None if probe.lengths is None else probe.lengths[:_SEQUENCES]
    return replace(
        run,
        probe=replace(probe, x=probe.x[:_SEQUENCES], initial_state=states, lengths=lengths),
        outputs={name: output[:_SEQUENCES] for name, output in run.outputs.items()},
        seen={name: seen[:_SEQUENCES] for name, seen in run.seen.items()},
    )


def _length(run: FreeRun) -> int:
    """How many steps of a run are looked at first."""
    reads_on = run.only_last or "backward" in run.outputs
    return run.probe.steps if reads_on else min(_EARLY, run.probe.steps)


def _early(run: FreeRun) -> FreeRun:
    probe, steps = run.probe, _length(run)
    lengths = None if probe.lengths is None else np.minimum(probe.lengths, steps)
    return replace(
        run,
        probe=replace(probe, x=probe.x[:, :steps], lengths=lengths),
        outputs={name: output[:, :steps] for name, output in run.outputs.items()},
        seen={name: seen[:, :steps] for name, seen in run.seen.items()},
    )


def _error(spec: GRUSpec, run: FreeRun, hypothesis: Hypothesis) -> float:
    """The largest |error| of the outputs that are looked at first; infinite where they say nothing."""
    try:
        wrong, given = _made(spec, run, hypothesis)
    except (InvalidSpecError, UnsupportedFeatureError, ValueError):
        return np.inf
    given = _early(given)
    with np.errstate(all="ignore"):
        made = run_reference(wrong, given.probe)
        errors = [
            np.abs(output - _returned(given, made[len(spec.layers) - 1, name].hidden))[given.seen[name]].max()
            for name, output in given.outputs.items()
        ]
    return float(np.nan_to_num(max(errors), nan=np.inf))


def _returned(run: FreeRun, states: Array) -> Array:
    return states if run.output is None else evaluate(run.output, states)


def _judged(spec: GRUSpec, run: FreeRun, how: Arithmetic, hypothesis: Hypothesis) -> Explanation:
    wrong, given = _made(spec, run, hypothesis)
    found = [one for one in judge_free(wrong, given, how).values() if one.followed.judged]
    places = tuple((index, name) for index, name, _ in spec.directions())
    if all(edit.axis in DATA_AXES for edit in hypothesis):
        places = ()  # of the run, and of no layer
    residual = max((one.max_abs for one in found), default=np.inf)
    headroom = max((one.headroom for one in found), default=np.inf)
    return Explanation(hypothesis, residual, headroom, places, everywhere=True)


def _made(spec: GRUSpec, run: FreeRun, hypothesis: Hypothesis) -> tuple[GRUSpec, FreeRun]:
    """The equations and the run, with the mistakes of `hypothesis`."""
    learned = any(direction.initial_state is not None for _, _, direction in spec.directions())
    of_spec = {*SPEC_AXES, "initial_state"} if learned else {*SPEC_AXES}
    spec = apply(tuple(edit for edit in hypothesis if edit.axis in of_spec), spec)
    for edit in hypothesis:
        if edit in _CASTS:
            spec = _cast(spec, _CASTS[edit])
        elif edit.axis not in of_spec:
            run = _DATA[edit](run)
    return spec, run


def _cast(spec: GRUSpec, precision: Precision) -> GRUSpec:
    """The spec, in float64, with its numbers rounded as they would be to be stored."""

    def kernel(gates: Gates[Array]) -> Gates[Array]:
        return Gates(*precision.on_kernel(np.stack([array for _, array in gates.items()])))

    def bias(array: Array | None) -> Array | None:
        return None if array is None else precision.on_bias(array)

    def rounded(direction: GRUDirection) -> GRUDirection:
        b, c = direction.input_bias, direction.recurrent_bias
        return replace(
            direction,
            input_weight=kernel(direction.input_weight),
            recurrent_weight=kernel(direction.recurrent_weight),
            input_bias=b and b.map(precision.on_bias),
            recurrent_bias=c and c.map(bias),
        )

    layers = []
    for layer in spec.astype("float64").layers:
        made = {name: rounded(direction) for name, direction in layer.directions()}
        layers.append(replace(layer, forward=made.get("forward"), backward=made.get("backward")))
    return replace(spec, layers=tuple(layers))


def _without_state(run: FreeRun) -> FreeRun:
    return replace(run, probe=replace(run.probe, initial_state={}))


def _without_lengths(run: FreeRun) -> FreeRun:
    run = replace(run, probe=replace(run.probe, lengths=None))
    every = np.ones(run.probe.x.shape[:2], bool)
    return run.ending({name: last_read(name, every) for name in run.seen}) if run.only_last else run


def _all_at_last_step(run: FreeRun) -> FreeRun:
    valid = valid_steps(run.probe.batch, run.probe.steps, run.probe.lengths)
    return run.ending({name: last_read("forward", valid) for name in run.seen})


def _input_reversed(run: FreeRun) -> FreeRun:
    return replace(run, probe=replace(run.probe, x=_reversed(run.probe.x, run.probe.lengths)))


def _stored_reversed(run: FreeRun) -> FreeRun:
    turned = {name: _reversed(output, run.probe.lengths) for name, output in run.outputs.items()}
    return replace(run, outputs=turned)


def _reversed(array: Array, lengths: Array | None) -> Array:
    """Reverse the valid steps of [B, T, ...]."""
    batch, steps, _ = array.shape
    ends = np.full(batch, steps) if lengths is None else np.asarray(lengths)
    time = np.arange(steps)
    turned = np.where(time < ends[:, None], ends[:, None] - 1 - time, time)
    found: Array = np.take_along_axis(array, turned[..., None], axis=1)
    return found


_CASTS = {
    one.edit: one for one in LADDER if one.factors is None and one.format is None and one.kernels is not None
}
_AT_LAST_STEP = Edit(
    "time",
    "backward_at_last_step",
    "the backward direction's output is that of the last step, where it has read one input only",
)
_DATA: dict[Edit, Callable[[FreeRun], FreeRun]] = {
    DATA_EDITS["initial_state=ignored"]: _without_state,
    DATA_EDITS["lengths=ignored"]: _without_lengths,
    DATA_EDITS["time=input_reversed"]: _input_reversed,
    DATA_EDITS["time=stored_reversed"]: _stored_reversed,
    DATA_EDITS["time=read_other_way"]: lambda run: _stored_reversed(_input_reversed(run)),
    _AT_LAST_STEP: _all_at_last_step,
}
_OF_SEQUENCES = [edit for edit in _DATA if edit != _AT_LAST_STEP]
_OF_LAST = [edit for edit in _DATA if edit.value not in {"stored_reversed", "read_other_way"}]
