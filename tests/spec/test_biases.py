"""Biases of another kind, the same function: checked with the equations themselves."""

from dataclasses import replace

import numpy as np
import pytest

from grubridge.formats.readback import differences
from grubridge.reference import run
from grubridge.spec import GRUSpec, split_biases, sum_biases
from grubridge.traces import Probe
from tests.zoo import ZOO, member


def _hidden(spec: GRUSpec) -> np.ndarray:
    random = np.random.default_rng(5)
    probe = Probe(random.standard_normal((3, 6, spec.input_size)))
    return np.concatenate([place.hidden for place in run(spec, probe).places.values()], axis=-1)


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_split_biases_are_all_there_and_change_nothing(spec: GRUSpec) -> None:
    layers, changes = zip(*(split_biases(layer) for layer in spec.layers), strict=True)
    split = replace(spec, layers=layers)

    for _, _, direction in split.directions():
        assert direction.input_bias is not None
        assert direction.recurrent_bias is not None
        assert all(bias is not None for _, bias in direction.recurrent_bias.items())
    assert {change.action for made in changes for change in made.values()} <= {"zero-filled"}
    np.testing.assert_array_equal(_hidden(split), _hidden(spec))


def test_split_reports_what_was_absent() -> None:
    (_, candidate) = split_biases(member("candidate_recurrent_bias").layers[0])
    (_, none) = split_biases(member("no_bias").layers[0])
    (_, both) = split_biases(member("reset_after").layers[0])

    assert list(candidate) == ["forward recurrent_bias"]
    assert list(none) == ["forward input_bias", "forward recurrent_bias"]
    assert not both


def test_a_sum_is_the_same_function_up_to_its_one_rounding() -> None:
    spec = member("reset_before_split_bias")

    layer, changes = sum_biases(spec.layers[0])

    change = changes["forward input_bias"]
    assert change.action == "summed"
    assert 0 < change.largest_change <= 2**-24  # half an ulp of a sum below 2
    assert layer.forward is not None
    assert layer.forward.recurrent_bias is None
    moved = np.abs(_hidden(replace(spec, layers=(layer,))) - _hidden(spec)).max()
    assert 0 < moved < 10 * change.largest_change


def test_a_single_bias_stays_as_it_is() -> None:
    spec = member("reset_before")

    layer, changes = sum_biases(spec.layers[0])

    assert not changes
    assert differences(replace(spec, layers=(layer,)), spec) == ()
