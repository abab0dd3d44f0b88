"""A recorded run in an .npz file: what is read, and what is refused, and in which words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grubridge.checker.recording import Recording, read_recording
from grubridge.errors import FileFormatError, ProbeError, UnsafeFileError
from grubridge.spec import GATE_NAMES, Array, Gate
from tests.zoo import make_spec, member

_HOLDS = (
    "a recording holds x, hidden or last, and may hold initial_state, lengths, update, reset and candidate; "
)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 5)).astype(np.float32)
HIDDEN = RNG.uniform(-1, 1, (2, 3, 7)).astype(np.float32)


def _saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_what_is_recorded_is_read(tmp_path: Path) -> None:
    state, lengths = RNG.uniform(-1, 1, (1, 2, 7)).astype(np.float32), np.array([3, 2])
    gates: dict[Gate, Array] = {
        gate: RNG.uniform(0, 1, HIDDEN.shape).astype(np.float32) for gate in GATE_NAMES
    }
    path = _saved(tmp_path / "io.npz", x=X, hidden=HIDDEN, initial_state=state, lengths=lengths, **gates)
    found = read_recording(path)
    probe = found.probe(member("reset_after"))

    assert found.label == str(path)
    assert found.dtype == "float32"
    assert found.hidden is not None
    assert np.array_equal(found.hidden, HIDDEN)
    assert found.last is None
    assert found.gates.keys() == gates.keys()
    assert all(np.array_equal(found.gates[gate], array) for gate, array in gates.items())
    assert np.array_equal(probe.x, X)
    assert np.array_equal(probe.initial_state[0, "forward"], state[0])
    assert probe.lengths is not None
    assert probe.lengths.tolist() == [3, 2]
    assert (probe.origin, probe.gates) == (str(path), False)


def test_states_are_given_layer_by_layer_forward_first() -> None:
    spec = member("two_layers_bidirectional")
    states = RNG.uniform(-1, 1, (4, 2, 5))
    found = Recording("io.npz", X[..., :4], last=np.zeros((2, 10), np.float64) + 1e-9, initial_state=states)

    assert {place: state.tolist() for place, state in found.probe(spec).initial_state.items()} == {
        (0, "forward"): states[0].tolist(),
        (0, "backward"): states[1].tolist(),
        (1, "forward"): states[2].tolist(),
        (1, "backward"): states[3].tolist(),
    }


@pytest.mark.parametrize(
    ("outputs", "dtype"),
    [
        (HIDDEN, "float32"),
        (HIDDEN.astype(np.float64), "float32"),
        (HIDDEN.astype(np.float64) + 1e-12, "float64"),
        (HIDDEN.astype(np.float16), "float16"),
        (HIDDEN.astype(">f4"), "float32"),
        (np.where(HIDDEN > 0, np.nan, HIDDEN).astype(np.float64), "float32"),
    ],
)
def test_the_precision_is_that_of_the_numbers(outputs: Array, dtype: str) -> None:
    found = Recording("io.npz", X, outputs)

    assert found.dtype == dtype
    assert np.array_equal(found.probe(member("reset_after")).x, X.astype(dtype))


ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing returned": (
        {"x": X},
        "a recording holds either hidden, of every step, or last, of the last one alone",
    ),
    "both": (
        {"x": X, "hidden": HIDDEN, "last": HIDDEN[:, -1]},
        "a recording holds either hidden, of every step, or last, of the last one alone",
    ),
    "no input": (
        {"hidden": HIDDEN},
        _HOLDS + "this file holds hidden",
    ),
    "unknown": (
        {"x": X, "hidden": HIDDEN, "h\n0": X},
        _HOLDS + "this file holds h\\n0, hidden, x",
    ),
    "x of two dimensions": (
        {"x": X[0], "hidden": HIDDEN},
        "x must be [batch, time, input] numbers; received float32 [3, 5]",
    ),
    "x not finite": ({"x": np.where(X > 1, np.nan, X), "hidden": HIDDEN}, "x must be finite"),
    "x too large": (
        {"x": 1e6 * X, "hidden": HIDDEN.astype(np.float16)},
        "x and initial_state hold numbers larger than float16 can hold",
    ),
    "a step is missing": (
        {"x": X, "hidden": HIDDEN[:, 1:]},
        "hidden must be [2, 3, D*H] floating-point numbers; received float32 [2, 2, 7]",
    ),
    "whole numbers": (
        {"x": X, "hidden": HIDDEN.astype(np.int16)},
        "hidden must be [2, 3, D*H] floating-point numbers; received int16 [2, 3, 7]",
    ),
    "last of every step": (
        {"x": X, "last": HIDDEN},
        "last must be [2, D*H] floating-point numbers; received float32 [2, 3, 7]",
    ),
    "lengths": (
        {"x": X, "hidden": HIDDEN, "lengths": np.array([3, 4])},
        "lengths must be 2 integers from 1 to 3; received [3 4]",
    ),
    "state": (
        {"x": X, "hidden": HIDDEN, "initial_state": HIDDEN[:, 0]},
        "initial_state must be [L*D, 2, H] numbers; received float32 [2, 7]",
    ),
    "gates of the last step": (
        {"x": X, "last": HIDDEN[:, -1], "reset": HIDDEN},
        "gates are compared beside the states of every step: record hidden, not last",
    ),
    "a gate of another size": (
        {"x": X, "hidden": HIDDEN, "reset": HIDDEN[..., 1:]},
        "reset must be [2, 3, 7] floating-point numbers; received float32 [2, 3, 6]",
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_do_not_fit_each_other(tmp_path: Path, name: str) -> None:
    arrays, message = ARRAYS[name]
    path = _saved(tmp_path / "io.npz", **arrays)
    with pytest.raises(ProbeError, match=re.escape(f"{path}: {message}")):
        read_recording(path)


def test_arrays_that_do_not_fit_the_model() -> None:
    spec = member("reset_after")
    for recording, message in (
        (Recording("io.npz", X[..., 1:], HIDDEN), "x must be [2, 3, 5] numbers; received float32 [2, 3, 4]"),
        (
            Recording("io.npz", X, HIDDEN[..., 1:]),
            "hidden must be [2, 3, 7] floating-point numbers; received float32 [2, 3, 6]",
        ),
        (
            Recording("io.npz", X, last=HIDDEN[:, 0, 1:]),
            "last must be [2, 7] floating-point numbers; received float32 [2, 6]",
        ),
        (
            Recording("io.npz", X, HIDDEN, initial_state=HIDDEN[None, :, 0, 1:]),
            "initial_state must be [1, 2, 7] numbers (layer by layer, forward first); received float32 [1",
        ),
    ):
        with pytest.raises(ProbeError, match=re.escape(f"io.npz: {message}")):
            recording.probe(spec)


@pytest.mark.skipif(np.longdouble().itemsize == 8, reason="long double is double here")
def test_extended_precision_is_refused() -> None:
    with pytest.raises(
        ProbeError, match=r"outputs must be float16, float32, float64; received .* \[2, 3, 7\]"
    ):
        Recording("io.npz", X, HIDDEN.astype(np.longdouble))


def test_gates_of_a_stack_are_refused() -> None:
    gates: Any = dict.fromkeys(("update", "reset", "candidate"), HIDDEN)
    recording = Recording("io.npz", X, HIDDEN, gates=gates)
    with pytest.raises(ProbeError, match="gates can be compared of one layer that reads in one direction"):
        recording.probe(make_spec("two", sizes=(5, 4, 7)))


def test_a_state_beside_a_learned_one_is_refused() -> None:
    spec = make_spec("learned", sizes=(5, 7), initial_state=True)
    recording = Recording("io.npz", X, HIDDEN, initial_state=HIDDEN[None, :, 0])
    with pytest.raises(ProbeError, match="the model carries a learned one of its own"):
        recording.probe(spec)


def test_files_that_are_no_recording(tmp_path: Path) -> None:
    single, text, objects = tmp_path / "x.npy", tmp_path / "notes.npz", tmp_path / "o.npz"
    np.save(single, X)
    text.write_text("hello")
    np.savez(objects, x=np.array([{}], object))
    for path, message in (
        (single, r"a recording is an .npz file: numpy.savez\(path, x=x, hidden=hidden\)"),
        (text, "this is not an .npy or .npz file of numbers"),
        (objects, "this is not an .npy or .npz file of numbers"),
    ):
        with pytest.raises(ProbeError, match=message):
            read_recording(path)
    with pytest.raises(FileFormatError, match="there is no such file"):
        read_recording(tmp_path / "none.npz")


def test_sizes_are_looked_at_before_memory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grubridge.files.npy.LARGEST", 1 << 20)
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros((1 << 18, 1, 1)), hidden=np.zeros((1 << 18, 1, 1)))
    assert path.stat().st_size < 1 << 14
    with pytest.raises(UnsafeFileError, match="its content would take 4 MiB of memory, more than the 1 MiB"):
        read_recording(path)
