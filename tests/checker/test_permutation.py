"""Hidden units in another order: found where they are, never where they are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grubridge.checker.algebra import prove
from grubridge.reference import run
from grubridge.spec import Array, Gates, GRUDirection, GRULayer, GRUSpec
from grubridge.traces import Place, Probe
from tests.zoo import ZOO, make_spec, member

Orders = Mapping[Place, Array]


def _permuted(spec: GRUSpec, orders: Orders) -> GRUSpec:
    """Return `spec` with unit i of every place taken from orders[place][i]."""
    layers: list[GRULayer] = []
    inputs = np.arange(spec.input_size)
    for index, layer in enumerate(spec.layers):
        made: dict[str, GRUDirection] = {}
        following: list[Array] = []
        for name, d in layer.directions():
            order = orders.get((index, name), np.arange(layer.hidden_size))
            following.append(order + len(following) * layer.hidden_size)
            made[name] = _direction(d, order, inputs)
        layers.append(replace(layer, forward=made.get("forward"), backward=made.get("backward")))
        inputs = np.concatenate(following)
    return replace(spec, layers=tuple(layers))


def _direction(d: GRUDirection, order: Array, inputs: Array) -> GRUDirection:
    def units(gates: Gates[Any]) -> Gates[Any]:
        return gates.map(lambda bias: None if bias is None else bias[order])

    return replace(
        d,
        input_weight=d.input_weight.map(lambda w: w[order][:, inputs]),
        recurrent_weight=d.recurrent_weight.map(lambda u: u[order][:, order]),
        input_bias=d.input_bias and units(d.input_bias),
        recurrent_bias=d.recurrent_bias and units(d.recurrent_bias),
        initial_state=None if d.initial_state is None else d.initial_state[order],
    )


def _random_orders(spec: GRUSpec, seed: int = 0) -> dict[Place, Array]:
    random = np.random.default_rng(seed)
    return {
        (index, name): np.roll(random.permutation(d.hidden_size), 1) for index, name, d in spec.directions()
    }


def _found(left: GRUSpec, right: GRUSpec) -> dict[Place, list[int]]:
    return {(one.layer, one.direction): list(one.order) for one in prove(left, right).permutation}


def _apart(left: GRUSpec, right: GRUSpec, orders: Mapping[Place, list[int]]) -> dict[Place, float]:
    """The largest |difference| of hidden states in each place, units of `left` in their orders."""
    probe = Probe(2 * np.random.default_rng(8).standard_normal((4, 6, left.input_size)))
    one, other = run(left, probe).places, run(right, probe).places
    return {
        at: float(np.abs(one[at].hidden[..., orders.get(at, slice(None))] - other[at].hidden).max())
        for at in one
    }


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_units_in_another_order_are_found_in_every_place(spec: GRUSpec) -> None:
    orders = _random_orders(spec)
    other = _permuted(spec, orders)

    proof = prove(spec, other)
    found = _found(spec, other)

    assert max(_apart(spec, other, {}).values()) > 0.01
    assert max(_apart(spec, other, found).values()) < 1e-12
    assert found == {place: order.tolist() for place, order in orders.items()}
    assert not proof.equal
    assert not proof.same_output
    assert proof.differences


@pytest.mark.parametrize("name", ["two_layers_bidirectional", "three_layers_reset_before", "mixed_layers"])
def test_inner_units_in_another_order_leave_the_output_as_it_is(name: str) -> None:
    spec = member(name)
    orders = {place: order for place, order in _random_orders(spec, 1).items() if place[0] == 0}
    other = _permuted(spec, orders)

    proof = prove(spec, other)
    apart = _apart(spec, other, {})

    assert not proof.equal
    assert proof.same_output
    assert {one.layer for one in proof.permutation} == {0}
    assert max(value for (layer, _), value in apart.items() if layer == len(spec.layers) - 1) < 1e-12
    assert max(value for (layer, _), value in apart.items() if layer == 0) > 0.01


def test_one_direction_of_the_last_layer_in_another_order_is_named() -> None:
    spec = member("two_layers_bidirectional")
    other = _permuted(spec, {(1, "backward"): np.array([0, 3, 2, 1, 4])})

    proof = prove(spec, other)

    (found,) = proof.permutation
    assert (found.layer, found.direction, found.order) == (1, "backward", (0, 3, 2, 1, 4))
    assert not proof.same_output


@pytest.mark.parametrize("part", ["input_weight", "recurrent_weight", "input_bias", "recurrent_bias"])
def test_an_order_that_a_part_does_not_follow_explains_nothing(part: str) -> None:
    spec = make_spec("one", sizes=(5, 7, 7))
    other = _permuted(spec, _random_orders(spec))
    one, whole = spec.layers[0].forward, other.layers[0].forward
    assert one is not None
    assert whole is not None
    torn = replace(whole, **{part: getattr(one, part)})

    proof = prove(spec, replace(other, layers=(replace(other.layers[0], forward=torn), *other.layers[1:])))

    assert proof.differences
    assert proof.permutation == ()


def test_a_changed_weight_besides_the_order_is_not_explained() -> None:
    spec = member("no_bias")
    other = _permuted(spec, _random_orders(spec))
    d = other.layers[0].forward
    assert d is not None
    product = d.recurrent_weight.candidate.copy()
    product[0, 3] = np.nextafter(product[0, 3], np.float32(1))
    moved = replace(d, recurrent_weight=replace(d.recurrent_weight, candidate=product))

    assert prove(spec, other).permutation
    assert prove(spec, replace(other, layers=(replace(other.layers[0], forward=moved),))).permutation == ()


def test_another_setting_besides_the_order_is_not_explained() -> None:
    spec = member("reset_after")
    other = _permuted(spec, _random_orders(spec))
    clipped = replace(other, layers=(replace(other.layers[0], clip=2.0),))

    assert prove(spec, clipped).permutation == ()


def _ring(of: list[list[int]], *, twins_below: bool = False) -> GRUSpec:
    """A GRU of one layer whose units are alike but for U_n, which leads around in rings."""
    size = sum(map(len, of))
    random = np.random.default_rng(2)
    w = Gates(*(np.tile(row, (size, 1)) for row in random.random((3, 4))))
    product = np.zeros((size, size))
    for ring in of:
        product[ring, np.roll(ring, 1)] = 0.625
    u = Gates(np.full((size, size), 0.125), np.full((size, size), -0.25), product)
    layers = [GRULayer(GRUDirection(w, u), None, reset_after=True)]
    if twins_below:
        above = make_spec("above", sizes=(size, 5), dtype="float64").layers[0]
        layers.append(above)
    return GRUSpec(tuple(layers))


def test_units_that_look_alike_are_told_apart_by_what_they_lead_to() -> None:
    spec = _ring([[0, 1, 2], [3, 4, 5]])
    other = _permuted(spec, {(0, "forward"): np.array([0, 3, 1, 4, 2, 5])})

    found = _found(spec, other)

    assert found
    assert prove(spec, other).differences
    np.testing.assert_array_equal(_place_of(_permuted(spec, _arrays(found))), _place_of(other))


def test_rings_of_other_lengths_are_not_the_same_however_alike() -> None:
    spec, other = _ring([[0, 1, 2], [3, 4, 5]]), _ring([[0, 1, 2, 3, 4, 5]])

    assert prove(spec, other).permutation == ()


def test_twins_are_told_apart_by_the_layer_above() -> None:
    spec = _ring([[0], [1], [2], [3], [4], [5]], twins_below=True)
    other = _permuted(spec, _random_orders(spec, 3))

    found = _found(spec, other)

    assert max(_apart(spec, other, found).values()) < 1e-12
    np.testing.assert_array_equal(_place_of(_permuted(spec, _arrays(found)), 1), _place_of(other, 1))


def test_dead_units_that_nothing_tells_apart_stay_where_they_are() -> None:
    spec = member("no_bias")
    d = spec.layers[0].forward
    assert d is not None
    kept = np.array([True, False, True, False])
    pruned = replace(
        d,
        input_weight=d.input_weight.map(lambda w: w * kept[:, None]),
        recurrent_weight=d.recurrent_weight.map(lambda u: u * kept * kept[:, None]),
    )
    one = replace(spec, layers=(replace(spec.layers[0], forward=pruned),))
    other = _permuted(one, {(0, "forward"): np.array([2, 1, 0, 3])})

    assert _found(one, other) == {(0, "forward"): [2, 1, 0, 3]}


def test_an_order_of_inner_units_is_preferred_to_one_of_the_output() -> None:
    below = _ring([[0, 1, 2]])
    above = _ring([[0, 1, 2]]).layers[0].forward
    assert above is not None
    reads = Gates(*(np.eye(3) * gate + 0.5 for gate in (0.25, 0.375, 0.75)))
    spec = GRUSpec(
        (*below.layers, GRULayer(replace(above, input_weight=reads), None, reset_after=True))
    )  # both layers turned by one unit are the same network
    other = _permuted(spec, {(0, "forward"): np.array([1, 2, 0])})

    assert max(_apart(spec, other, {(0, "forward"): [1, 2, 0]}).values()) < 1e-12
    assert _found(spec, other) == {(0, "forward"): [1, 2, 0]}
    assert prove(spec, other).same_output


def _alike(size: int, input_size: int) -> GRUDirection:
    """Units that differ in the rows of their input weights alone."""
    w = np.full((size, input_size), 0.375)
    u = np.full((size, size), 0.125)
    return GRUDirection(Gates(w, w, w), Gates(u, u, u))


def _one_layer(d: GRUDirection) -> GRUSpec:
    return GRUSpec((GRULayer(d, None, reset_after=True),))


def test_units_whose_gates_have_exchanged_weights_are_two_kinds() -> None:
    d = _alike(2, 4)
    rows = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]])
    spec = _one_layer(replace(d, input_weight=Gates(rows, rows[::-1], d.input_weight.candidate)))
    other = _permuted(spec, {(0, "forward"): np.array([1, 0])})

    assert _found(spec, other) == {(0, "forward"): [1, 0]}


@pytest.mark.parametrize("column", [3, 600])
def test_one_distinct_column_of_many_inputs_suffices(column: int) -> None:
    d = _alike(5, 700)
    weight = d.input_weight.reset.copy()
    weight[:, column] = [0.1, 0.2, 0.3, 0.4, 0.5]
    spec = _one_layer(replace(d, input_weight=replace(d.input_weight, reset=weight)))
    other = _permuted(spec, {(0, "forward"): np.array([3, 0, 4, 1, 2])})

    assert _found(spec, other) == {(0, "forward"): [3, 0, 4, 1, 2]}


def test_signs_of_zeros_and_idle_reset_gates_hide_no_order() -> None:
    random = np.random.default_rng(12)
    d = _alike(6, 4)
    product = np.full((6, 6), 0.25)
    product[[1, 4]] = 0  # where r multiplies nothing else
    np.fill_diagonal(product, 0)
    rows = random.random((6, 4))
    d = replace(
        d,
        input_weight=replace(d.input_weight, reset=rows, candidate=rows * 0.5),
        recurrent_weight=replace(d.recurrent_weight, candidate=product),
        input_bias=Gates(*3 * [np.zeros(6)]),
    )
    spec = _one_layer(d)
    order = np.array([4, 2, 0, 5, 1, 3])
    moved = _permuted(spec, {(0, "forward"): order}).layers[0].forward
    assert moved is not None
    idle = np.isin(order, [1, 4])
    w, u = moved.input_weight.reset.copy(), moved.recurrent_weight.reset.copy()
    w[idle], u[idle] = random.random((2, 4)), random.random((2, 6))
    signed = np.where(moved.recurrent_weight.candidate == 0, -0.0, moved.recurrent_weight.candidate)
    other = _one_layer(
        replace(
            moved,
            input_weight=replace(moved.input_weight, reset=w),
            recurrent_weight=replace(moved.recurrent_weight, reset=u, candidate=signed),
            input_bias=Gates(*3 * [-np.zeros(6)]),
        )
    )

    assert max(_apart(spec, other, {(0, "forward"): order.tolist()}).values()) < 1e-12
    assert _found(spec, other) == {(0, "forward"): order.tolist()}


def _arrays(found: Mapping[Place, list[int]]) -> Orders:
    return {place: np.array(order) for place, order in found.items()}


def _place_of(spec: GRUSpec, layer: int = 0) -> Array:
    """All numbers of a forward direction in one vector."""
    d = spec.layers[layer].forward
    assert d is not None
    return np.concatenate([array.reshape(-1) for _, array in d.arrays()])


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1), size=st.integers(2, 6), values=st.integers(1, 3), layers=st.integers(1, 2)
)
def test_few_distinct_numbers_never_lead_to_a_wrong_order(
    seed: int, size: int, values: int, layers: int
) -> None:
    random = np.random.default_rng(seed)

    def numbers(*shape: int) -> Array:
        return random.integers(0, values + 1, shape) / 4

    def direction(input_size: int) -> GRUDirection:
        return GRUDirection(
            Gates(*(numbers(size, input_size) for _ in range(3))),
            Gates(*(numbers(size, size) for _ in range(3))),
            Gates(*(numbers(size) for _ in range(3))),
        )

    def layer(input_size: int) -> GRULayer:
        after = bool(random.integers(2))
        return GRULayer(direction(input_size), direction(input_size), reset_after=after)

    spec = GRUSpec(tuple(layer(3 if index == 0 else 2 * size) for index in range(layers)))
    other = _permuted(spec, _random_orders(spec, seed))

    proof, found = prove(spec, other), _found(spec, other)

    assert proof.equal or found
    assert max(_apart(spec, other, found).values()) < 1e-12
    if proof.same_output:
        assert max(value for (at, _), value in _apart(spec, other, {}).items() if at == layers - 1) < 1e-12
