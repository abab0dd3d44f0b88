"""Gates are found by name, whatever order a file keeps them in, and fused without copies."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grubridge.spec import CANDIDATE, GATE_NAMES, RESET, UPDATE, Fused, Gate, Gates, fuse, split

ORDERS = list(permutations(GATE_NAMES))


def test_split_names_the_blocks_of_pytorch_and_keras() -> None:
    blocks = np.arange(18.0).reshape(6, 3)

    pytorch = split(blocks, (RESET, UPDATE, CANDIDATE), axis=0)
    keras = split(blocks.T, (UPDATE, RESET, CANDIDATE), axis=1)

    np.testing.assert_array_equal(pytorch.reset, blocks[:2])
    np.testing.assert_array_equal(pytorch.update, blocks[2:4])
    np.testing.assert_array_equal(keras.update, blocks.T[:, :2])
    np.testing.assert_array_equal(keras.candidate, blocks.T[:, 4:])


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("axis", [0, 1])
def test_fuse_undoes_split_in_every_order(order: tuple[Gate, ...], axis: int) -> None:
    whole = np.random.default_rng(0).random((9, 9))

    gates = split(whole, order, axis)

    assert all(np.shares_memory(gates[gate], whole) for gate in GATE_NAMES)
    np.testing.assert_array_equal(fuse(gates, order, axis).to_array(), whole)


@given(
    widths=st.lists(st.integers(1, 300), min_size=1, max_size=4),
    length=st.integers(1, 40),
    axis=st.integers(0, 1),
    transposed=st.booleans(),
    cut=st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_copy_rows_is_a_slice_of_the_concatenation(
    *, widths: list[int], length: int, axis: int, transposed: bool, cut: tuple[int, int]
) -> None:
    random = np.random.default_rng(1)
    shapes = [(width, length) if axis == 0 else (length, width) for width in widths]
    parts = tuple(random.random(shape[::-1]).T if transposed else random.random(shape) for shape in shapes)
    expected = np.concatenate(parts, axis)
    start, stop = sorted(min(at, len(expected)) for at in cut)

    fused = Fused(parts, axis)
    out = np.empty((stop - start, expected.shape[1]))
    fused.copy_rows(start, stop, out)

    assert fused.shape == expected.shape
    assert fused.nbytes == expected.nbytes
    np.testing.assert_array_equal(out, expected[start:stop])


def test_map_and_items_keep_the_names() -> None:
    lengths = Gates("z", "rr", "nnn").map(len)

    assert dict(lengths.items()) == {UPDATE: 1, RESET: 2, CANDIDATE: 3}
