"""A refusal lists every reason, each with a way out."""

from dataclasses import replace

from grubridge.spec import SIGMOID, TANH, Capabilities, GRUSpec, unsupported
from tests.zoo import member

NARROW = Capabilities(
    reset_modes=frozenset((True,)),
    gate_activations=frozenset((SIGMOID,)),
    candidate_activations=frozenset((TANH,)),
    per_direction_activations=False,
    clip=False,
    initial_state=False,
    backward_only=False,
    mixed_layers=False,
    dtypes=frozenset(("float32",)),
)


def _reasons(spec: GRUSpec) -> tuple[str, ...]:
    return unsupported(spec, NARROW, "Narrow")


def test_a_plain_gru_fits_everywhere() -> None:
    assert _reasons(member("reset_after")) == ()
    assert _reasons(member("two_layers_bidirectional")) == ()


def test_each_feature_has_its_reason() -> None:
    expected = {
        "reset_before": "the reset gate is applied before the recurrent product, and Narrow has no",
        "clip": "pre-activations are clipped to 0.75, and Narrow has no clip; write ONNX",
        "backward_only": "it runs backwards only, and Narrow has no such layer; reverse time in your",
        "initial_state": "it carries a learned initial state, and Narrow has no place for one",
        "relu": "the candidate activation is relu; Narrow has tanh; write ONNX",
        "hard_sigmoid_keras_3": "the gate activation is hard_sigmoid(0.166667, 0.5); Narrow has sigmoid",
        "activations_per_direction": "the two directions have different activations",
        "mixed_layers": "the layers differ in hidden size or directions, and a Narrow",
        "float64": "the weights are float64; Narrow stores float32; choose one of them with --dtype",
    }
    for name, reason in expected.items():
        assert any(reason in found for found in _reasons(member(name))), name


def test_all_reasons_come_at_once() -> None:
    clipped = member("clip")
    backward = replace(clipped.layers[0], forward=None, backward=clipped.layers[0].forward)

    reasons = _reasons(replace(clipped, layers=(backward,)))

    assert len(reasons) == 3
    assert [reason.split(",")[0] for reason in reasons] == [
        "the reset gate is applied before the recurrent product",
        "pre-activations are clipped to 0.75",
        "it runs backwards only",
    ]


def test_a_reason_names_its_layer_in_a_stack() -> None:
    assert _reasons(member("three_layers_reset_before"))[1].startswith("layer 1: the reset gate")


def test_a_format_that_holds_everything_has_no_reason() -> None:
    assert unsupported(member("mixed_layers"), Capabilities(), "Wide") == ()
