"""The text and the JSON of a traced model: curves with their scale, what people quote, nothing wide."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from grubridge.checker.probe import random_probe
from grubridge.reference import run
from grubridge.report import render, to_json
from grubridge.spec import Array, Gates, GRUSpec
from grubridge.traces import DirectionTrace, Place, Probe, Trace
from grubridge.tracing import TracedModel
from tests.zoo import ZOO, make_spec

SPEC = make_spec("gru", sizes=(3, 2))
FORWARD: Place = (0, "forward")


def _traced(
    spec: GRUSpec = SPEC, *, batch: int = 2, steps: int = 8, lengths: list[int] | None = None
) -> TracedModel:
    whole = [steps] * batch if lengths is None else lengths
    probe = random_probe([spec], seed=1, batch=batch, steps=steps, lengths=whole)
    return TracedModel("a.pt", spec.name, spec, probe, run(spec, probe))


def _made(traced: TracedModel, **changes: object) -> TracedModel:
    """Return the traced model with these parts of its only place changed."""
    places = {FORWARD: replace(traced[FORWARD], **changes)}  # type: ignore[arg-type]
    return replace(traced, trace=replace(traced.trace, places=places))


def _by_hand(update: Array) -> TracedModel:
    """One sequence of one unit that receives nothing: r is 1 - z, n is 1, h is what they make of zero."""
    hidden, h = np.zeros_like(update), 0.0
    for t, z in enumerate(update[0, :, 0]):
        hidden[0, t, 0] = h = z * h + (1 - z)
    spec = make_spec("by hand", sizes=(1, 1))
    x = np.zeros(update.shape)
    gates = Gates(update, 1 - update, np.ones_like(update))
    made = DirectionTrace(x, np.zeros((1, 1)), hidden, gates, "observed")
    trace = Trace(
        "pytorch", "torch 9.9", "cpu", "float32", native=True, places={FORWARD: made}, kernel="nn.GRU"
    )
    return TracedModel("a.pt", "by hand", spec, Probe(x, origin="x.npy"), trace)


def test_the_whole_text() -> None:
    update = np.array([0.0, 0.125, 0.25, 0.5, 0.625, 0.75, 0.875, 1.0]).reshape(1, 8, 1)

    assert render(_by_hand(update)) == (
        """\
a.pt, by hand
run: torch 9.9, cpu, float32, nn.GRU
inputs: x.npy; 1 sequence of 8 steps
gates: observed in the run itself

layer 0 forward, 1 unit
  mean in each step                             >0.9    <0.1
  z     0.00 ▁▂▃▅▆▇██                 1.00       12%     12%
  r     0.00 ██▇▅▄▃▂▁                 1.00       12%     12%
  |n|   1.00 ▅▅▅▅▅▅▅▅                 1.00      1.00 to 1.00
  |h|   1.00 ▅▅▅▅▅▅▅▅                 1.00      1.00 to 1.00
  memory: 2.1 steps (median unit; 2.1 to 2.1)
  1 dead unit: 0
  z*h + (1-z)*n gives the next h back exactly

A curve runs from the number on its left to the one on its
  right. Memory is 1/(1-z), z being a unit's mean over the
  run. A dead unit's h is constant or smaller than 0.001.
