"""TensorFlow checkpoints, written by TensorFlow itself: what is read of them, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grubridge
from grubridge.errors import (
    CorruptFileError,
    FileFormatError,
    MissingDependencyError,
    StackSelectionError,
    UnknownFormatError,
    UnsupportedFeatureError,
)
from grubridge.formats.base import ReadHints
from grubridge.formats.readback import differences
from grubridge.formats.tensorflow import adapter, checkpoint
from grubridge.spec import Gates, GRUDirection, GRULayer, GRUSpec
from tests.tf_checkpoints import HIDDEN, INPUT, block_cell, cudnn_compatible_cell, gru_cell, save


def _expected(weights: dict[str, Any]) -> GRUSpec:
    """Return the spec of a GRUCell: r and u stand side by side in its gates, and [x, h] below each other."""
    (kernel, bias), (candidate, candidate_bias) = (
        (weights[f"{part}/kernel"], weights[f"{part}/bias"]) for part in ("gates", "candidate")
    )
    r, u = slice(0, HIDDEN), slice(HIDDEN, 2 * HIDDEN)
    return _spec(
        Gates(kernel[:INPUT, u].T, kernel[:INPUT, r].T, candidate[:INPUT].T),
        Gates(kernel[INPUT:, u].T, kernel[INPUT:, r].T, candidate[INPUT:].T),
        Gates(bias[u], bias[r], candidate_bias),
    )


def _spec(*parts: Any, reset_after: bool = False) -> GRUSpec:
    return GRUSpec((GRULayer(GRUDirection(*parts), None, reset_after),))


def test_a_gru_cell_of_tensorflow_1(tensorflow: ModuleType, tmp_path: Path) -> None:
    weights = gru_cell()
    prefix = save(tensorflow, tmp_path / "model.ckpt", weights)

    found = grubridge.inspect(tmp_path)
    spec = grubridge.read(prefix)

    assert [stack.name for stack in found.stacks] == ["rnn/gru_cell"]
    assert not differences(spec, _expected(weights))
    assert spec.source is not None
    (note,) = spec.source.notes
    assert note == (
        "read by the layout tf1-gru-cell, the only shipped one that its tensors fit; a checkpoint does not "
        "say which activations the cell has: those of the layout are assumed"
    )


def test_the_block_cell_is_the_same_function(tensorflow: ModuleType, tmp_path: Path) -> None:
    prefix = save(tensorflow, tmp_path / "block", block_cell(), "rnn/gru_block_cell")

    assert not differences(grubridge.read(prefix), _expected(gru_cell()))


def test_the_cudnn_compatible_cell_resets_after_the_product(tensorflow: ModuleType, tmp_path: Path) -> None:
    weights = cudnn_compatible_cell()
    prefix = save(tensorflow, tmp_path / "cudnn", weights, "a/cell")
    kernel, bias = weights["gates/kernel"], weights["gates/bias"]
    r, u = slice(0, HIDDEN), slice(HIDDEN, 2 * HIDDEN)
    x, h = (f"candidate/{part}_projection" for part in ("input", "hidden"))

    spec = grubridge.read(prefix)

    assert not differences(
        spec,
        _spec(
            Gates(kernel[:INPUT, u].T, kernel[:INPUT, r].T, weights[f"{x}/kernel"].T),
            Gates(kernel[INPUT:, u].T, kernel[INPUT:, r].T, weights[f"{h}/kernel"].T),
            Gates(bias[u], bias[r], weights[f"{x}/bias"]),
            Gates(None, None, weights[f"{h}/bias"]),
            reset_after=True,
        ),
    )


@pytest.mark.parametrize("at_once", [checkpoint._READ_AT_ONCE, 0])
def test_two_cells_of_other_dtypes(
    tensorflow: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(checkpoint, "_READ_AT_ONCE", at_once)
    dtypes = {"float64": gru_cell(1, "float64"), "bfloat16": gru_cell(2, "bfloat16")}
    stored = {f"{dtype}/{name}": array for dtype, cell in dtypes.items() for name, array in cell.items()}
    variables = {name: tensorflow.Variable(array) for name, array in stored.items()}
    tensorflow.compat.v1.train.Saver(variables).save(None, str(tmp_path / "two"), write_meta_graph=False)

    assert grubridge.list_stacks(tmp_path / "two") == ("bfloat16", "float64")
    for dtype, weights in dtypes.items():
        spec = grubridge.read(tmp_path / "two", dtype)
        assert spec.dtype.name == dtype
        assert not differences(spec, _expected(weights))


def _trained(framework: ModuleType, *layers: Any) -> Any:
    model = framework.Sequential([framework.Input((None, INPUT)), *layers, framework.layers.Dense(1)])
    model.compile("adam", "mse")
    rng = np.random.default_rng(3)
    model.set_weights([rng.uniform(-1, 1, weight.shape) for weight in model.get_weights()])
    model.fit(rng.normal(size=(2, 5, INPUT)), rng.normal(size=(2, 1)), verbose=0)
    return model


@pytest.mark.parametrize("how", ["model", "with_optimizer", "save_weights"])
def test_a_keras_gru_by_its_objects(
    tensorflow: ModuleType, request: pytest.FixtureRequest, tmp_path: Path, how: str
) -> None:
    package = request.getfixturevalue("tf_keras" if how == "save_weights" else "keras")
    model = _trained(package, package.layers.GRU(HIDDEN))
    if how == "save_weights":
        model.save_weights(tmp_path / "ck")
    else:
        # With an optimizer, Keras 3's variables are only called optimizer/_trainable_variables/0 and so on.
        objects = {"model": model, **({"optimizer": model.optimizer} if how == "with_optimizer" else {})}
        tensorflow.train.Checkpoint(**objects).write(str(tmp_path / "ck"))

    spec = grubridge.read(tmp_path / "ck")

    assert not differences(spec, grubridge.from_layer(model.layers[0]))


def test_a_bidirectional_is_read_by_its_own_layout(
    keras: ModuleType, tensorflow: ModuleType, tmp_path: Path
) -> None:
    layer = keras.layers.Bidirectional(keras.layers.GRU(HIDDEN))
    model = keras.Sequential([keras.Input((None, INPUT)), layer])
    tensorflow.train.Checkpoint(model=model).write(str(tmp_path / "ck"))

    with pytest.raises(StackSelectionError) as caught:
        grubridge.read(tmp_path / "ck")
    spec = grubridge.read(tmp_path / "ck", hints=ReadHints(layout="keras-bidirectional"))

    assert str(caught.value).endswith(
        "ck.index: no GRU in it; its tensors fit the layouts keras, keras-bidirectional: pass your cell's, "
        "as --layout keras"
    )
    assert not differences(spec, grubridge.from_layer(layer))


def test_what_no_layout_fits(keras: ModuleType, tensorflow: ModuleType, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((None, INPUT)), keras.layers.LSTM(HIDDEN)])
    tensorflow.train.Checkpoint(model=model).write(str(tmp_path / "ck"))

    with pytest.raises(StackSelectionError, match="its tensors fit no shipped layout: describe the cell"):
        grubridge.read(tmp_path / "ck")


def test_without_tensorflow_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "find_spec", lambda _: None)
    (tmp_path / "a.index").write_bytes(b"some table" + adapter._TABLE_END)

    with pytest.raises(MissingDependencyError) as caught:
        grubridge.read(tmp_path / "a")

    assert caught.value.extra == "tensorflow"
    assert str(caught.value).endswith(
        "a.index: a TensorFlow checkpoint is read by TensorFlow, which this Python has not: "
        "pip install 'grubridge[tensorflow]'"
    )


def test_a_checkpoint_without_its_data(tensorflow: ModuleType, tmp_path: Path) -> None:
    prefix = save(tensorflow, tmp_path / "model.ckpt", gru_cell())
    Path(f"{prefix}.data-00000-of-00001").unlink()

    with pytest.raises(FileFormatError) as caught:
        grubridge.read(prefix)

    assert str(caught.value).endswith(
        ".index: model.ckpt.data-00000-of-00001, the tensors of this checkpoint, is not beside it; "
        "copy all files of the checkpoint"
    )


@pytest.mark.parametrize("at_once", [checkpoint._READ_AT_ONCE, 0])
def test_a_truncated_shard(
    tensorflow: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(checkpoint, "_READ_AT_ONCE", at_once)
    prefix = save(tensorflow, tmp_path / "model.ckpt", gru_cell())
    shard = Path(f"{prefix}.data-00000-of-00001")
    shard.write_bytes(shard.read_bytes()[:99])

    with pytest.raises(CorruptFileError) as caught:
        grubridge.read(prefix)

    if at_once:
        assert "TensorFlow does not read this checkpoint: " in str(caught.value)
        assert str(caught.value).endswith("damaged, or a part of it is missing: copy it again")
    else:
        assert str(caught.value).endswith(
            "should be 384 bytes, but the data files beside it have 99; the checkpoint is truncated or "
            "damaged: copy it again"
        )


def test_a_truncated_index_is_no_model(tensorflow: ModuleType, tmp_path: Path) -> None:
    prefix = save(tensorflow, tmp_path / "model.ckpt", gru_cell())
    index = Path(f"{prefix}.index")
    index.write_bytes(index.read_bytes()[:-20])

    with pytest.raises(UnknownFormatError, match="its name says tensorflow, its content does not"):
        grubridge.read(prefix)


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_index_takes_nothing_down(tensorflow: ModuleType, tmp_path: Path, seed: int) -> None:
    prefix = save(tensorflow, tmp_path / "model.ckpt", gru_cell())
    index = Path(f"{prefix}.index")
    content = bytearray(index.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(content) - 8, 40):
        content[place] = rng.integers(256)
    index.write_bytes(content)

    with pytest.raises(CorruptFileError, match="damaged, or a part of it is missing: copy it again"):
        grubridge.read(prefix)


def test_checkpoints_are_not_written(tmp_path: Path) -> None:
    weights = gru_cell()

    with pytest.raises(UnsupportedFeatureError) as caught:
        grubridge.write(_expected(weights), tmp_path / "model.index")

    (reason,) = caught.value.features
    assert (
        reason
        == "grubridge reads tensorflow and does not write it; write keras, onnx, pytorch or safetensors"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells how much memory there is")
def test_the_child_takes_no_more_memory_than_it_should() -> None:
    program = (
        "from grubridge.files.confinement import limit_address_space\n"
        "limit_address_space(256 << 20)\n"
        "print(len(bytes(128 << 20)))\n"
        "bytes(512 << 20)\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ended.stdout == f"{128 << 20}\n"
    assert ended.stderr.endswith("MemoryError\n")
