"""Every rule of the normal form, with a neighbour to which it does not apply."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grubridge.reference.activations import evaluate
from grubridge.spec import Activation, Gates, GRUDirection, GRULayer, hard_sigmoid
from grubridge.spec.normal import NormalDirection, exact_sum, normal_activation, normal_form
from tests.zoo import make_spec

TANH, RELU = Activation("tanh"), Activation("relu")
FLOATS = st.floats(-1e300, 1e300)


def _layer(hidden_size: int = 7, *, reset_after: bool = True, biases: str = "split") -> GRULayer:
    spec = make_spec("one", sizes=(5, hidden_size), reset_after=reset_after, biases=biases, dtype="float64")
    return spec.layers[0]


def _form(layer: GRULayer) -> NormalDirection:
    assert layer.forward is not None
    return normal_form(layer, layer.forward)


def _with(layer: GRULayer, **weights: np.ndarray) -> GRULayer:
    """Replace U_n ("product") and c_n ("bias"), or numbers of the reset gate ("reset")."""
    direction = layer.forward
    assert direction is not None
    if "product" in weights:
        recurrent = replace(direction.recurrent_weight, candidate=weights["product"])
        direction = replace(direction, recurrent_weight=recurrent)
    if "bias" in weights:
        assert direction.recurrent_bias is not None
        recurrent_bias = replace(direction.recurrent_bias, candidate=weights["bias"])
        direction = replace(direction, recurrent_bias=recurrent_bias)
    if "reset" in weights:
        direction = replace(direction, input_weight=replace(direction.input_weight, reset=weights["reset"]))
    return replace(layer, forward=direction)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Activation("scaled_tanh", 1.0, 1.0), TANH),
        (Activation("scaled_tanh", -1.0, -1.0), TANH),
        (Activation("scaled_tanh", 0.7, -1.3), Activation("scaled_tanh", -0.7, 1.3)),
        (Activation("scaled_tanh", 0.0, 2.0), Activation("affine", 0.0, 0.0)),
        (Activation("scaled_tanh", 2.0, 0.0), Activation("affine", 0.0, 0.0)),
        (Activation("leaky_relu", 0.0), RELU),
        (Activation("leaky_relu", 1.0), Activation("affine", 1.0, 0.0)),
        (Activation("thresholded_relu", 0.0), RELU),
        (Activation("thresholded_relu", -0.0), RELU),
        (Activation("elu", 0.0), RELU),
        (Activation("hard_sigmoid", 0.0, 1.5), Activation("affine", 0.0, 1.0)),
        (Activation("hard_sigmoid", 0.0, 0.25), Activation("affine", 0.0, 0.25)),
        (Activation("affine", 1.0, -0.0), Activation("affine", 1.0, 0.0)),
    ],
    ids=str,
)
def test_one_function_has_one_name(one: Activation, other: Activation) -> None:
    a = np.concatenate([np.linspace(-9, 9, 1001), [1e-9, -1e-9, 700.0, -700.0]])

    np.testing.assert_allclose(evaluate(one, a), evaluate(other, a), rtol=0, atol=1e-15)
    assert normal_activation(one) == normal_activation(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Activation("scaled_tanh", 1.0, 1.0 + 2**-40), TANH),
        (Activation("scaled_tanh", -1.0, 1.0), TANH),
        (Activation("leaky_relu", 2**-40), RELU),
        (Activation("leaky_relu", 1.0 - 2**-40), Activation("affine", 1.0, 0.0)),
        (Activation("thresholded_relu", 0.125), RELU),
        (Activation("elu", 2**-40), RELU),
        (hard_sigmoid(0.2), hard_sigmoid(1 / 6)),
        (hard_sigmoid(2**-40), Activation("affine", 0.0, 0.5)),
        (Activation("softsign"), TANH),
        (Activation("affine", 1.0, 2**-40), Activation("affine", 1.0, 0.0)),
    ],
    ids=str,
)
def test_other_functions_keep_other_names(one: Activation, other: Activation) -> None:
    a = np.concatenate([np.linspace(-9, 9, 1001), [0.1]])

    assert np.abs(evaluate(one, a) - evaluate(other, a)).max() > 0
    assert normal_activation(one) != normal_activation(other)


@given(FLOATS, FLOATS)
def test_a_sum_is_kept_without_rounding(one: float, other: float) -> None:
    total = exact_sum(np.array([one]), np.array([other]))
    assert total.low is not None

    assert total.high[0] == one + other
    assert Fraction(float(total.high[0])) + Fraction(float(total.low[0])) == Fraction(one) + Fraction(other)


@pytest.mark.parametrize("reset_after", [True, False])
def test_a_diagonal_product_makes_the_reset_modes_one(*, reset_after: bool) -> None:
    layer = _layer(reset_after=reset_after)
    zeros, product = np.zeros(7), np.diag(np.arange(1.0, 8.0))
    off = product.copy()
    off[6, 0] = 2**-60

    assert _form(_with(layer, product=product, bias=zeros)).reset_modes == {True, False}
    assert _form(_with(layer, product=off, bias=zeros)).reset_modes == {reset_after}
    assert _form(_with(layer, product=product * 0.0, bias=-zeros)).reset_modes == {True, False}
    with_bias = _form(_with(layer, product=product)).reset_modes
    assert with_bias == ({True} if reset_after else {True, False})  # before the product, r leaves c_n alone


def test_one_unit_alone_is_a_diagonal_product() -> None:
    assert _form(_layer(1, biases="input")).reset_modes == {True, False}
    assert _form(_layer(1)).reset_modes == {True}
    assert _form(_layer(2, biases="input")).reset_modes == {True}


@pytest.mark.parametrize("place", [(1299, 3), (3, 1299), (700, 600)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_one_number_anywhere_makes_a_large_product_not_diagonal(place: tuple[int, int], order: str) -> None:
    product = np.asarray(np.diag(np.linspace(-1, 1, 1300)), order=order)  # type: ignore[call-overload]
    dense = np.broadcast_to(np.float64(0.5), (1300, 1300))
    direction = GRUDirection(Gates(*3 * [dense[:, :2]]), Gates(dense, dense, product))
    layer = GRULayer(direction, None, reset_after=True)

    assert _form(layer).reset_modes == {True, False}
    product[place] = 1e-30
    assert _form(layer).reset_modes == {True}


def test_a_reset_gate_that_multiplies_zeros_is_idle() -> None:
    layer = _layer()
    assert layer.forward is not None
    product = layer.forward.recurrent_weight.candidate.copy()
    product[2], product[:, 4] = 0, -0.0
    no_bias = np.zeros(7)

    after = _form(_with(layer, product=product, bias=no_bias))
    before = _form(_with(replace(layer, reset_after=False), product=product, bias=no_bias))

    assert np.flatnonzero(after.idle_reset).tolist() == [2]  # r_2 multiplies row 2 of U_n h
    assert np.flatnonzero(before.idle_reset).tolist() == [4]  # r_4 multiplies h_4, which column 4 reads
    assert not _form(_with(layer, product=product)).idle_reset.any()  # r multiplies c_n as well


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_an_idle_reset_gate_that_is_not_finite_still_counts(number: float) -> None:
    layer = _layer(biases="input")
    assert layer.forward is not None
    reset = layer.forward.input_weight.reset.copy()
    reset[3, 1] = number

    form = _form(_with(layer, product=np.zeros((7, 7)), reset=reset))

    assert np.flatnonzero(~form.idle_reset).tolist() == [3]


def test_biases_are_added_where_the_reset_gate_leaves_them() -> None:
    after, before = _layer(), _layer(reset_after=False)
    assert after.forward is not None
    assert after.forward.input_bias is not None
    assert after.forward.recurrent_bias is not None
    b, c = after.forward.input_bias, after.forward.recurrent_bias
    assert c.update is not None
    assert c.candidate is not None

    kept, summed = _form(after), _form(before)

    for form in (kept, summed):
        np.testing.assert_array_equal(form.bias.update.high, b.update + c.update)
    np.testing.assert_array_equal(kept.bias.candidate.high, b.candidate)
    np.testing.assert_array_equal(kept.reset_bias.high, c.candidate)
    np.testing.assert_array_equal(summed.bias.candidate.high, b.candidate + c.candidate)
    assert not summed.reset_bias.high.any()


def test_weights_are_views_and_what_is_absent_is_zeros() -> None:
    layer = _layer(biases="none")
    assert layer.forward is not None

    form = _form(layer)

    for own, stored in ((form.input_weight, "input_weight"), (form.recurrent_weight, "recurrent_weight")):
        for gate, weight in own.items():
            gates: Gates[np.ndarray] = getattr(layer.forward, stored)
            assert np.shares_memory(weight.high, gates[gate])
    vectors = (*(bias for _, bias in form.bias.items()), form.reset_bias, form.initial_state)
    assert all(vector.high.shape == (7,) and not vector.high.any() for vector in vectors)
