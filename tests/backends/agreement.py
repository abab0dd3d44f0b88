"""What the tests of all runtimes share: inputs, and the comparison of a trace with the float64 equations."""

from collections.abc import Sequence

import numpy as np

from grubridge.reference import cell, one_step, run
from grubridge.spec import Array, GRUSpec
from grubridge.traces import GateSource, Place, Probe, Trace, previous_state, valid_steps

__all__ = ["assert_agrees", "make_probe"]

BATCH, STEPS = 3, 6
LENGTHS = (6, 2, 4)
TOLERANCES = {"float64": 1e-14, "float32": 1e-6, "float16": 4e-3, "bfloat16": 4e-2}
"""Of one step; a runtime that mistakes any convention is off by more than 0.05."""


def make_probe(spec: GRUSpec, *, states: bool = True, lengths: Sequence[int] | None = LENGTHS) -> Probe:
    """Return random inputs for `spec`; every value is a multiple of 1/32, which every dtype has."""
    rng = np.random.default_rng(len(spec.name))

    def draw(*shape: int) -> Array:
        return rng.integers(-48, 48, shape) / 32

    given: dict[Place, Array] = {}
    if states:
        given = {(k, way): draw(BATCH, d.hidden_size) for k, way, d in spec.directions()}
    x = draw(BATCH, STEPS, spec.input_size)
    return Probe(x, given, None if lengths is None else np.array(lengths))


def assert_agrees(
    trace: Trace, spec: GRUSpec, probe: Probe, dtype: str | None = None, gate_source: GateSource = "observed"
) -> None:
    """Compare a trace with the equations: the states whole, and gates and states step by step.

    Step by step means from the runtime's own previous state and input, so that rounding does not pile up.
    """
    tolerance = TOLERANCES[dtype or spec.dtype.name]
    expected = run(spec, probe)
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    assert trace.dtype == (dtype or spec.dtype.name)
    assert list(trace.places) == list(expected.places)
    for (k, way), made in trace.places.items():
        ideal = expected.places[k, way]
        assert made.gates is not None
        assert made.gate_source == gate_source
        np.testing.assert_allclose(made.initial_state, ideal.initial_state, rtol=0, atol=tolerance)
        np.testing.assert_allclose(made.x[valid], ideal.x[valid], rtol=0, atol=4 * tolerance)
        np.testing.assert_allclose(made.hidden[valid], ideal.hidden[valid], rtol=0, atol=4 * tolerance)

        layer = spec.layers[k]
        direction = layer.forward if way == "forward" else layer.backward
        assert direction is not None
        previous = previous_state(way, made.hidden, made.initial_state, probe.lengths)
        rows = (array[valid].astype(np.float64) for array in (made.x, previous))
        gates, following = one_step(cell(layer, direction), *rows)
        np.testing.assert_allclose(made.hidden[valid], following, rtol=0, atol=tolerance)
        for gate, values in gates.items():
            assert made.gates[gate].dtype == made.hidden.dtype
            np.testing.assert_allclose(made.gates[gate][valid], values, rtol=0, atol=tolerance, err_msg=gate)
