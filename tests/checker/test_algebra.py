"""What the numbers of two specs prove; the equations, run on random probes, say what is right."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grubridge.checker.algebra import Proof, prove
from grubridge.reference import run
from grubridge.spec import (
    GATE_NAMES,
    TANH,
    Activation,
    Array,
    Gates,
    GRUDirection,
    GRULayer,
    GRUSpec,
    numpy_dtype,
    split_biases,
)
from grubridge.traces import Probe
from tests.mistakes import MISTAKES
from tests.zoo import ZOO, make_spec, member, with_number

Change = Callable[[GRUDirection], GRUDirection]


def _apart(left: GRUSpec, right: GRUSpec) -> float:
    """The largest |difference| of hidden states on a random probe, in float64."""
    random = np.random.default_rng(9)
    probe = Probe(2 * random.standard_normal((4, 6, left.input_size)))
    one, other = run(left, probe).places, run(right, probe).places
    return max(float(np.abs(one[at].hidden - other[at].hidden).max()) for at in one)


def _changed(spec: GRUSpec, change: Change) -> GRUSpec:
    def layer_of(layer: GRULayer) -> GRULayer:
        made = {name: change(direction) for name, direction in layer.directions()}
        return replace(layer, forward=made.get("forward"), backward=made.get("backward"))

    return replace(spec, layers=tuple(map(layer_of, spec.layers)))


def _move_half_to_recurrent(d: GRUDirection) -> GRUDirection:
    """Halves are exact, so the sums stay what they are; the candidate's stay apart."""
    assert d.input_bias is not None
    b = d.input_bias
    half = Gates[Array | None](b.update / 2, b.reset / 2, np.zeros_like(b.candidate))
    return replace(d, input_bias=Gates(b.update / 2, b.reset / 2, b.candidate), recurrent_bias=half)


def _negative_zeros(d: GRUDirection) -> GRUDirection:
    return replace(d, recurrent_bias=Gates(*(-np.zeros(d.hidden_size, np.float32) for _ in range(3))))


def _zero_state(d: GRUDirection) -> GRUDirection:
    return replace(d, initial_state=np.zeros(d.hidden_size, d.input_weight.update.dtype))


REWRITINGS: dict[str, tuple[GRUSpec, Change, str]] = {
    "absent recurrent bias": (
        member("input_bias_only"),
        _negative_zeros,
        "recurrent bias: none in the first, zeros in the second",
    ),
    "absent biases": (
        member("no_bias"),
        lambda d: split_biases(GRULayer(d, None, reset_after=True))[0].forward or d,
        "input bias: none in the first, zeros in the second",
    ),
    "halved biases": (
        member("input_bias_only"),
        _move_half_to_recurrent,
        "biases of update, reset: divided otherwise between input and recurrent bias; their sums are equal",
    ),
    "absent state": (
        member("reset_before"),
        _zero_state,
        "initial state: none in the first, zeros in the second; the same unless the caller gives a state",
    ),
    "activation": (
        member("two_layers_bidirectional"),
        lambda d: replace(d, candidate_activation=Activation("scaled_tanh", 1.0, 1.0)),
        "everywhere: candidate activation: tanh in the first, scaled_tanh(1, 1) in the second; same function",
    ),
}


@pytest.mark.parametrize("name", REWRITINGS)
def test_another_way_of_writing_is_proved_equal_and_told(name: str) -> None:
    spec, rewrite, remark = REWRITINGS[name]
    other = _changed(spec, rewrite)

    proof = prove(spec, other)

    assert _apart(spec, other) < 1e-12
    assert proof.equal
    assert proof.same_output
    assert proof.differences == ()
    assert proof.permutation == ()
    assert remark in proof.remarks


