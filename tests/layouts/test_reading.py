"""One direction of a cell by its layout: the function is the cell's, whatever the tensors look like."""

from __future__ import annotations

import numpy as np
import pytest

from grubridge import reference
from grubridge.errors import InvalidSpecError, UnsupportedFeatureError
from grubridge.layouts.finding import of_place
from grubridge.layouts.reading import read_direction
from grubridge.layouts.toml import from_json, load, shipped, to_json
from grubridge.spec import Array, GRULayer, GRUSpec
from grubridge.traces import Probe
from tests.layouts.cells import CELLS, HIDDEN, INPUT, draw, states

ELSEWHERE = {
    "cudnn-compatible-gru-cell",
    "keras",
    "keras-bidirectional",
    "keras-reset-before",
    "tf1-gru-block-cell",
    "tf1-gru-cell",
}
"""Held against TensorFlow and Keras themselves in the tests of those formats."""


def _layer(name: str, tensors: dict[str, Array]) -> GRULayer:
    direction, reset_after = read_direction(of_place(load(name), 0, "forward"), tensors)
    return GRULayer(direction, None, reset_after)


def test_every_shipped_layout_is_held_against_its_equations() -> None:
    assert set(CELLS) == set(shipped()) - ELSEWHERE


@pytest.mark.parametrize("name", CELLS)
def test_spec_is_the_cell(name: str) -> None:
    rng = np.random.default_rng(1)
    x, start = rng.standard_normal((2, 6, INPUT)), rng.standard_normal((2, HIDDEN))
    tensors = draw(name)

    trace = reference.run(GRUSpec((_layer(name, tensors),)), Probe(x, {(0, "forward"): start}))

    expected = states(name, tensors, x, start)
    assert np.abs(trace.places[0, "forward"].hidden - expected).max() < 1e-14


@pytest.mark.parametrize("name", [name for name in CELLS if load(name).update != "takes"])
def test_numbers_are_views_of_the_tensors(name: str) -> None:
    tensors = draw(name)

    for part, array in _layer(name, tensors).forward.arrays():  # type: ignore[union-attr]
        filled = part.startswith("recurrent_bias") and not array.any()
        assert filled or any(np.shares_memory(array, tensor) for tensor in tensors.values()), part


def test_an_update_gate_that_takes_keeps_after_its_numbers_are_negated() -> None:
    tensors = draw("haiku")

    forward = _layer("haiku", tensors).forward

    assert forward is not None
    assert forward.input_bias is not None
    assert (forward.input_weight.update == -tensors["w_i"][:, :HIDDEN].T).all()
    assert (forward.input_bias.update == -tensors["b"][:HIDDEN]).all()
    assert (forward.input_weight.reset == tensors["w_i"][:, HIDDEN : 2 * HIDDEN].T).all()


def test_absent_gates_are_absent_and_not_zeros() -> None:
    reset_only = _layer("d2l-reset-only", draw("d2l-reset-only")).forward
    update_only = _layer("d2l-update-only", draw("d2l-update-only")).forward

    assert reset_only is not None
    assert update_only is not None
    assert reset_only.absent_gates == {"update"}
    assert update_only.absent_gates == {"reset"}
    assert {name.split(".")[1] for name, _ in reset_only.arrays()} == {"reset", "candidate"}


def test_optional_biases_may_lack() -> None:
    weights = {name: tensor for name, tensor in draw("split-linear").items() if name.endswith("weight")}

    forward = _layer("split-linear", weights).forward

    assert forward is not None
    assert not forward.has_bias


@pytest.mark.parametrize("name", ["split-linear", "concat-xh"])
def test_a_gate_without_a_bias_has_zeros_where_others_have_one(name: str) -> None:
    tensors = draw(name)
    lacking = "linear_reset_w2.bias" if name == "split-linear" else "update_gate.bias"
    del tensors[lacking]

    forward = _layer(name, tensors).forward

    assert forward is not None
    assert forward.input_bias is not None
    assert forward.input_bias.update.tobytes() == np.zeros(HIDDEN).tobytes()  # 0.0, and not -0.0
    assert forward.input_bias.reset.any()


