"""A bound is of use only if it is not much wider than what rounding does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grubridge.reference import cell
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.reference.rounding import Interval, one_step_bounds
from grubridge.spec import Array
from grubridge.traces import Probe
from tests.low_precision import run_rounded
from tests.zoo import make_spec

_TERMS = 512


def _errors_and_bounds(deviations: float) -> tuple[Array, Interval]:
    """Errors of z in honest float32 sums of 512 terms, each in an order of its own, and their bounds."""
    spec = make_spec("wide", sizes=(_TERMS, 8), biases="none", seed=8)
    rng = np.random.default_rng(8)
    x = (rng.standard_normal((100, 1, _TERMS)) / 8).astype(np.float32).astype(np.float64)
    gates = run_rounded(spec, Probe(x)).places[0, "forward"].gates
    assert gates is not None
    numbers = cell(spec.layers[0], next(spec.directions())[2])
    how = replace(arithmetic_of("numpy", "float32"), update_error=0.0)  # of sums alone
    bounds = one_step_bounds(numbers, x[:, 0], np.zeros((100, 8)), how, deviations=deviations)["update"]
    return gates.update[:, 0].astype(np.float64) - bounds.value, bounds


def test_standard_deviation_is_that_of_the_errors() -> None:
    """Uniform errors have u^2/3; those of sums are less, as a sum is not always just above a power of two."""
    error, with_none = _errors_and_bounds(0)
    _, with_three = _errors_and_bounds(3)
    deviation = (with_three.statistical - with_none.statistical) / 3
    ratio = float(np.sqrt(np.mean(error**2) / np.mean(deviation**2)))

    assert 0.6 <= ratio <= 1