def test_what_is_made_of_the_states_is_told_and_not_compared() -> None:
    spec = make_spec("both", sizes=(5, 7), directions="both")

    def told(one: GRUSpec, **wiring: Any) -> tuple[str, ...]:
        return prove(one, replace(one, io=replace(one.io, **wiring))).remarks

    assert told(spec, merge_mode="sum") == (
        "output, not compared: directions side by side in the first, summed in the second",
    )
    assert told(spec, output_activation=TANH) == (
        "output, not compared: the states in the first, tanh of them in the second",
    )
    assert told(spec, merge_mode=None) == ()
    assert told(make_spec("one", sizes=(5, 7)), merge_mode="sum") == ()


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_a_spec_is_itself_in_any_wider_dtype(spec: GRUSpec) -> None:
    same = Proof(equal=True, same_output=True, remarks=(), differences=(), permutation=())
    assert prove(spec, spec) == same
    wide = prove(spec, spec.astype("float64"), ("a.keras", "b.pt"))
    told = f"numbers: {spec.dtype.name} in a.keras, float64 in b.pt; their values are compared"
    expected = () if spec.dtype == np.float64 else (told,)
    assert wide == replace(same, remarks=expected)


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_one_number_that_moves_is_named(spec: GRUSpec) -> None:
    random = np.random.default_rng(4)
    for name, array in spec.arrays():
        at = tuple(int(random.integers(size)) for size in array.shape)
        old = float(array[at])
        new = float((array[at] * array.dtype.type(1.125)).astype(np.float64))
        other = with_number(spec, name, at, new)

        proof = prove(spec, other)

        assert not proof.equal, name
        assert not proof.same_output
        (found,) = proof.differences
        assert f"layer {found.layer} {found.direction}" == name.rsplit(" ", 1)[0]
        assert _tensor_of(spec, name) == found.tensor
        assert (found.unit, found.column) == (*at, None)[:2]
        assert found.max_abs == pytest.approx(abs(new - old), rel=1e-15, abs=1e-17)
        assert (found.count, found.total) == (1, array.size)
        assert _apart(spec, other) > 0, name


def _tensor_of(spec: GRUSpec, name: str) -> str:
    part = name.rsplit(" ", 1)[1]
    if part.endswith(("bias.update", "bias.reset")):
        return f"bias.{part.partition('.')[2]} (sum)"
    if part.endswith("bias.candidate") and not spec.layers[int(name.split(" ")[1])].reset_after:
        return "bias.candidate (sum)"
    return part


def test_sums_of_biases_are_compared_without_rounding() -> None:
    spec = make_spec("one", reset_after=False, dtype="float64")
    rounded = _changed(spec, _rounded_sum)
    assert _apart(spec, rounded) < 1e-14

    proof = prove(spec, rounded)

    assert len(proof.differences) > 1
    for one in proof.differences:
        assert one.tensor in {f"bias.{gate} (sum)" for gate in GATE_NAMES}
        assert one.max_abs is not None
        assert 0 < one.max_abs <= 2**-53
        assert one.detail.endswith("; the second has the numbers of the first rounded to float64")


def _rounded_sum(d: GRUDirection) -> GRUDirection:
    assert d.input_bias is not None
    assert d.recurrent_bias is not None
    b, c = d.input_bias, d.recurrent_bias
    return replace(d, input_bias=Gates(*(b[g] + c[g] for g, _ in b.items())), recurrent_bias=None)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rounded_weights_are_recognised(dtype: str) -> None:
    spec = member("reset_before")
    proof = prove(spec, spec.astype(dtype))
    assert not proof.equal
    assert len(proof.differences) == 9
    for one in proof.differences:
        assert one.detail.endswith(f"; the second has the numbers of the first rounded to {dtype}")
    back = prove(spec.astype(dtype), spec).differences[0]
    assert back.detail.endswith(f"; the first has the numbers of the second rounded to {dtype}")
    largest = back.max_abs
    assert largest == max(
        np.abs(old.astype("f8") - old.astype(numpy_dtype(dtype)).astype("f8")).max()
        for _, old in spec.arrays()
    )


@pytest.mark.parametrize("name", MISTAKES)
def test_no_mistake_is_proved_right(name: str) -> None:
    spec = make_spec("one", directions="both", initial_state=True, sizes=(5, 7, 7))
    wrong = MISTAKES[name](spec)

    assert _apart(spec, wrong) > 1e-6
    assert not prove(spec, wrong).equal
    assert not prove(spec, wrong).same_output


