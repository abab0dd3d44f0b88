"""A refusal lists every reason, each with a way out."""

from dataclasses import replace

from grubridge.spec import SIGMOID, TANH, Activation, Capabilities, GRUSpec, hard_sigmoid, unsupported
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
        "mixed_layers": "the layers differ in hidden size or directions, and Narrow",
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


def test_a_reason_names_its_layers_in_a_stack_and_comes_once() -> None:
    stack = member("three_layers_reset_before")
    after = replace(stack.layers[1], reset_after=True)
    last_too = replace(stack, layers=(stack.layers[0], after, stack.layers[2]))
    last_only = replace(stack, layers=(after, after, stack.layers[2]))

    whole, two, one = (_reasons(spec) for spec in (stack, last_too, last_only))

    assert [reason.split(" is")[0] for reason in whole] == ["every layer: the reset gate"]
    assert [reason.split(" is")[0] for reason in two] == ["layers 0, 2: the reset gate"]
    assert [reason.split(" is")[0] for reason in one] == ["layer 2: the reset gate"]


def test_of_many_activations_the_kin_is_named() -> None:
    held = frozenset((Activation("tanh"), Activation("relu"), hard_sigmoid(0.2)))

    (reason,) = unsupported(member("hard_sigmoid_keras_3"), Capabilities(gate_activations=held), "Other")

    assert reason == (
        "the gate activation is hard_sigmoid(0.166667, 0.5); Other has hard_sigmoid(0.2, 0.5); "
        "write ONNX, which has it"
    )


def test_a_format_that_holds_everything_has_no_reason() -> None:
    assert unsupported(member("mixed_layers"), Capabilities(), "Wide") == ()
