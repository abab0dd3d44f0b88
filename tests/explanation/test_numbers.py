"""Every number that is printed is the framework's own, and every equation holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge.explanation.arithmetic import MOST_TERMS
from grubridge.reference import run
from grubridge.report.explanation import render
from grubridge.spec import Array, Gates, GRUDirection, GRULayer, GRUSpec
from tests.explanation.printed import printed
from tests.keras_grus import INPUT_SIZE, VARIANTS, probe_x, sequential

CELLS = Path(__file__).resolve().parents[2] / "samples" / "cells"
KERAS = [
    "reset_after",
    "reset_before",
    "no_bias",
    "no_bias_reset_before",
    "hard_sigmoid",
    "relu",
    "elu",
    "softplus",
]


def _check(story: grubridge.Explanation, states: Array, tolerance: float) -> None:
    """Hold every equation against itself, and h against `states` [T, H]."""
    text = render(replace(story, digits=17))
    trace = run(story.spec, story.probe)[story.place]
    assert trace.gates is not None
    expected = {"z": trace.gates.update, "r": trace.gates.reset, "n": trace.gates.candidate}
    if story.takes:
        expected["z"] = 1 - expected["z"]
    seen = set()
    for equation in printed(text):
        at = equation.step, equation.unit
        np.testing.assert_allclose(equation.sides, equation.sides[-1], rtol=1e-12, atol=1e-14)
        if equation.name == "h":
            assert abs(equation.sides[-1] - states[at]) <= tolerance
        else:
            assert abs(equation.sides[-1] - expected[equation.name][0][at]) <= 1e-14
        seen.add((equation.name, *at))
    gates = 4 - len(story.direction.absent_gates)
    assert len(seen) == gates * len(story.units) * story.probe.steps


@pytest.mark.parametrize("name", KERAS)
def test_keras(name: str, keras: ModuleType) -> None:
    model = sequential(keras, "float64", VARIANTS[name])
    layer = model.layers[-1]
    layer.return_sequences = True
    x = probe_x()
    states = np.asarray(layer(x.astype(np.float64)))[0]

    size = states.shape[1]
    for unit in {0, size - 1}:
        story = grubridge.explain(layer, x[:1], unit=unit)
        _check(story, states, 1e-14)
    assert {term.count for term in (story.steps[0].units[0].candidate.input,)} == {INPUT_SIZE}


@pytest.mark.parametrize(
    ("layer", "direction"), [(0, "forward"), (0, "backward"), (1, "forward"), (1, "backward")]
)
def test_pytorch(layer: int, direction: Any, torch: ModuleType) -> None:
    torch.manual_seed(0)
    gru = torch.nn.GRU(2, 3, num_layers=2, bidirectional=True, batch_first=True, dtype=torch.float64)
    below = torch.nn.GRU(2, 3, bidirectional=True, batch_first=True, dtype=torch.float64)
    below.load_state_dict({name: value for name, value in gru.state_dict().items() if "_l0" in name})
    x = np.random.default_rng(0).standard_normal((1, 5, 2))
    with torch.no_grad():
        states = (below if layer == 0 else gru)(torch.tensor(x))[0][0].numpy()

    story = grubridge.explain(gru, x, layer=layer, direction=direction)

    assert len(story.units) == 3 <= MOST_TERMS
    assert [step.time for step in story.steps] == (
        [0, 1, 2, 3, 4] if direction == "forward" else [4, 3, 2, 1, 0]
    )
    assert story.answer == (4 if direction == "forward" else 0)
    _check(story, states[:, :3] if direction == "forward" else states[:, 3:], 1e-14)


@pytest.mark.parametrize(
    "name", ["d2l", "d2l-reset-only", "d2l-update-only", "concat-xh", "concat-hx", "split-linear"]
)
def test_hand_written_cells(name: str) -> None:
    """The recorded outputs are those of the cells themselves, in float32."""
    with np.load(CELLS / f"{name}.npz") as recording:
        x = recording["x"]
        last = recording["last"][0] if "last" in recording.files else recording["hidden"][0, -1]
    hints = grubridge.ReadHints(layout=name)
    story = grubridge.explain(CELLS / f"{name}.pt", x, hints=hints, unit=2)
    returned = np.tanh(story.hidden) if story.output_activation is not None else story.hidden

    np.testing.assert_allclose(returned[-1], last, atol=2e-6)
    assert story.takes == name.startswith("concat")
    assert story.notes[-1] == f"of {len(x)} sequences the first is worked out"
    _check(story, story.hidden, 1e-14)


def test_clipped_arguments() -> None:
    rng = np.random.default_rng(0)
    weights, recurrent = (Gates(*rng.standard_normal((3, 2, 2))) for _ in range(2))
    layer = GRULayer(GRUDirection(weights, recurrent), None, reset_after=True, clip=0.25)
    story = _of(GRUSpec((layer,)), rng.standard_normal((3, 2)))

    _check(story, story.hidden, 1e-14)
    assert "clip(a) = a, but at least -0.25 and at most 0.25" in render(story)
    assert "sigmoid(clip(" in render(story)


def _of(spec: GRUSpec, x: Array) -> grubridge.Explanation:
    """Explain a spec that no file can hold without ONNX's help, by way of ONNX's messages."""
    return grubridge.explain(grubridge.to_model(spec), x)


def test_one_step_of_one_unit_from_a_given_state() -> None:
    rng = np.random.default_rng(0)
    weights = {"kernel": rng.standard_normal((2, 9)), "recurrent_kernel": rng.standard_normal((3, 9))}
    h, x = rng.standard_normal((1, 1, 3)), rng.standard_normal((1, 4, 2))
    hints = grubridge.ReadHints(reset_after=False)

    story = grubridge.explain(weights, {"x": x, "initial_state": h}, step=1, unit=2, hints=hints)

    (step,) = story.steps
    (unit,) = step.units
    k, u = weights["kernel"].T, weights["recurrent_kernel"].T
    z, r = (1 / (1 + np.exp(-(k[at] @ x[0, 0] + u[at] @ h[0, 0]))) for at in (slice(0, 3), slice(3, 6)))
    n = np.tanh(k[6:] @ x[0, 0] + u[6:] @ (r * h[0, 0]))
    first = z * h[0, 0] + (1 - z) * n
    np.testing.assert_allclose(step.previous, first, rtol=1e-13)
    assert (step.time, unit.unit, story.answer) == (1, 2, 1)
    assert [term.value for term in unit.candidate.recurrent.terms] == step.previous.tolist()
    assert unit.candidate.reset is None
    assert "The state at the start is given." in render(story)
    assert "h after step 1: unit 2: " in render(story)
