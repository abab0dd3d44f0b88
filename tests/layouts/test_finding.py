"""Which tensors of a file a layout names: behind any prefix, in layers and directions, checked first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from grubridge.errors import InvalidSpecError, UnsupportedFeatureError
from grubridge.files.tensors import StoredTensor
from grubridge.layouts.finding import find
from grubridge.layouts.toml import load
from grubridge.spec import TANH, Array
from tests.layouts.cells import draw

PYTORCH, D2L = load("pytorch"), load("d2l")


def _never() -> Array:
    raise AssertionError("a tensor was read before its size was checked")


def _stored(shapes: dict[str, tuple[int, ...]], dtype: str = "float32") -> dict[str, StoredTensor]:
    return {name: StoredTensor(shape, dtype, _never) for name, shape in shapes.items()}


def _gru(layers: int, *, first: int = 0, both: bool = False, size: int = 2) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an nn.GRU of input size 3."""
    found: dict[str, tuple[int, ...]] = {}
    for layer in range(first, first + layers):
        inputs = 3 if layer == first else size * (1 + both)
        for ending in ("", "_reverse")[: 1 + both]:
            found[f"weight_ih_l{layer}{ending}"] = (3 * size, inputs)
            found[f"weight_hh_l{layer}{ending}"] = (3 * size, size)
    return found


def _readable(shapes: dict[str, tuple[int, ...]]) -> dict[str, StoredTensor]:
    rng = np.random.default_rng(0)

    def reader(shape: tuple[int, ...]) -> Callable[[], Array]:
        drawn = rng.standard_normal(shape).astype(np.float32)
        return lambda: drawn

    return {name: StoredTensor(shape, "float32", reader(shape)) for name, shape in shapes.items()}


def test_prefixes_end_in_a_dot_or_slash() -> None:
    names = [
        *draw("d2l"),
        *draw("d2l", prefix="net.rnn."),
        *draw("d2l", prefix="a/b/"),
        "not_W_xz",
        "not_W_hz",
    ]

    stacks = find(D2L, names)

    assert [stack.prefix for stack in stacks] == ["", "net.rnn.", "a/b/"]
    assert all(not stack.missing() for stack in stacks)
    assert set(stacks[1].claimed()) == set(draw("d2l", prefix="net.rnn."))


def test_layers_and_directions_are_read_in_order() -> None:
    tensors = _readable(_gru(3, both=True))

    layers = find(PYTORCH, tensors)[0].read(tensors)

    assert len(layers) == 3
    for index, layer in enumerate(layers):
        assert layer.forward is not None
        assert layer.backward is not None
        stored = tensors[f"weight_hh_l{index}_reverse"].read()
        assert np.array_equal(layer.backward.recurrent_weight.reset, stored[:2])


def test_layers_may_count_from_one() -> None:
    tensors = _readable(_gru(2, first=1))

    layers = find(PYTORCH, tensors)[0].read(tensors)

    assert [layer.input_size for layer in layers] == [3, 2]


def test_a_layer_that_is_missing_is_named() -> None:
    shapes = {**_gru(1), **{name.replace("l0", "l2"): shape for name, shape in _gru(1).items()}}

    (stack,) = find(PYTORCH, shapes)

    assert stack.missing() == ("weight_ih_l1", "weight_hh_l1")
    with pytest.raises(
        InvalidSpecError, match=r"^the layout pytorch needs weight_ih_l1, weight_hh_l1, which the "
    ):
        stack.read(_stored(shapes))


def test_names_of_other_layers_make_no_cell() -> None:
    assert find(load("keras"), ["dense/kernel", "dense/bias"]) == ()
    assert find(load("haiku"), ["linear.b", "b"]) == ()


def test_sizes_are_checked_before_anything_is_read() -> None:
    shapes = _gru(2)
    (stack,) = find(PYTORCH, shapes)

    with pytest.raises(InvalidSpecError, match=r"^tensor weight_ih_l1 should be \[6, 2\], with "):
        stack.read(_stored({**shapes, "weight_ih_l1": (5, 2)}))
    with pytest.raises(
        InvalidSpecError, match=r"^layer 1 takes 4 inputs, and the layer below it gives 2: the file"
    ):
        stack.read(_stored({**shapes, "weight_ih_l1": (6, 4)}))


def test_other_dtypes_are_refused() -> None:
    shapes = _gru(1)
    (stack,) = find(PYTORCH, shapes)
    mixed = {**_stored(shapes), "weight_hh_l0": StoredTensor((6, 2), "float64", _never)}

    with pytest.raises(
        InvalidSpecError, match=r"^tensor weight_hh_l0 should be one of float16, .* received int8"
    ):
        stack.read(_stored(shapes, "int8"))
    with pytest.raises(InvalidSpecError, match=r"received float32, and float64 of another$"):
        stack.read(mixed)


def test_an_output_transform_between_layers_is_refused() -> None:
    tensors = _readable(_gru(2))
    (stack,) = find(replace(PYTORCH, output_activation=TANH), tensors)

    with pytest.raises(
        UnsupportedFeatureError, match=r"^the next layer takes tanh of the states; grubridge's"
    ):
        stack.read(tensors)
