"""Mistakes as edits of a spec, held against the same mistakes written apart from them."""

import re

import numpy as np
import pytest

from grubridge.diagnosis.edits import Edit, Hypothesis
from grubridge.diagnosis.hypotheses import alternatives, apply, site
from grubridge.errors import UnsupportedFeatureError
from grubridge.reference import run
from grubridge.spec import TANH, Activation, Array, GRUSpec, fuse, hard_sigmoid, split
from grubridge.traces import Probe
from tests.diagnosis.test_explain import EDITS
from tests.mistakes import MISTAKES
from tests.zoo import make_spec


def _hidden(spec: GRUSpec) -> Array:
    """The states of all places in float64, side by side."""
    rng = np.random.default_rng(2)
    trace = run(spec, Probe(rng.standard_normal((3, 6, spec.input_size))))
    return np.concatenate([place.hidden for place in trace.places.values()], axis=-1)


def _edits(spec: GRUSpec, *wanted: str) -> Hypothesis:
    """The edits that the search would try, by what a machine reads."""
    known = {str(edit): edit for axis in alternatives(site(spec, 0, "forward")) for edit in axis}
    known["initial_state=ignored"] = Edit("initial_state", "ignored", "the initial state is ignored")
    return tuple(known[edit] for edit in wanted)


@pytest.mark.parametrize("name", MISTAKES)
def test_an_edit_does_what_the_mistake_does(name: str) -> None:
    spec = make_spec("s", sizes=(5, 7), directions="both", initial_state=True)
    wrong = MISTAKES[name](spec)

    made = apply(_edits(spec, *EDITS[name]), spec)

    assert np.abs(_hidden(made) - _hidden(spec)).max() > 1e-3
    assert np.abs(_hidden(made) - _hidden(wrong)).max() < 1e-6  # where biases are summed, in float32


def test_edits_are_made_together() -> None:
    spec = make_spec("s", sizes=(5, 7))
    wrong = MISTAKES["gates rotated"](MISTAKES["biases exchanged"](spec))

    made = apply(_edits(spec, "gate_order=reset,candidate,update", "biases=exchanged"), spec)

    assert np.array_equal(_hidden(made), _hidden(wrong))


def test_a_pytorch_kernel_reshaped_into_keras_shape() -> None:
    spec = make_spec("s", sizes=(5, 7))
    forward = spec.layers[0].forward
    assert forward is not None
    weight_ih_rzn = fuse(forward.input_weight, ("reset", "update", "candidate"), axis=0).to_array()
    kernel_rzn_i3h = weight_ih_rzn.reshape(5, 21)
    expected = split(kernel_rzn_i3h, ("reset", "update", "candidate"), axis=1)

    made = apply(_edits(spec, "kernel=rows_reshaped_rzn"), spec).layers[0].forward

    assert made is not None
    for gate, array in made.input_weight.items():
        assert np.array_equal(array, expected[gate].T)


def test_activations_and_clip() -> None:
    slope = hard_sigmoid(1 / 6)
    spec = make_spec("s", activations=((slope, TANH),), clip=0.5)

    (layer,) = apply(_edits(spec, "gate_activation=hard_sigmoid:0.2:0.5", "clip=none"), spec).layers
    (other,) = apply(_edits(spec, "candidate_activation=scaled_tanh:1.7159:0.6666666666666666"), spec).layers

    assert layer.clip is None
    assert layer.forward is not None
    assert layer.forward.gate_activation == hard_sigmoid(0.2)
    assert other.forward is not None
    assert other.forward.candidate_activation == Activation("scaled_tanh", 1.7159, 2 / 3)


def test_what_changes_nothing_is_not_looked_for() -> None:
    spec = make_spec("s", sizes=(7, 7), biases="none")

    looked_for = {str(edit) for axis in alternatives(site(spec, 0, "forward")) for edit in axis}

    assert not any(
        edit.startswith(("biases=", "gate_order=biases:", "directions=", "clip=")) for edit in looked_for
    )
    assert "kernel=transposed" in looked_for
    assert "kernel=reshaped" not in looked_for  # of a square array, the same
    assert "gate_activation=sigmoid" not in looked_for
    assert "reset_after=false" in looked_for


@pytest.mark.parametrize(
    "edit",
    [
        Edit("time", "read_other_way", "time is read in the other direction"),
        Edit("precision", "tf32_truncated", "matrix products round their factors to TF32 (truncated)"),
        Edit("initial_state", "ignored", "the initial state is ignored"),
    ],
)
def test_a_mistake_that_no_spec_has_is_refused(edit: Edit) -> None:
    with pytest.raises(UnsupportedFeatureError, match=re.escape(f"no spec says that {edit.phrase}")):
        apply((edit,), make_spec("s"))


def test_an_update_gate_without_symmetry_is_not_flipped() -> None:
    spec = make_spec("s")
    flipped, tanh = _edits(spec, "update_gate=takes", "gate_activation=tanh")

    with pytest.raises(UnsupportedFeatureError, match="negated weights do not turn z into 1 - z under tanh"):
        apply((flipped, tanh), spec)


def test_biases_of_the_candidate_alone() -> None:
    spec = make_spec("s", biases="candidate")
    before = spec.layers[0].forward
    made = apply(_edits(spec, "gate_order=biases:update,candidate,reset"), spec).layers[0].forward

    assert before is not None
    assert made is not None
    assert before.recurrent_bias is not None
    assert before.recurrent_bias.candidate is not None
    assert made.recurrent_bias is not None
    update, reset, candidate = (array for _, array in made.recurrent_bias.items())
    assert update is not None
    assert reset is not None
    assert candidate is not None
    assert reset.tolist() == before.recurrent_bias.candidate.tolist()
    assert not update.any()
    assert not candidate.any()
