"""Activations carry all their parameters and nothing else."""

import pytest

from grubridge.errors import InvalidSpecError
from grubridge.spec import SIGMOID, TANH, Activation, hard_sigmoid


@pytest.mark.parametrize(
    ("name", "alpha", "beta", "message"),
    [
        ("gelu", None, None, "unknown activation 'gelu'; known: affine, elu, hard_sigmoid"),
        ("tanh", 1.0, None, "activation tanh takes no parameter; received alpha=1.0"),
        ("hard_sigmoid", 0.2, None, "activation hard_sigmoid takes alpha and beta; received beta=None"),
        ("elu", None, None, "activation elu takes alpha; received alpha=None"),
        ("elu", float("nan"), None, "activation elu: alpha must be finite; received nan"),
    ],
)
def test_what_is_no_activation_is_refused(
    name: str, alpha: float | None, beta: float | None, message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        Activation(name, alpha, beta)


def test_the_two_hard_sigmoids_differ() -> None:
    assert hard_sigmoid(0.2) != hard_sigmoid(1 / 6)
    assert str(hard_sigmoid(1 / 6)) == "hard_sigmoid(0.166667, 0.5)"
    assert str(SIGMOID) == "sigmoid"


def test_which_activations_turn_negation_into_the_complement() -> None:
    assert SIGMOID.complements
    assert hard_sigmoid(0.2).complements
    assert not Activation("hard_sigmoid", 0.3, 0.4).complements
    assert not TANH.complements
