"""Keras files that grubridge writes, opened by Keras 3 and, where it can, by Keras 2."""

import json
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.errors import FileFormatError, UnsupportedFeatureError
from grubridge.formats.base import Provenance, ReadHints, WriteOptions, Written
from grubridge.formats.keras import adapter
from grubridge.formats.readback import differences
from grubridge.spec import (
    CANDIDATE,
    GATE_NAMES,
    RESET,
    UPDATE,
    Activation,
    GRUSpec,
    Layout,
    StackIO,
    hard_sigmoid,
    unsupported,
)
from tests.keras_grus import expected_output, probe_x
from tests.zoo import ZOO, make_spec, member

CANONICAL = Layout(GATE_NAMES, "output")
PYTORCH = Layout((RESET, UPDATE, CANDIDATE), "output")
SUFFIXES = [".keras", ".weights.h5", ".h5"]
HELD = [spec for spec in ZOO if not unsupported(spec, adapter.CAPABILITIES, "keras")]
TOLERANCES = {"float64": 1e-12, "float32": 1e-6, "float16": 2e-3, "bfloat16": 2e-2}


def _write(spec: GRUSpec, path: Path, source: Layout = CANONICAL) -> Written:
    provenance = Provenance({"grubridge.version": "9.9", "grubridge.source_file": "a.pt"})
    return adapter.write(spec, path, WriteOptions(), provenance, source)


def _loaded(framework: ModuleType, path: Path, note: str) -> Any:
    """Return the model that Keras makes of the file, as the writer's note says."""
    code = note.removeprefix("load it with model = ").split("; model.load_weights")
    model = eval(code[0].replace(repr(path.name), repr(str(path))), {"keras": framework})  # noqa: S307
    if len(code) > 1:
        model.load_weights(path)
    return model


def _assert_computes(model: Any, spec: GRUSpec, stored: GRUSpec) -> None:
    x = probe_x(spec.input_size).astype(spec.dtype).astype(np.float64)
    made = np.asarray(model(x.astype(spec.dtype))).astype(np.float64)
    assert np.abs(made - expected_output(replace(spec, io=stored.io), x)).max() < TOLERANCES[spec.dtype.name]


def test_the_zoo_has_specs_that_fit_and_specs_that_do_not() -> None:
    assert {spec.name for spec in ZOO} - {spec.name for spec in HELD} == {
        "activations_per_direction", "clip", "hard_sigmoid_keras_2", "initial_state",
    }  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("spec", HELD, ids=lambda spec: spec.name)
def test_keras_computes_what_was_written(
    keras: ModuleType, tmp_path: Path, spec: GRUSpec, suffix: str
) -> None:
    if suffix == ".h5" and spec.dtype.name == "bfloat16":
        return  # refused: see below
    path = tmp_path / f"model{suffix}"

    written = _write(spec, path)

    _assert_computes(_loaded(keras, path, written.notes[0]), spec, written.stored)
    (entry,) = adapter.contents(path, ReadHints()).stacks
    assert differences(written.stored, entry.read()) == ()
    assert entry.read().io == written.stored.io


@pytest.mark.parametrize("spec", HELD, ids=lambda spec: spec.name)
def test_keras_2_computes_what_h5_holds(tf_keras: ModuleType, tmp_path: Path, spec: GRUSpec) -> None:
    if spec.dtype.name == "bfloat16":
        return
    path = tmp_path / "model.h5"

    written = _write(spec, path)

    if spec.name == "hard_sigmoid_keras_3":
        assert any("load it with Keras 3" in note for note in written.notes)
    else:
        _assert_computes(_loaded(tf_keras, path, written.notes[0]), spec, written.stored)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_wiring_comes_along(keras: ModuleType, tmp_path: Path, merge_mode: Any, suffix: str) -> None:
    io = StackIO(return_sequences=False, merge_mode=merge_mode)
    spec = replace(member("two_layers_bidirectional"), io=io)
    path = tmp_path / f"model{suffix}"

    written = _write(spec, path)

    assert written.stored.io == io
    _assert_computes(_loaded(keras, path, written.notes[0]), spec, written.stored)


def test_both_directions_share_one_kind_of_bias(keras: ModuleType, tmp_path: Path) -> None:
    spec = member("bidirectional")
    layer = spec.layers[0]
    assert layer.backward is not None
    bare = replace(layer.backward, input_bias=None, recurrent_bias=None)
    spec = replace(spec, layers=(replace(layer, backward=bare),))

    written = _write(spec, tmp_path / "model.keras")

    _assert_computes(keras.models.load_model(tmp_path / "model.keras"), spec, written.stored)
    (bias,) = [
        made for made in written.records if "backward" in made.made_of[0] and "bias" in made.made_of[0]
    ]
    assert bias.actions == ("zero-filled",)


