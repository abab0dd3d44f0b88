"""External data: read beside the model, refused anywhere else."""

import os
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from grubridge.artifacts import open_artifact
from grubridge.errors import CorruptFileError, GRUBridgeError, UnsafeFileError
from grubridge.spec import GRUSpec
from tests.onnx_grus import random_node, save


def _read(path: Path) -> GRUSpec:
    artifact = open_artifact(path)
    return artifact.read(artifact.select())


def _refusal(path: Path) -> GRUBridgeError:
    with pytest.raises(GRUBridgeError) as caught:
        _read(path)
    assert str(path) in str(caught.value)
    return caught.value


def _external(folder: Path, **entries: str) -> Path:
    model = random_node(hidden_size=60).model()
    tensor = next(one for one in model.graph.initializer if one.name == "R")
    (folder / "w.bin").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return save(model, folder / "m.onnx")


INSIDE_ONLY = (
    "; grubridge opens relative paths inside the model's own folder only: move the file beside the model and "
    "save the model again"
)


@pytest.mark.parametrize(
    "location",
    ["../w.bin", "a/../../w.bin", "/etc/passwd", "file:///w.bin", "a\\w.bin", "w.bin\0", "", "./w.bin"],
)
def test_external_data_elsewhere(tmp_path: Path, location: str) -> None:
    error = _refusal(_external(tmp_path, location=location))

    assert isinstance(error, UnsafeFileError)
    assert "tensor 'R' lies in the external file '" in str(error)
    assert str(error).endswith(INSIDE_ONLY)


def test_external_data_through_links(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "model"
    outside.mkdir()
    folder.mkdir()
    (outside / "w.bin").write_bytes(bytes(100_000))
    (folder / "link.bin").symlink_to(outside / "w.bin")
    (folder / "door").symlink_to(outside)
    for location in ("link.bin", "door/w.bin"):
        error = _refusal(_external(folder, location=location))

        assert isinstance(error, UnsafeFileError)
        assert f"external file '{location}', which is a link, leads through one or cannot be opened" in str(
            error
        )


def test_external_data_that_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nothing").touch()
    for location, kind, told in (
        ("folder", UnsafeFileError, "which is no regular file"),
        ("pipe", UnsafeFileError, "which is no regular file"),
        ("nothing", CorruptFileError, "which is empty; the download or the copy may have failed"),
        ("missing", CorruptFileError, "which is missing; copy it together with the model"),
    ):
        error = _refusal(_external(tmp_path, location=location))

        assert isinstance(error, kind)
        assert f"tensor 'R' lies in the external file '{location}', {told}" in str(error)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"offset": "-8"}, "the offset of its external data must be a number of bytes; received '-8'"),
        ({"length": "all"}, "the length of its external data must be a number of bytes; received 'all'"),
        (
            {"length": "8"},
            "of shape [1, 180, 60] and type float32 takes 43200 bytes; its external data is 8 bytes",
        ),
        ({"offset": "16"}, "w.bin: 'R' should be 43200 bytes at offset 16, but the file has 43200 bytes"),
    ],
)
def test_external_data_of_another_size(tmp_path: Path, entries: dict[str, str], message: str) -> None:
    error = _refusal(_external(tmp_path, location="w.bin", **entries))

    assert isinstance(error, CorruptFileError)
    assert message in str(error)


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = _external(tmp_path, location="data/w.bin", offset="0", length="43200", checksum="anything")
    (tmp_path / "w.bin").rename(tmp_path / "data" / "w.bin")

    spec = _read(path)

    weight = spec.layers[0].forward.recurrent_weight.update  # type: ignore[union-attr]
    assert np.array_equal(weight, random_node(hidden_size=60).weights["R"][0, :60])