@pytest.mark.parametrize(
    ("change", "tensor", "detail"),
    [
        (
            {"reset_after": False},
            "reset mode",
            "reset after the product in the first, reset before the product in the second",
        ),
        ({"clip": 0.25}, "clip", "no clip in the first, clip 0.25 in the second"),
    ],
)
def test_settings_of_a_layer_that_differ_are_listed(
    change: dict[str, float], tensor: str, detail: str
) -> None:
    spec = make_spec("one", sizes=(5, 7))
    other = replace(spec, layers=(replace(spec.layers[0], **change),))  # type: ignore[arg-type]

    (found,) = prove(spec, other).differences

    assert (found.tensor, found.detail) == (tensor, detail)
    assert (found.max_abs, found.unit, found.column, found.count, found.total) == (None, None, None, 1, 1)
    assert _apart(spec, other) > 1e-3


def test_activations_that_differ_are_listed_by_direction() -> None:
    spec = member("bidirectional")
    layer = spec.layers[0]
    assert layer.backward is not None
    soft = replace(layer.backward, candidate_activation=Activation("softsign"))
    (found,) = prove(spec, replace(spec, layers=(replace(layer, backward=soft),)), ("a", "b")).differences

    assert (found.direction, found.tensor) == ("backward", "candidate activation")
    assert found.detail == "tanh in a, softsign in b"


def test_reset_modes_are_one_where_the_product_is_diagonal() -> None:
    spec = make_spec("one", sizes=(5, 7), biases="input", dtype="float64")

    def diagonal(d: GRUDirection) -> GRUDirection:
        product = np.diag(np.diagonal(d.recurrent_weight.candidate))
        return replace(d, recurrent_weight=replace(d.recurrent_weight, candidate=product))

    after = _changed(spec, diagonal)
    before = replace(after, layers=(replace(after.layers[0], reset_after=False),))
    name, off = "layer 0 forward recurrent_weight.candidate", 1e-6
    nearly = with_number(after, name, (1, 3), off), with_number(before, name, (1, 3), off)

    assert _apart(after, before) < 1e-12
    proof = prove(after, before)
    assert proof.equal
    (remark,) = proof.remarks
    assert remark == (
        "reset gate: after the product in the first, before the product in the second; "
        "the same for a diagonal U_n without bias"
    )
    assert _apart(*nearly) > 1e-9
    assert [one.tensor for one in prove(*nearly).differences] == ["reset mode"]


@pytest.mark.parametrize("reset_after", [True, False])
def test_idle_reset_gates_do_not_matter_and_others_do(*, reset_after: bool) -> None:
    spec = make_spec("one", sizes=(5, 7), biases="input", dtype="float64", reset_after=reset_after)
    random = np.random.default_rng(6)

    def without(d: GRUDirection) -> GRUDirection:
        product = d.recurrent_weight.candidate.copy()
        product[(slice(2, 4), slice(None)) if reset_after else (slice(None), slice(2, 4))] = 0
        return replace(d, recurrent_weight=replace(d.recurrent_weight, candidate=product))

    def other_reset(d: GRUDirection, rows: slice) -> GRUDirection:
        w, u = d.input_weight.reset.copy(), d.recurrent_weight.reset.copy()
        w[rows], u[rows] = random.random(w[rows].shape), random.random(u[rows].shape)
        return replace(
            d,
            input_weight=replace(d.input_weight, reset=w),
            recurrent_weight=replace(d.recurrent_weight, reset=u),
        )

    pruned = _changed(spec, without)
    same = _changed(pruned, lambda d: other_reset(d, slice(2, 4)))
    not_same = _changed(pruned, lambda d: other_reset(d, slice(2, 5)))

    assert _apart(pruned, same) < 1e-12
    proof = prove(pruned, same)
    assert proof.equal
    assert proof.remarks == (
        "reset gate: multiplies zeros only in 2 of 7 units; its weights there are not compared",
    )
    assert _apart(pruned, not_same) > 1e-6
    found = {one.tensor: (one.unit, one.count) for one in prove(pruned, not_same).differences}
    assert found == {"input_weight.reset": (4, 5), "recurrent_weight.reset": (4, 7)}
    one_sided = {one.tensor: one.count for one in prove(spec, same).differences}
    assert one_sided["input_weight.reset"] == 2 * 5  # idle on one side alone, so it is compared


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_never_equal(number: float) -> None:
    spec = member("reset_after")
    for name, array in spec.arrays():
        broken = with_number(spec, name, (3,) * array.ndim, number)
        for left, right in ((broken, broken), (broken, spec), (spec, broken)):
            proof = prove(left, right)
            assert not proof.equal
            (found,) = proof.differences
            assert (found.max_abs, found.unit, found.count) == (None, 3, 1)
            assert found.detail.endswith(f"; 1 of {array.size} are NaN or infinite"), found.detail