def test_a_name_without_a_keras_ending_makes_a_keras_container(tmp_path: Path) -> None:
    _write(member("reset_after"), tmp_path / "model.bin")

    assert zipfile.is_zipfile(tmp_path / "model.bin")
    (entry,) = adapter.contents(tmp_path / "model.bin", ReadHints()).stacks
    assert entry.address["kind"] == "keras3"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_content_gives_equal_bytes(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for path in paths:
        _write(member("two_layers_bidirectional"), path)
        time.sleep(1.1)  # what stores a time stores seconds

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_large_layers_are_streamed_and_their_checksum_is_right(tmp_path: Path) -> None:
    (layer,) = make_spec("large", sizes=(11, 64), seed=5).layers
    assert layer.forward is not None
    kernels = layer.forward.input_weight.map(lambda kernel: np.tile(kernel, (1, 3000)))
    big = GRUSpec((replace(layer, forward=replace(layer.forward, input_weight=kernels)),))

    _write(big, tmp_path / "model.keras")

    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert archive.testzip() is None
    (entry,) = adapter.contents(tmp_path / "model.keras", ReadHints()).stacks
    assert differences(big, entry.read()) == ()


def test_records_say_what_was_done_to_each_array(tmp_path: Path) -> None:
    written = _write(member("reset_before_split_bias"), tmp_path / "model.keras", PYTORCH)

    kernel, recurrent, bias = written.records
    assert (kernel.tensor, kernel.shape) == ("layers/gru/cell/vars/0", (3, 24))
    assert kernel.actions == ("permuted", "transposed")
    assert recurrent.made_of == ("layer 0 forward recurrent_weight",)
    assert bias.made_of == ("layer 0 forward input_bias",)
    assert bias.shape == (24,)
    assert "summed" in bias.actions
    assert bias.largest_change > 0


def test_provenance_is_in_every_kind(tmp_path: Path) -> None:
    import h5py

    for suffix in SUFFIXES:
        path = tmp_path / f"model{suffix}"
        _write(member("reset_after"), path)
        if suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                said = json.loads(archive.read("metadata.json"))
        else:
            with h5py.File(path) as file:
                said = json.loads(file.attrs["grubridge"])
        assert said["grubridge.source_file"] == "a.pt"


def test_names_of_layers_are_what_keras_accepts(keras: ModuleType, tmp_path: Path) -> None:
    spec = replace(member("three_layers_reset_before"), name="encoder/gru (1):encoder/gru_2")

    written = _write(spec, tmp_path / "model.keras")

    model = _loaded(keras, tmp_path / "model.keras", written.notes[0])
    assert [layer.name for layer in model.layers] == [
        "encoder_gru__1_", "encoder_gru__1__1", "encoder_gru__1__2",
    ]  # fmt: skip


def test_what_a_model_cannot_keep_is_noted(tmp_path: Path) -> None:
    spec = replace(
        member("bidirectional"), io=StackIO(merge_mode=None, return_state=True, stateful=True, masking=True)
    )

    notes = _write(spec, tmp_path / "model.keras").notes

    assert notes[1:] == (
        "the source kept the two directions apart; here they are concatenated, forward first",
        "the source had return_state, stateful, masking; this model does not: set it in your own code",
    )
    backward = _write(member("backward_only"), tmp_path / "backward.keras").notes
    assert backward[1] == (
        "the layer goes backwards: Keras returns its steps last first; flip the time axis of its output"
    )


def test_own_weights_say_their_activations_and_take_no_hints(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    _write(member("relu"), path)

    with pytest.raises(FileFormatError, match="the file says itself what --activation would say"):
        adapter.contents(path, ReadHints(activation="tanh"))


def test_bfloat16_is_refused_in_the_form_that_keras_cannot_load(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"

    with pytest.raises(UnsupportedFeatureError) as caught:
        _write(member("bfloat16"), path)

    (reason,) = caught.value.features
    assert reason == (
        "the weights are bfloat16, and Keras itself cannot load them from .h5; write .keras, or choose "
        "another dtype with --dtype"
    )
    assert not path.exists()


def test_the_constructor_says_no_more_than_it_must(tmp_path: Path) -> None:
    alike = member("bidirectional")
    (layer,) = alike.layers
    assert layer.backward is not None
    backward = replace(layer.backward, candidate_activation=Activation("relu"))
    unlike = replace(alike, layers=(replace(layer, backward=backward),))

    short, long = (
        _write(spec, tmp_path / f"{name}.weights.h5").notes[0] for name, spec in (("a", alike), ("b", unlike))
    )

    assert "Bidirectional(keras.layers.GRU(5, return_sequences=True))])" in short
    assert "backward_layer=keras.layers.GRU(5, return_sequences=True, go_backwards=True, act" in long


def test_a_layer_above_one_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"

    with pytest.raises(UnsupportedFeatureError) as caught:
        _write(make_spec("backwards", sizes=(3, 4, 4), directions="backward"), path)

    assert str(caught.value) == (
        f"{path}: keras cannot hold this GRU:\n- a layer below another runs backwards only, and Keras's "
        "go_backwards hands its steps on last first; write ONNX"
    )
    assert not path.exists()


def test_the_hard_sigmoid_of_keras_2_is_refused() -> None:
    (reason,) = unsupported(member("hard_sigmoid_keras_2"), adapter.CAPABILITIES, "keras")

    assert str(hard_sigmoid(0.2)) in reason