def test_both_biases_in_one_tensor_are_rows_or_flat() -> None:
    rng = np.random.default_rng(2)
    both = rng.standard_normal((2, 3 * HIDDEN))
    weights = {name: tensor for name, tensor in draw("x2h-h2h").items() if name.endswith("weight")}
    document = to_json(load("x2h-h2h"))
    tensors = {name: how for name, how in document["tensors"].items() if name.endswith("weight")}
    one = {"holds": ["input_bias", "recurrent_bias"], "gates": ["reset", "update", "candidate"]}

    rows = from_json({**document, "tensors": {**tensors, "bias": one}})
    flat = from_json({**document, "tensors": {**tensors, "bias": {**one, "flat": True}}})

    of_rows, _ = read_direction(rows, {**weights, "bias": both})
    of_flat, _ = read_direction(flat, {**weights, "bias": both.reshape(-1)})
    for direction in (of_rows, of_flat):
        assert direction.input_bias is not None
        assert direction.recurrent_bias is not None
        assert (direction.input_bias.update == both[0, HIDDEN : 2 * HIDDEN]).all()
        assert np.array_equal(direction.recurrent_bias.candidate, both[1, 2 * HIDDEN :])  # type: ignore[arg-type]


def test_an_initial_state_is_read() -> None:
    document = to_json(load("d2l"))
    document["tensors"]["h_0"] = {"holds": "initial_state", "optional": True}
    start = np.random.default_rng(3).standard_normal(HIDDEN)

    with_state, _ = read_direction(from_json(document), {**draw("d2l"), "h_0": start})
    without, _ = read_direction(from_json(document), draw("d2l"))

    assert with_state.initial_state is not None
    assert (with_state.initial_state == start).all()
    assert without.initial_state is None


def test_a_gate_that_takes_without_a_symmetry_is_refused_by_name() -> None:
    document = {
        **to_json(load("haiku")),
        "gate_activation": {"name": "hard_sigmoid", "alpha": 0.2, "beta": 0.4},
    }

    with pytest.raises(UnsupportedFeatureError, match=r"turn z into 1 - z under hard_sigmoid\(0\.2, 0\.4\)"):
        read_direction(from_json(document), draw("haiku"))


MISFITS = {
    "turned input weight": ("d2l", "W_xz", (HIDDEN, INPUT)),
    "long bias": ("d2l", "b_r", (HIDDEN + 1,)),
    "turned recurrent weight": ("x2h-h2h", "h2h.weight", (HIDDEN, 3 * HIDDEN)),
    "four gates": ("x2h-h2h", "h2h.weight", (4 * HIDDEN, HIDDEN)),
    "no matrix": ("d2l", "W_xr", (HIDDEN,)),
    "turned product": ("concat-xh", "update_gate.weight", (INPUT + HIDDEN, HIDDEN)),
}
TOLD = {
    "turned input weight": "tensor W_xz should be [3, 4], with I = 3 and H = 4 as other weights show; "
    "received "
    '[4, 3]: it looks stored the other way round, rows = "output" in its layout',
    "long bias": "tensor b_r should be [4], with I = 3 and H = 4 as other weights show; received [5]: the "
    "file "
    "is damaged, or the layout d2l is not this cell's",
    "turned recurrent weight": "tensor h2h.weight should be [3H, H]; received [4, 12]: it looks stored the "
    'other way round, rows = "input" in its layout',
    "four gates": "tensor h2h.weight should be [3H, H]; received [16, 4]: four gates look like an LSTM's",
    "no matrix": "tensor W_xr should be a matrix; received [4]: the file is damaged, or the layout d2l is "
    "not "
    "this cell's",
    "turned product": "tensor update_gate.weight should be a product with [x, h] of more than H = 7; "
    "received "
    '[7, 4]: it looks stored the other way round, rows = "input" in its layout',
}


@pytest.mark.parametrize("case", MISFITS)
def test_shapes_that_do_not_fit(case: str) -> None:
    name, tensor, shape = MISFITS[case]
    tensors = draw(name)
    tensors[tensor] = np.random.default_rng(4).standard_normal(shape)

    with pytest.raises(InvalidSpecError) as caught:
        _layer(name, tensors)

    assert str(caught.value) == TOLD[case]


def test_a_missing_tensor_is_named() -> None:
    tensors = draw("d2l")
    del tensors["W_hr"]

    with pytest.raises(InvalidSpecError, match=r"^tensor W_hr is missing, which the layout d2l has$"):
        _layer("d2l", tensors)