def test_differences_stand_by_layer_and_size() -> None:
    spec = make_spec("one", sizes=(5, 7, 7), directions="both")
    other = with_number(spec, "layer 1 backward input_weight.update", (2, 3), 9.0)
    other = with_number(other, "layer 1 forward recurrent_weight.reset", (1, 0), 5.0)
    other = with_number(other, "layer 0 forward input_bias.candidate", (6,), 2.0)
    other = with_number(other, "layer 1 forward input_weight.update", (0, 0), np.nan)

    listed = [(one.layer, one.direction, one.tensor) for one in prove(spec, other).differences]

    assert listed == [
        (0, "forward", "input_bias.candidate"),
        (1, "forward", "input_weight.update"),
        (1, "backward", "input_weight.update"),
        (1, "forward", "recurrent_weight.reset"),
    ]


@pytest.mark.parametrize("other", [{"sizes": (5, 8)}, {"sizes": (5, 7, 7)}, {"directions": "backward"}])
def test_other_shapes_are_refused(other: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"layer 0 of a is 5 -> 7 forward; of b, 5 -> |b has 2 layers"):
        prove(make_spec("one"), make_spec("other", **other), ("a", "b"))  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["the same", "transposed", "other numbers"])
def test_memory_is_bounded(layout: str) -> None:
    size = 1500
    weights = [np.random.default_rng(seed).random((size, size), np.float32) for seed in range(6)]
    copies = [
        weight.T.copy().T if layout == "transposed" else weight + np.float32(layout != "the same")
        for weight in weights
    ]
    left, right = (
        GRUSpec((GRULayer(GRUDirection(Gates(*w[:3]), Gates(*w[3:])), None, reset_after=True),))
        for w in (weights, copies)
    )
    tracemalloc.start()

    equal = prove(left, right).equal

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert equal == (layout != "other numbers")
    assert peak < 24 << 20, f"{peak >> 20} MiB for 2 x {6 * weights[0].nbytes >> 20} MiB"


@settings(deadline=None, max_examples=60)
@given(data=st.data(), spec=st.sampled_from(ZOO))
def test_rewriting_at_random_is_proved_and_one_change_is_not(data: st.DataObject, spec: GRUSpec) -> None:
    wide = spec.astype("float64")

    def rewritten(d: GRUDirection) -> GRUDirection:
        if data.draw(st.booleans()) and d.recurrent_bias is None and d.input_bias is not None:
            d = _move_half_to_recurrent(d)
        if data.draw(st.booleans()):
            d = split_biases(GRULayer(d, None, reset_after=True))[0].forward or d
        return d if data.draw(st.booleans()) or d.initial_state is not None else _zero_state(d)

    other = _changed(wide, rewritten)
    assert _apart(wide, other) < 1e-12
    assert prove(wide, other).equal

    name, array = data.draw(st.sampled_from(list(wide.arrays())))
    at = tuple(data.draw(st.integers(0, size - 1)) for size in array.shape)
    moved = with_number(other, name, at, float(np.nextafter(array[at], 7)))
    assert not prove(wide, moved).equal
