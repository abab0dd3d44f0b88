"""trace: from a file or an array in, to gates, states and an .npz file out."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge.backends import registry
from grubridge.errors import (
    BackendError,
    CannotRunError,
    DeviceError,
    InvalidSpecError,
    MissingDependencyError,
    ProbeError,
    StackSelectionError,
    TargetError,
    UnknownFormatError,
)
from grubridge.formats.base import ReadHints
from grubridge.reference import run
from grubridge.tracing import TracedModel, trace
from tests.zoo import make_spec, member

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
DIGITS = SAMPLES / "digits_two_layer.pt"
SPEC = member("two_layers_bidirectional")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    grubridge.write(SPEC, path)
    return path


def test_the_equations_of_a_file_need_no_framework(model: Path) -> None:
    traced = trace(model, backend="reference")

    expected = run(SPEC, traced.probe)
    assert (traced.model, traced.stack) == (str(model), "gru_0:gru_1")
    assert (traced.trace.backend, traced.trace.native) == ("reference", False)
    for place in expected.places:
        for name, array in expected[place].arrays().items():
            np.testing.assert_array_equal(traced[place].arrays()[name], array, err_msg=name)


def test_random_inputs_start_where_the_model_starts(model: Path) -> None:
    traced = trace(model, backend="reference", seed=3, batch=2, steps=5)

    assert traced.probe.x.shape == (2, 5, 4)
    assert traced.probe.lengths is None
    assert not any(made.initial_state.any() for made in traced.trace.places.values())
    assert np.array_equal(traced.probe.x, trace(model, backend="reference", seed=3, batch=2, steps=5).probe.x)
    assert not np.array_equal(
        traced.probe.x, trace(model, backend="reference", seed=4, batch=2, steps=5).probe.x
    )


def test_inputs_of_ones_own(model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 6, 4)).astype(np.float32)
    named: dict[str, Any] = {
        "x": x,
        "lengths": [6, 2],
        "initial_state": rng.standard_normal((4, 2, 5)).astype(np.float32),
    }
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", **named)

    alone = [trace(model, given, backend="reference") for given in (x, x.tolist(), tmp_path / "x.npy")]
    whole = [trace(model, given, backend="reference") for given in (named, str(tmp_path / "x.npz"))]

    assert [one.probe.origin for one in (*alone, *whole)] == ["given", "given", "x.npy", "given", "x.npz"]
    for group in (alone, whole):
        for other in group[1:]:
            np.testing.assert_array_equal(other[1, "backward"].hidden, group[0][1, "backward"].hidden)
    assert whole[0].probe.lengths is not None
    np.testing.assert_array_equal(whole[0][1, "backward"].initial_state, named["initial_state"][3])
    assert not whole[0][0, "forward"].hidden[1, 2:].any()


def test_the_npz_file_holds_what_is_documented(model: Path, tmp_path: Path) -> None:
    traced = trace(model, backend="reference", lengths=[24, 3, 5, 6], out=tmp_path / "t.npz")

    with np.load(tmp_path / "t.npz", allow_pickle=False) as stored:
        parts = ("x", "initial_state", "hidden", "update", "reset", "candidate")
        places = [(k, way) for k in (0, 1) for way in ("forward", "backward")]
        names = {f"layer{k}.{way}.{part}" for k, way in places for part in parts}
        assert set(stored.files) == {"x", "lengths", "about", *names}
        np.testing.assert_array_equal(stored["x"], traced.probe.x)
        np.testing.assert_array_equal(stored["lengths"], [24, 3, 5, 6])
        made = traced[1, "backward"]
        assert made.gates is not None
        np.testing.assert_array_equal(stored["layer1.backward.update"], made.gates.update)
        np.testing.assert_array_equal(stored["layer1.backward.hidden"], made.hidden)
        about = json.loads(str(stored["about"]))
    assert (about["model"], about["backend"], about["inputs"]) == (str(model), "reference", "random, seed 0")
    assert about["gate_sources"][0] == [0, "forward", "reference"]


def test_an_npz_file_is_not_replaced_unasked(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.npz"
    out.write_text("precious")
    with pytest.raises(TargetError, match=r"t\.npz: the file exists"):
        trace(model, backend="reference", out=out)
    assert out.read_text() == "precious"

    trace(model, backend="reference", out=out, force=True)

    assert np.load(out)["x"].shape == (4, 24, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "t.npz"]


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no npz": ({"out": "t.txt"}, TargetError, r"^t\.txt: a trace is written as \.npz; expected a name that"),
    "unknown backend": (
        {"backend": "refrence"},
        BackendError,
        r"^unknown backend 'refrence'\. Did you mean 'reference'\? Known: keras, onnxruntime, pytorch, ref",
    ),
    "equations on a GPU": (
        {"device": "cuda"},
        DeviceError,
        "^the float64 equations run on the CPU; received",
    ),
    "no such stack": ({"stack": "gru_7"}, StackSelectionError, "no GRU is called 'gru_7'"),
    "sizes of given inputs": (
        {"inputs": np.zeros((1, 2, 4)), "steps": 3},
        ProbeError,
        "^inputs bring their own sizes: leave out seed, batch, steps and lengths$",
    ),
    "inputs of another size": (
        {"inputs": np.zeros((1, 2, 5))},
        ProbeError,
        r"^x must be \[batch, time, 4\] numbers; received float64 \[1, 2, 5\]$",
    ),
    "no array": ({"inputs": [[1, 2], [3]]}, ProbeError, "^the inputs cannot be made NumPy arrays: "),
    "surplus name": ({"inputs": {"x": np.zeros((1, 2, 4)), "mask": 1}}, ProbeError, "it holds mask, x$"),
    "hints": (
        {"hints": ReadHints(activation="tanh")},
        UnknownFormatError,
        "--activation is for Keras weights",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(model: Path, case: str) -> None:
    arguments, error, message = REFUSED[case]

    with pytest.raises(error, match=message):
        trace(model, **{"backend": "reference", **arguments})


def test_a_runtime_that_has_no_such_gru(tmp_path: Path, torch: ModuleType) -> None:
    del torch
    grubridge.write(member("reset_before"), tmp_path / "a.onnx")

    with pytest.raises(
        CannotRunError, match=r"a\.onnx: pytorch cannot run it: the reset gate is applied bef"
    ):
        trace(tmp_path / "a.onnx", backend="pytorch")


def test_what_is_no_model() -> None:
    with pytest.raises(
        InvalidSpecError, match=r"^expected the path of a model file, a torch module, .* a dict"
    ):
        trace({"weights": 3})


def test_one_unit(model: Path) -> None:
    traced = trace(model, backend="reference").of_unit(4)

    whole = traced[0, "forward"].gates
    assert whole is not None
    seen = traced.statistics((0, "forward")).update
    assert seen is not None
    assert seen.curve == pytest.approx(whole.update[:, :, 4].mean(axis=0))
    with pytest.raises(ProbeError, match=r"^unit must be 0 to 4, which every layer has; received 5$"):
        traced.of_unit(5)


def _agree(left: TracedModel, right: TracedModel) -> None:
    """The samples are trained and not chaotic: free runs of two frameworks stay this close in float32."""
    assert left.trace.backend != right.trace.backend
    assert list(left.trace.places) == list(right.trace.places)
    for place in left.trace.places:
        for traced in (left, right):
            proof = traced.recomposition(place)
            assert proof is not None
            assert proof.headroom < 1
        there = right[place].arrays()
        for name, array in left[place].arrays().items():
            assert array.dtype == np.float32
            np.testing.assert_allclose(there[name], array, rtol=0, atol=2e-5, err_msg=f"{place} {name}")


def test_the_torch_sample_and_its_onnx_twin_do_the_same(torch: ModuleType, onnxruntime: ModuleType) -> None:
    del torch, onnxruntime

    _agree(trace(DIGITS), trace(SAMPLES / "digits_two_layer.onnx"))


def test_the_keras_sample_and_its_twins_do_the_same(
    tmp_path: Path, keras: ModuleType, torch: ModuleType, onnxruntime: ModuleType
) -> None:
    del keras, torch, onnxruntime
    source = SAMPLES / "digits_bidirectional.keras"
    for twin in ("a.pt", "a.onnx"):
        grubridge.convert(source, tmp_path / twin)

    ran = trace(source)
    for twin in ("a.pt", "a.onnx"):
        _agree(ran, trace(tmp_path / twin))
    _agree(ran, trace(source, backend="onnxruntime"))


def test_a_foreign_runtime_says_what_it_ran(onnxruntime: ModuleType) -> None:
    del onnxruntime

    ran = trace(DIGITS, backend="onnxruntime").trace

    assert not ran.native
    assert ran.notes[0] == "the weights were written into a temporary onnx file, which was run"


def test_a_learned_initial_state_is_used(tmp_path: Path, onnxruntime: ModuleType) -> None:
    del onnxruntime
    spec = make_spec("learned", sizes=(3, 5), initial_state=True, seed=8)
    grubridge.write(spec, tmp_path / "a.onnx")

    made = trace(tmp_path / "a.onnx")[0, "forward"]

    learned = spec.layers[0].forward
    assert learned is not None
    assert learned.initial_state is not None
    np.testing.assert_array_equal(made.initial_state, np.tile(learned.initial_state, (4, 1)))


def test_without_the_framework_the_equations_are_offered(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda _: None)

    with pytest.raises(MissingDependencyError) as caught:
        trace(model)

    assert caught.value.extra == "onnxruntime"
    assert str(caught.value).startswith(
        "the backend onnxruntime needs onnxruntime, which this Python has not"
    )
    assert str(caught.value).endswith("or let the float64 equations compute it: backend reference")
