"""What a spec refuses, what it keeps, and the exact exchange of z for 1 - z."""

from dataclasses import replace

import numpy as np
import pytest

from grubridge.errors import InvalidSpecError, UnsupportedFeatureError
from grubridge.reference import cell, one_step
from grubridge.spec import Activation, Gates, GRUDirection, GRULayer, GRUSpec, hard_sigmoid
from tests.zoo import ZOO, make_spec, member


def _direction(**changes: object) -> GRUDirection:
    direction = member("reset_after").layers[0].forward
    assert direction is not None
    return replace(direction, **changes)  # type: ignore[arg-type]


def _weights(*shape: int, dtype: str = "float32") -> Gates[np.ndarray]:
    random = np.random.default_rng(0)
    return Gates(*(random.random(shape).astype(dtype) for _ in range(3)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_weight": _weights(7)}, r"input weight of the update gate must be \[H, I\]; received \[7\]"),
        ({"input_weight": _weights(0, 5)}, r"must be \[H, I\]; received \[0, 5\]"),
        (
            {"recurrent_weight": _weights(7, 6)},
            r"recurrent_weight.update must be \[7, 7\]; received \[7, 6\]",
        ),
        ({"input_bias": _weights(6)}, r"input_bias.update must be \[7\]; received \[6\]"),
        ({"initial_state": np.zeros(8, "f4")}, r"initial_state must be \[7\]; received \[8\]"),
        (
            {"input_bias": _weights(7, dtype="float64")},
            "must be float32 like the other arrays; received float64",
        ),
        (
            {"input_weight": _weights(7, 5, dtype="int8")},
            "dtype must be one of float16, bfloat16, float32, f",
        ),
        ({"input_weight": _weights(7, 5, dtype=">f4")}, "dtype must be one of"),
        (
            {"recurrent_bias": Gates(np.zeros(7, "f4"), None, np.zeros(7, "f4"))},
            r"for all gates or the candidate alone; received \['update', 'candidate'\]",
        ),
    ],
)
def test_a_direction_that_is_no_gru_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        _direction(**changes)


def test_a_layer_needs_directions_of_one_size() -> None:
    small = member("no_bias").layers[0].forward

    with pytest.raises(InvalidSpecError, match="a forward or a backward direction; received neither"):
        GRULayer(None, None, reset_after=True)
    with pytest.raises(InvalidSpecError, match=r"same \(I, H\); received \[\(5, 7\), \(6, 4\)\]"):
        GRULayer(_direction(), small, reset_after=True)
    with pytest.raises(InvalidSpecError, match="clip must be positive and finite; received -1"):
        GRULayer(_direction(), None, reset_after=True, clip=-1.0)


def test_layers_must_fit_onto_each_other() -> None:
    layer = member("reset_after").layers[0]

    with pytest.raises(
        InvalidSpecError, match="layer 1 must take the 7 outputs of layer 0; its input size is 5"
    ):
        GRUSpec((layer, layer))
    with pytest.raises(InvalidSpecError, match="at least one layer"):
        GRUSpec(())
    second = make_spec("wide", sizes=(7, 4), dtype="float64").layers
    with pytest.raises(InvalidSpecError, match="share one dtype; received float32, float64"):
        GRUSpec((layer, *second))


@pytest.mark.parametrize("spec", ZOO, ids=lambda spec: spec.name)
def test_arrays_are_read_only_views(spec: GRUSpec) -> None:
    for name, array in spec.arrays():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        assert array.dtype == spec.dtype, name


def test_absent_biases_are_not_zeros() -> None:
    names = {name for name, _ in member("candidate_recurrent_bias").arrays()}

    assert "layer 0 forward recurrent_bias.candidate" in names
    assert "layer 0 forward recurrent_bias.update" not in names
    assert not any("bias" in name for name, _ in member("no_bias").arrays())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_astype_rounds_each_number_once(dtype: str) -> None:
    spec = member("float64")

    cast = spec.astype(dtype)

    assert cast.dtype.name == dtype
    for (name, old), (_, new) in zip(spec.arrays(), cast.arrays(), strict=True):
        half_ulp = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-24, "float64": 0.0}[dtype]
        error = np.abs(new.astype(np.float64) - old)
        assert np.all(error <= half_ulp * np.abs(old)), name
    with pytest.raises(InvalidSpecError, match=r"dtype must be one of .*; received 'int8'"):
        spec.astype("int8")


@pytest.mark.parametrize("gate", [Activation("sigmoid"), hard_sigmoid(0.2), hard_sigmoid(1 / 6)], ids=str)
def test_complement_update_takes_where_it_kept(gate: Activation) -> None:
    direction = _direction(gate_activation=gate)
    random = np.random.default_rng(3)
    x, h = random.standard_normal((50, 5)), random.uniform(-1, 1, (50, 7))
    (kept, _) = one_step(cell(GRULayer(direction, None, reset_after=True), direction), x, h)

    flipped = direction.complement_update()
    (taken, new) = one_step(cell(GRULayer(flipped, None, reset_after=True), flipped), x, h)

    np.testing.assert_allclose(taken.update, 1 - kept.update, rtol=0, atol=1e-15)
    np.testing.assert_allclose(new, (1 - kept.update) * h + kept.update * kept.candidate, rtol=0, atol=1e-15)


def test_complement_update_is_refused_where_it_is_not_exact() -> None:
    direction = _direction(gate_activation=Activation("hard_sigmoid", 0.3, 0.4))

    with pytest.raises(UnsupportedFeatureError, match=r"1 - z under hard_sigmoid\(0.3, 0.4\)") as refused:
        direction.complement_update()
    assert len(refused.value.features) == 1
