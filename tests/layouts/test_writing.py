"""A spec as the tensors of a layout: they compute the same function, or every reason against it is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grubridge.layouts.finding import of_place
from grubridge.layouts.reading import read_direction
from grubridge.layouts.toml import from_json, load, to_json
from grubridge.layouts.writing import plan, reasons_against
from grubridge.spec import GATE_NAMES, RESET, UPDATE, Activation, Array, Gates, GRULayer, GRUSpec, Layout
from tests.layouts.cells import CELLS, HIDDEN, INPUT, draw, states
from tests.zoo import make_spec, member

CANONICAL = Layout(GATE_NAMES, "output")
BEFORE = ("concat-hx", "concat-xh", "d2l", "haiku")
AFTER = ("equinox", "flax-linen", "mlx", "pytorch", "split-linear", "x2h-h2h")
PAIRS = [(one, other) for family in (BEFORE, AFTER) for one in family for other in family if one != other]


def _spec(name: str) -> GRUSpec:
    direction, reset_after = read_direction(of_place(load(name), 0, "forward"), draw(name))
    return GRUSpec((GRULayer(direction, None, reset_after),))


def _written(spec: GRUSpec, name: str) -> dict[str, Array]:
    return {key: fused.to_array() for key, fused in plan(spec, load(name), CANONICAL).tensors.items()}


@pytest.mark.parametrize("name", CELLS)
def test_what_was_read_is_written_bit_for_bit(name: str) -> None:
    tensors = draw(name)

    written = _written(_spec(name), name)

    assert list(written) == [one.name for one in of_place(load(name), 0, "forward").tensors]
    assert {key: array.shape for key, array in written.items()} == {
        key: array.shape for key, array in tensors.items()
    }
    assert all(written[key].tobytes() == array.tobytes() for key, array in tensors.items())


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_cells_of_one_kind_become_each_other(one: str, other: str) -> None:
    rng = np.random.default_rng(5)
    x, start = rng.standard_normal((2, 6, INPUT)), rng.standard_normal((2, HIDDEN))

    written = _written(_spec(one), other)

    assert reasons_against(_spec(one), load(other)) == ()
    difference = states(one, draw(one), x, start) - states(other, written, x, start)
    assert np.abs(difference).max() < 1e-14


@pytest.mark.parametrize(("one", "other"), [("d2l", "pytorch"), ("pytorch", "d2l"), ("mlx", "haiku")])
def test_the_other_reset_mode_is_refused(one: str, other: str) -> None:
    mode = "before" if one == "d2l" else "after"

    (reason,) = reasons_against(_spec(one), load(other))[:1]

    assert reason.startswith(
        f"the reset gate is applied {mode} the recurrent product, and the layout {other} has no such GRU"
    )


def test_absent_gates_are_refused_both_ways() -> None:
    (reason,) = reasons_against(_spec("d2l-reset-only"), load("d2l"))
    assert reason == (
        "layer 0 forward: it has no update gate, and cells of the layout d2l have one; a bias can hold it: "
        "ask for --saturate"
    )
    assert reasons_against(_spec("d2l"), load("d2l-update-only")) == (
        "layer 0 forward: it has a reset gate, and cells of the layout d2l-update-only have none",
    )


def test_every_reason_is_told_at_once() -> None:
    spec = make_spec(
        "much",
        sizes=(3, 4, 4),
        directions="both",
        reset_after=False,
        clip=1.5,
        initial_state=True,
        activations=((Activation("relu"), Activation("softsign")),),
    )

    reasons = "\n".join(reasons_against(spec, load("x2h-h2h")))

    for part in (
        "every layer: the reset gate is applied before the recurrent product",
        "every layer: pre-activations are clipped to 1.5, and the layout x2h-h2h has no clip",
        "every layer: it carries a learned initial state, and the layout x2h-h2h has no place for one",
        "every layer: the gate activation is relu; the layout x2h-h2h has sigmoid",
        "every layer: the candidate activation is softsign; the layout x2h-h2h has tanh",
        "it has 2 layers, and the names of the layout x2h-h2h do not count any",
        "it runs backwards too, and the names of the layout x2h-h2h tell no directions apart",
    ):
        assert part in reasons


def test_biases_without_a_place_are_refused_with_their_size() -> None:
    spec = _spec("pytorch")
    document = to_json(load("pytorch"))
    del document["tensors"]["bias_hh_l{layer}{direction}"]
    one_bias = from_json(document)
    del document["tensors"]["bias_ih_l{layer}{direction}"]
    forward = spec.layers[0].forward
    assert forward is not None
    assert forward.recurrent_bias is not None
    largest = np.abs(forward.recurrent_bias.candidate).max()  # type: ignore[arg-type]

    (reason,) = reasons_against(spec, one_bias)
    assert reason == (
        f"layer 0 forward: the recurrent bias of the candidate (up to {largest:.3g}) has no place in the "
        "layout's tensors"
    )
    assert len(reasons_against(spec, from_json(document))) == 3


def test_a_recurrent_bias_of_zeros_is_no_obstacle() -> None:
    spec = _spec("pytorch")
    forward = spec.layers[0].forward
    assert forward is not None
    zeros = np.zeros(HIDDEN)
    without = replace(forward, recurrent_bias=Gates(zeros, zeros, zeros))
    document = to_json(load("pytorch"))
    del document["tensors"]["bias_hh_l{layer}{direction}"]

    held = replace(spec, layers=(replace(spec.layers[0], forward=without),))

    assert reasons_against(held, from_json(document)) == ()


def test_sums_are_told_with_what_rounding_changed() -> None:
    spec = _spec("x2h-h2h").astype("float32")
    forward = spec.layers[0].forward
    assert forward is not None
    assert forward.input_bias is not None
    assert forward.recurrent_bias is not None
    of_input, of_state = forward.input_bias, forward.recurrent_bias
    pairs = [(np.asarray(of_input[gate]), np.asarray(of_state[gate])) for gate in (UPDATE, RESET)]
    rounded = max(np.abs((b + c) - (b.astype(np.float64) + c.astype(np.float64))).max() for b, c in pairs)

    planned = plan(spec, load("mlx"), CANONICAL)

    records = {record.tensor: record for record in planned.records}
    assert records["Wx"].actions == ("permuted",)
    assert records["Wx"].exact
    assert records["b"].actions == ("permuted", "summed")
    assert records["b"].largest_change == rounded > 0
    assert records["bhn"].actions == ("copied",)


def test_negated_and_transposed_tensors_are_told() -> None:
    records = {record.tensor: record for record in plan(_spec("d2l"), load("haiku"), CANONICAL).records}

    assert records["w_i"].actions == ("transposed", "negated")
    assert records["b"].actions == ("negated",)
    assert all(record.exact for record in records.values())


def test_without_biases_optional_ones_are_left_out_and_others_are_zeros() -> None:
    spec = member("no_bias")

    assert set(_written(spec, "pytorch")) == {"weight_ih_l0", "weight_hh_l0"}
    flax = {record.tensor: record for record in plan(spec, load("flax-linen"), CANONICAL).records}
    assert flax["in.bias"].actions == ("zero-filled",)
    assert not _written(spec, "flax-linen")["hn.bias"].any()


def test_an_initial_state_is_written_where_there_is_a_place() -> None:
    document = to_json(load("x2h-h2h"))
    document["tensors"]["start"] = {"holds": "initial_state"}
    layout = from_json(document)
    with_state = make_spec("state", sizes=(3, 4), initial_state=True)

    assert reasons_against(with_state, layout) == ()
    planned = plan(with_state, layout, CANONICAL)
    stored = with_state.layers[0].forward
    assert stored is not None
    assert stored.initial_state is not None
    assert (planned.tensors["start"].to_array() == stored.initial_state).all()
    assert not plan(_spec("pytorch"), layout, CANONICAL).tensors["start"].to_array().any()
