"""Random layouts: whatever tensors a person may choose, a spec goes into them and comes back bit for bit."""

from __future__ import annotations

import random

import numpy as np
import pytest

from grubridge import reference
from grubridge.formats.readback import differences
from grubridge.layouts.finding import of_place
from grubridge.layouts.reading import read_direction
from grubridge.layouts.toml import from_json, to_json
from grubridge.layouts.writing import plan, reasons_against
from grubridge.spec import GATE_NAMES, GRULayer, GRUSpec, Layout
from grubridge.traces import Probe
from tests.zoo import make_spec

WEIGHTS, BIASES = ["input_weight", "recurrent_weight"], ["input_bias", "recurrent_bias"]


def _groups(rng: random.Random, gates: list[str]) -> list[list[str]]:
    """Return the gates in random order, cut into random groups."""
    rng.shuffle(gates)
    cuts = sorted(rng.sample(range(1, len(gates)), rng.randint(0, len(gates) - 1)))
    return [gates[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(gates)], strict=True)]


def _tensors(rng: random.Random, gates: list[str], parts: list[str]) -> list[dict[str, object]]:
    """Return tensors that hold every one of `parts` of every gate, together or apart."""
    together = len(parts) == 2 and rng.random() < 0.5
    kinds = [rng.sample(parts, 2)] if together else [[part] for part in parts]
    found: list[dict[str, object]] = []
    for holds in kinds:
        for group in _groups(rng, list(gates)):
            tensor: dict[str, object] = {"holds": holds, "gates": group}
            if parts == WEIGHTS:
                tensor["rows"] = rng.choice(["output", "input"])
            elif together:
                tensor["flat"] = rng.random() < 0.5
            found.append(tensor)
    return found


def _document(rng: random.Random) -> dict[str, object]:
    update, reset = rng.choice(["keeps", "takes", "absent"]), rng.choice(["after", "before", "absent"])
    absent = {gate for gate, how in (("update", update), ("reset", reset)) if how == "absent"}
    gates: list[str] = [gate for gate in GATE_NAMES if gate not in absent]
    biases = rng.choice([BIASES, BIASES[:1]])
    tensors = _tensors(rng, gates, WEIGHTS) + _tensors(rng, gates, biases)
    rng.shuffle(tensors)
    named = {f"t{index}": tensor for index, tensor in enumerate(tensors)}
    return {"name": "random", "about": "", "update": update, "reset": reset, "tensors": named}


@pytest.mark.parametrize("seed", range(150))
def test_a_spec_goes_through_any_layout(seed: int) -> None:
    layout = from_json(_document(random.Random(seed)))  # noqa: S311 - no secrets
    biases = "input" if not any("recurrent_bias" in tensor.holds for tensor in layout.tensors) else "split"
    spec = make_spec(
        "any", sizes=(3, 4), reset_after=layout.reset != "before", biases=biases, dtype="float64", seed=seed
    )
    forward = spec.layers[0].forward
    assert forward is not None
    for gate in sorted(layout.absent_gates):
        forward = forward.without(gate)
    spec = GRUSpec((GRULayer(forward, None, spec.layers[0].reset_after),))

    assert reasons_against(spec, layout) == ()
    assert from_json(to_json(layout)) == layout
    planned = plan(spec, layout, Layout(GATE_NAMES, "output"))
    written = {name: fused.to_array() for name, fused in planned.tensors.items()}
    direction, reset_after = read_direction(of_place(layout, 0, "forward"), written)
    back = GRUSpec((GRULayer(direction, None, reset_after),))

    assert differences(planned.stored, back) == ()
    x = np.random.default_rng(seed).standard_normal((2, 5, 3))
    one, other = (reference.run(each, Probe(x)).places[0, "forward"].hidden for each in (spec, back))
    assert np.abs(one - other).max() < 1e-14
