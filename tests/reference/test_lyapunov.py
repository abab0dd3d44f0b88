"""Lyapunov exponents that are known: of a linear cell, of one without memory, of a chaotic network."""

import math
from dataclasses import replace

import numpy as np
import pytest

from grubridge.reference import cell, run
from grubridge.reference.lyapunov import lyapunov_exponent
from grubridge.spec import Direction, Gates, GRUDirection, GRULayer, GRUSpec
from grubridge.traces import Probe
from tests.zoo import make_spec


def _exponent(layer: GRULayer, direction: Direction, lengths: np.ndarray | None = None) -> float:
    rng = np.random.default_rng(1)
    probe = Probe(rng.standard_normal((3, 40, layer.input_size)), lengths=lengths)
    made = run(GRUSpec((layer,)), probe).places[0, direction]
    own = layer.forward if direction == "forward" else layer.backward
    assert own is not None
    return lyapunov_exponent(cell(layer, own), made, direction, lengths)


def _keeping(update_bias: float, hidden: int = 4) -> GRULayer:
    """h' = z*h + (1 - z)*tanh(W x): every difference shrinks by z, which is constant."""
    rng = np.random.default_rng(0)
    zero, square, none = np.zeros((hidden, 2)), np.zeros((hidden, hidden)), np.zeros(hidden)
    direction = GRUDirection(
        Gates(zero, zero, rng.standard_normal((hidden, 2))),
        Gates(square, square, square),
        Gates(np.full(hidden, update_bias), none, none),
        None,
    )
    return GRULayer(direction, direction, reset_after=True)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("lengths", [None, np.array([40, 7, 1])])
def test_a_linear_memory_shrinks_by_z(direction: Direction, lengths: np.ndarray | None) -> None:
    z = 1 / (1 + math.exp(-0.4))

    assert _exponent(_keeping(0.4), direction, lengths) == pytest.approx(math.log(z), rel=1e-6)


def test_weak_weights_forget_and_strong_ones_are_chaotic() -> None:
    layer = make_spec("wide", sizes=(4, 32)).layers[0]
    assert layer.forward is not None
    strong = layer.forward.recurrent_weight.map(lambda w: w * 4 / np.std(w) / 32**0.5)
    weak = layer.forward.recurrent_weight.map(lambda w: w * 0.1)
    forgetful, chaotic = (
        replace(layer, forward=replace(layer.forward, recurrent_weight=w)) for w in (weak, strong)
    )

    assert _exponent(forgetful, "forward") < -0.1
    assert _exponent(chaotic, "forward") > 0.02
