"""The inputs of a check: what the random ones are made to show, and what is said of a user's own."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grubridge.checker.probe import designed_probe, probe_from_file, random_probe
from grubridge.errors import ProbeError, UnsafeFileError
from grubridge.spec import Gates, GRUDirection, GRULayer, GRUSpec
from tests.zoo import make_spec, member

SPEC = member("two_layers_bidirectional")


def test_random_probe_shows_dropped_states_and_wrong_ends() -> None:
    probe = random_probe([SPEC], seed=0, batch=4, steps=24)

    assert probe.x.shape == (4, 24, 4)
    assert probe.lengths is not None
    assert sorted(probe.lengths.tolist()) == [8, 13, 19, 24]
    assert {place: state.shape for place, state in probe.initial_state.items()} == {
        (layer, name): (4, 5) for layer in (0, 1) for name in ("forward", "backward")
    }
    assert all((np.abs(state) > 0.01).mean() > 0.9 for state in probe.initial_state.values())
    assert probe.origin == "random, seed 0"


def test_same_seed_same_inputs() -> None:
    one, same, other = (random_probe([SPEC], seed=seed, batch=2, steps=5) for seed in (1, 1, 2))

    assert np.array_equal(one.x, same.x)
    assert not np.array_equal(one.x, other.x)


def test_sizes_and_seeds_that_cannot_be() -> None:
    with pytest.raises(ProbeError, match="seed must be 0 or more; received -1"):
        random_probe([SPEC], seed=-1, batch=4, steps=24)
    too_much = (
        r"4 sequences of 100000000 steps, 10 numbers each, would take more than 1,024 MiB; "
        r"ask for fewer sequences \(batch\) or shorter ones \(steps\), or allow it more \(--max-memory SIZE\)"
    )
    with pytest.raises(ProbeError, match=too_much):
        random_probe([SPEC], seed=0, batch=4, steps=100_000_000)


def test_numbers_are_exact_in_every_dtype_under_test() -> None:
    specs = [SPEC.astype(dtype) for dtype in ("bfloat16", "float16", "float32", "float64")]
    probe = random_probe(specs, seed=0, batch=4, steps=24)

    for array in (probe.x, *probe.initial_state.values()):
        for spec in specs:
            assert np.array_equal(array.astype(spec.dtype).astype(np.float64), array)


def test_learned_state_is_left_to_the_model() -> None:
    learned, plain = member("initial_state"), make_spec("plain", sizes=(3, 5, 5), directions="both")

    assert random_probe([plain, learned], seed=0, batch=2, steps=3).initial_state == {}


def test_designed_probe_is_of_independent_single_steps() -> None:
    specs = [SPEC.astype(dtype) for dtype in ("bfloat16", "float16", "float32", "float64")]
    probe = designed_probe(specs, seed=3)

    assert probe.x.shape == (2048, 1, 4)
    assert probe.lengths is None
    assert probe.origin == "designed, seed 3"
    assert {place: state.shape for place, state in probe.initial_state.items()} == {
        (layer, name): (2048, 5) for layer in (0, 1) for name in ("forward", "backward")
    }
    for array in (probe.x, *probe.initial_state.values()):
        columns = array.reshape(2048, -1)
        assert np.abs(np.corrcoef(columns.T) - np.eye(columns.shape[1])).max() < 0.12
        for spec in specs:
            assert np.array_equal(array.astype(spec.dtype).astype(np.float64), array)
    assert np.array_equal(probe.x, designed_probe(specs, seed=3).x)
    assert not np.array_equal(probe.x, designed_probe(specs, seed=4).x)


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_designed_inputs_are_of_the_size_that_the_weights_ask_for(scale: float) -> None:
    spec = make_spec("any", sizes=(12, 9), seed=1)
    forward = spec.layers[0].forward
    assert forward is not None
    weight = forward.input_weight.map(lambda w: w * np.float32(scale))
    spec = replace(spec, layers=(replace(spec.layers[0], forward=replace(forward, input_weight=weight)),))
    products = designed_probe([spec], seed=0).x[:, 0] @ weight.update.T

    assert 0.2 < np.std(products) < 1


def test_wide_models_get_fewer_rows() -> None:
    wide = np.zeros((2, 1 << 12), np.float32)
    narrow = np.zeros((2, 2), np.float32)
    direction = GRUDirection(Gates(wide, wide, wide), Gates(narrow, narrow, narrow))
    spec = GRUSpec((GRULayer(direction, None, reset_after=True),))

    assert designed_probe([spec], seed=0).x.shape == (1024, 1, 4096)


def test_models_with_a_learned_state_get_steps_instead() -> None:
    learned, plain = member("initial_state"), make_spec("plain", sizes=(3, 5, 5), directions="both")
    probe = designed_probe([plain, learned], seed=0)

    assert probe.x.shape == (256, 8, 3)
    assert probe.initial_state == {}


@pytest.mark.parametrize(("lengths", "expected"), [([3, 2], [3, 2]), ([3, 3], None)])
def test_lengths_can_be_chosen(lengths: list[int], expected: list[int] | None) -> None:
    probe = random_probe([SPEC], seed=0, batch=2, steps=3, lengths=lengths)

    assert (None if probe.lengths is None else probe.lengths.tolist()) == expected


@pytest.mark.parametrize("lengths", [[3], [3, 0], [3, 4], [3, 3, 3]])
def test_lengths_that_do_not_fit_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ProbeError, match="lengths must be 2 integers from 1 to 3"):
        random_probe([SPEC], seed=0, batch=2, steps=3, lengths=lengths)


def test_inputs_of_the_user(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, states = rng.standard_normal((2, 6, 4)), rng.standard_normal((4, 2, 5))
    path = tmp_path / "inputs.npz"
    np.savez(path, x=x, initial_state=states, lengths=np.array([6, 4]))
    probe = probe_from_file(path, [SPEC])

    assert np.array_equal(probe.x, x.astype(np.float32))
    assert np.array_equal(probe.initial_state[1, "forward"], states[2].astype(np.float32))
    assert probe.lengths is not None
    assert probe.lengths.tolist() == [6, 4]
    assert probe.origin == "inputs.npz"


def test_npy_file_is_x(tmp_path: Path) -> None:
    x = np.arange(24, dtype=np.int64).reshape(2, 3, 4)
    np.save(tmp_path / "x.npy", x)
    probe = probe_from_file(tmp_path / "x.npy", [SPEC])

    assert np.array_equal(probe.x, x)
    assert probe.initial_state == {}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros((2, 3, 4))}, "it must hold x and may hold lengths and initial_state; it holds y"),
        ({"x": np.zeros((2, 3, 4)), "h0": np.zeros(3)}, "it holds h0, x"),
        ({"x": np.zeros((3, 4))}, r"x must be \[batch, time, 4\] numbers; received float64 \[3, 4\]"),
        ({"x": np.zeros((2, 3, 5))}, r"received float64 \[2, 3, 5\]"),
        ({"x": np.array([[["a"] * 4]])}, "received <U1"),
        ({"x": np.full((2, 3, 4), np.nan)}, "x must be finite"),
        ({"x": np.full((2, 3, 4), 1e300)}, "larger than float32 can hold"),
        ({"x": np.ones((2, 3, 4)), "lengths": np.array([3, 9])}, "lengths must be 2 integers from 1 to 3"),
        (
            {"x": np.ones((2, 3, 4)), "initial_state": np.ones((4, 2, 6))},
            r"initial_state must be \[4, 2, 5\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    tmp_path: Path, arrays: dict[str, object], message: str
) -> None:
    path = tmp_path / "inputs.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]

    with pytest.raises(ProbeError, match=message) as raised:
        probe_from_file(path, [SPEC])
    assert str(path) in str(raised.value)


def test_state_beside_a_learned_one_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "i.npz", x=np.ones((2, 3, 3)), initial_state=np.ones((4, 2, 5)))

    with pytest.raises(ProbeError, match="the model carries a learned one"):
        probe_from_file(tmp_path / "i.npz", [member("initial_state")])


@pytest.mark.parametrize("content", [b"not numpy", b"PK\x03\x04 broken", b"\x93NUMPY\x01\x00"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)

    with pytest.raises(ProbeError, match=r"this is not an \.npy or \.npz file of numbers") as raised:
        probe_from_file(tmp_path / "x.npz", [SPEC])
    assert "unsafely" not in str(raised.value)


def test_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as entry:
        for _ in range(1025):
            entry.write(bytes(1 << 20))

    with pytest.raises(UnsafeFileError, match="its content would take 1,025 MiB"):
        probe_from_file(tmp_path / "x.npz", [SPEC])


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)

    with pytest.raises(ProbeError, match=r"holds no numbers: {'descr': '.O'"):
        probe_from_file(tmp_path / "x.npy", [SPEC])
