"""Runs with known mistakes: random GRUs, one to three mistakes, and sometimes a lower precision beside them.

Cases are numbered, and the number seeds the random numbers. A run is made by a float32 GRU of numpy's or,
where it has the equations, by PyTorch's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.wrong_runs import PRECISIONS, run_wrongly
from grubridge.checker.compare import compare
from grubridge.checker.findings import Side
from grubridge.checker.verdict import Verdict
from grubridge.diagnosis.edits import SPEC_AXES, Edit, Hypothesis
from grubridge.diagnosis.hypotheses import alternatives, apply, site
from grubridge.diagnosis.precision import LADDER
from grubridge.diagnosis.steps import Seen, data_alternatives
from grubridge.errors import UnsupportedFeatureError
from grubridge.reference import cell
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.reference.inputs import initial_state, layer_input
from grubridge.spec import (
    SIGMOID,
    TANH,
    Activation,
    Array,
    Gates,
    GRUDirection,
    GRULayer,
    GRUSpec,
    hard_sigmoid,
)
from grubridge.traces import DirectionTrace, Place, Probe, Trace

__all__ = ["HOW", "Case", "draw", "seen_at"]

HOW = arithmetic_of("numpy", "float32")
_SEED = 17


@dataclass(frozen=True)
class Case:
    """A run with known mistakes.

    Args:
        spec: what should have been computed.
        probe: the inputs.
        mistakes: what was done wrong.
        trace: what was computed.
        places: where the check sees a difference.
    """

    spec: GRUSpec
    probe: Probe
    mistakes: Hypothesis
    trace: Trace
    places: tuple[Place, ...]


def draw(number: int) -> Case:
    """Return case `number`; one that no check can see is drawn anew."""
    rng = np.random.default_rng((_SEED, number))
    while True:
        spec = _spec(rng)
        probe = _probe(spec, rng)
        mistakes = _mistakes(spec, probe, rng)
        try:
            wrong = apply(tuple(edit for edit in mistakes if edit.axis in SPEC_AXES), spec)
        except (
            ValueError,
            UnsupportedFeatureError,
        ):  # z cannot be flipped, or a shape does not fit in another layer
            continue
        others: dict[str, str] = {edit.axis: edit.value for edit in mistakes if edit.axis not in SPEC_AXES}
        trace = None if others else _run_in_torch(wrong, probe)
        trace = trace or run_wrongly(wrong, probe, others)
        judged = compare(spec, trace, probe, "read", (Side("a", None), Side("b", "numpy")), HOW)
        places = [(one.layer, one.direction) for one in judged if one.verdict is Verdict.DIFFERENT]
        if places:
            return Case(spec, probe, mistakes, trace, tuple(places))


def _mistakes(spec: GRUSpec, probe: Probe, rng: np.random.Generator) -> Hypothesis:
    """Up to three edits of different axes that each do something at some place, and sometimes a precision."""
    places = [(index, name) for index, name, _ in spec.directions()]
    index, name = places[rng.integers(len(places))]
    axes: list[tuple[Edit, ...]] = list(alternatives(site(spec, index, name)))
    if len(spec.layers) == 1:
        right = run_wrongly(spec, probe, {})
        axes += data_alternatives(seen_at(spec, right, probe, (index, name)))
    chosen = rng.permutation(len(axes))[: rng.integers(1, 4)]
    edits = [axes[axis][rng.integers(len(axes[axis]))] for axis in sorted(chosen)]
    if any(edit.value == "batch_and_time_exchanged" for edit in edits) and probe.lengths is not None:
        edits = [edit for edit in edits if edit.axis != "time"]
    if rng.random() < 0.3:
        named = {rung.edit.value: rung.edit for rung in LADDER}
        edits = [*edits[: rng.integers(0, 3)], named[rng.choice(list(PRECISIONS))]]
    return tuple(edits)


def _spec(rng: np.random.Generator) -> GRUSpec:
    hidden_size = int(np.exp(rng.uniform(np.log(4), np.log(128.99))))
    width = hidden_size if rng.random() < 0.25 else int(rng.integers(1, 65))
    ways = [(True, False), (False, True), (True, True)][rng.choice(3, p=[0.5, 0.15, 0.35])]
    reset_after, clip = bool(rng.random() < 0.6), 0.7 if rng.random() < 0.1 else None
    biases = rng.choice(["split", "input", "candidate", "none"], p=[0.6, 0.15, 0.15, 0.1])
    common = rng.random() < 0.6
    gates = (SIGMOID, hard_sigmoid(0.2), hard_sigmoid(1 / 6))
    candidates = (TANH, Activation("relu"), Activation("softsign"))
    scale = rng.uniform(0.5, 2)

    def direction() -> GRUDirection:
        def draw(*shape: int, size: float) -> Gates[Array]:
            return Gates(*((rng.standard_normal((3, *shape)) * size).astype(np.float32)))

        c = draw(hidden_size, size=0.3)
        recurrent = {"split": Gates[Array | None](*(c[g] for g in ("update", "reset", "candidate")))}
        recurrent["candidate"] = Gates[Array | None](None, None, c.candidate)
        return GRUDirection(
            draw(hidden_size, width, size=scale / np.sqrt(width)),
            draw(hidden_size, hidden_size, size=scale / np.sqrt(hidden_size)),
            None if biases == "none" else draw(hidden_size, size=0.3),
            recurrent.get(str(biases)),
            None,
            SIGMOID if common else gates[rng.integers(3)],
            TANH if common else candidates[rng.integers(3)],
        )

    layers = []
    for _ in range(2 if rng.random() < 0.2 else 1):
        forward, backward = (direction() if there else None for there in ways)
        layers.append(GRULayer(forward, backward, reset_after, clip))
        width = layers[-1].output_size
    return GRUSpec(tuple(layers))


def _probe(spec: GRUSpec, rng: np.random.Generator) -> Probe:
    batch, steps = int(rng.integers(2, 6)), int(rng.integers(3, 17))
    x = rng.standard_normal((batch, steps, spec.input_size)).astype(np.float32)
    states = {}
    if rng.random() < 0.7:
        states = {
            (index, name): rng.uniform(-1, 1, (batch, direction.hidden_size)).astype(np.float32)
            for index, name, direction in spec.directions()
        }
    lengths = rng.integers(1, steps + 1, batch) if rng.random() < 0.3 else None
    return Probe(x, states, lengths)


def _run_in_torch(spec: GRUSpec, probe: Probe) -> Trace | None:
    """Run one layer of the usual equations in PyTorch; None where it has no such GRU or is not installed."""
    _, name, direction = next(spec.directions())
    functions = (direction.gate_activation, direction.candidate_activation)
    usual = functions == (SIGMOID, TANH) and not direction.absent_gates
    plain = len(list(spec.directions())) == 1 and name == "forward" and probe.lengths is None
    if not (usual and plain and spec.layers[0].reset_after and spec.layers[0].clip is None):
        return None
    try:
        import torch
    except ModuleNotFoundError:
        return None
    numbers = cell(spec.layers[0], direction)
    module = torch.nn.GRU(spec.input_size, direction.hidden_size, batch_first=True)
    parts = (numbers.input_weight, numbers.recurrent_weight, numbers.input_bias, numbers.recurrent_bias)
    with torch.no_grad():
        for parameter, gates in zip(module.parameters(), parts, strict=True):
            fused = np.concatenate([gates.reset, gates.update, gates.candidate])
            parameter.copy_(torch.from_numpy(fused))
        start = initial_state(direction, probe, (0, "forward")).astype(np.float32)
        hidden, _ = module(torch.from_numpy(probe.x), torch.from_numpy(start)[None])
    place = DirectionTrace(probe.x, start, hidden.numpy(), None, "observed")
    return Trace("pytorch", torch.__version__, "cpu", "float32", native=True, places={(0, "forward"): place})


def seen_at(spec: GRUSpec, trace: Trace, probe: Probe, place: Place) -> Seen:
    """Return what a run received and returned in one place."""
    index, name = place
    at, x = site(spec, index, name), layer_input(spec, trace, probe, index)
    assert x is not None  # noqa: S101 - numpy's runs have every layer
    opposite = trace.places.get((index, "backward" if name == "forward" else "forward"))
    across = None if opposite is None else opposite.hidden
    start = initial_state(at.direction, probe, place)
    across_start = None if at.opposite is None else at.opposite.initial_state
    return Seen(name, x, start, trace.places[place].hidden, across, across_start, probe.lengths)