"""
    )


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_no_line_is_wider_than_60_columns(spec: GRUSpec) -> None:
    for steps in (1, 7, 100):
        traced = _traced(spec, batch=3, steps=steps, lengths=[steps, 1, (steps + 1) // 2])
        for text in (render(traced), render(traced.of_unit(1))):
            assert max(map(len, text.splitlines())) <= 60


def test_large_and_small_numbers_keep_their_columns() -> None:
    traced = _traced()
    for scale in (1e-12, 1e12, -1e12):
        made = _made(traced, hidden=traced[FORWARD].hidden * scale)
        assert max(map(len, render(made).splitlines())) <= 60


def test_many_steps_are_means_of_columns() -> None:
    update = np.repeat(np.linspace(0, 1, 24), 2).reshape(1, 48, 1)

    lines = render(_by_hand(update)).splitlines()

    assert "  mean, 2 steps a column                        >0.9    <0.1" in lines
    assert "  z     0.00 ▁▁▁▂▂▂▃▃▃▄▄▄▅▅▅▆▆▆▇▇▇███ 1.00       12%     12%" in lines


def test_one_unit() -> None:
    traced = _traced().of_unit(1)
    seen = traced.statistics(FORWARD)
    assert seen.memory is not None

    lines = render(traced).splitlines()

    assert "layer 0 forward, unit 1 of 2" in lines
    assert f"  memory: {seen.memory.median:.1f} steps" in lines
    assert "  not dead" in lines
    assert [line[2:5].strip() for line in lines[7:11]] == ["z", "r", "n", "h"]


def test_endless_memory_and_gates_that_hardly_close() -> None:
    update = np.full((1, 1000, 1), 0.5)
    update[0, 3, 0] = 0.95
    text = render(_by_hand(update))
    assert "<1%" in text
    assert "memory: 2.0 steps" in text

    text = render(_by_hand(np.ones((1, 4, 1))))
    assert "memory: endless (median unit; endless to endless)" in text
    assert "100%" in text


def test_dead_units_are_named_up_to_a_number() -> None:
    spec = make_spec("wide", sizes=(3, 20))
    traced = _traced(spec)
    assert "  no dead units\n" in render(traced)

    hidden = traced[FORWARD].hidden.copy()
    hidden[..., 2] = 0
    assert "  1 dead unit: 2\n" in render(_made(traced, hidden=hidden))
    text = " ".join(render(_made(traced, hidden=hidden * 0)).split())
    assert "20 dead units: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more" in text


def test_gates_of_another_run_are_not_passed_off() -> None:
    traced = _traced()
    gates = traced[FORWARD].gates
    assert gates is not None

    text = " ".join(render(_made(traced, gates=replace(gates, update=gates.reset))).split())

    assert "of what rounding allows: these are not the gates of this run" in text


def test_states_that_are_not_numbers() -> None:
    traced = _traced()
    hidden = traced[FORWARD].hidden.copy()
    hidden[0, 3:] = np.nan
    gates = traced[FORWARD].gates
    assert gates is not None
    spoilt = _made(traced, hidden=hidden, gates=replace(gates, update=hidden))

    text = render(spoilt)

    assert "????????" in text
    assert "nan to nan" in text
    assert "memory: nan steps (median unit; nan to nan)" in text
    assert "states are NaN or infinite" in " ".join(text.split())
    assert to_json(spoilt)["layers"][0]["recomposition"] == {"max_abs": None, "of_bound": None}


def test_a_runtime_that_shows_no_gates() -> None:
    hidden_only = _made(_traced(), gates=None)

    text = render(hidden_only)

    assert "gates: not shown by this runtime\n" in text
    assert "memory: " not in text
    assert "  |h| " in text
    (layer,) = to_json(hidden_only)["layers"]
    assert (layer["gate_source"], layer["update"], layer["memory"]) == (None, None, None)


def test_gates_obtained_in_two_ways_are_told_apart() -> None:
    traced = _traced(make_spec("both", sizes=(3, 2), directions="both"))
    backward = replace(traced[0, "backward"], gate_source="replayed")
    places = {**traced.trace.places, (0, "backward"): backward}

    text = render(replace(traced, trace=replace(traced.trace, places=places)))

    assert "\nlayer 0 forward, 2 units\n  gates: those of the float64 equations\n" in text
    assert "\nlayer 0 backward, 2 units\n  gates: replayed by the runtime's own operators" in text


def test_names_from_files_are_escaped() -> None:
    traced = replace(_traced(), stack="a\x1b[31m")

    assert "\x1b" not in render(traced)


def test_json_holds_the_statistics() -> None:
    traced = _traced(make_spec("both", sizes=(3, 2, 4), directions="both"), lengths=[8, 3])

    values = json.loads(json.dumps(to_json(traced), allow_nan=False))

    assert values["schema_version"] == 1
    assert (values["model"], values["stack"], values["unit"]) == ("a.pt", "both", None)
    assert values["inputs"] == {"origin": "random, seed 1", "batch": 2, "steps": 8, "lengths": [8, 3]}
    assert (values["run"]["backend"], values["run"]["dtype"]) == ("reference", "float64")
    assert "gate_sources" not in values["run"]
    assert [(one["layer"], one["direction"], one["units"]) for one in values["layers"]] == [
        (0, "forward", 2),
        (0, "backward", 2),
        (1, "forward", 4),
        (1, "backward", 4),
    ]
    seen = traced.statistics((1, "backward"))
    assert seen.update is not None
    assert seen.memory is not None
    last = values["layers"][-1]
    assert last["update"] == {
        "mean": seen.update.mean,
        "low": seen.update.low,
        "high": seen.update.high,
        "above": seen.update.above,
        "below": seen.update.below,
    }
    assert last["memory"]["median"] == seen.memory.median
    assert last["recomposition"] == {"max_abs": 0, "of_bound": 0}
    assert last["dead_units"] == []
