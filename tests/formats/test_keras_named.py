"""The arrays of Keras files by name, for layouts: cells of one's own, of which nothing is executed."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

import grubridge
from grubridge.errors import CorruptFileError, StackSelectionError
from grubridge.formats.base import ReadHints
from grubridge.formats.keras import adapter
from grubridge.formats.readback import differences
from tests.keras_cells import HIDDEN, INPUT, gated_cell

BY_PATH = """
name = "mine"
about = "A cell of my own, by the paths in a file of Keras 3."
update = "keeps"
reset = "after"

[tensors]
"vars/0" = { holds = "input_weight", gates = ["update", "reset", "candidate"], rows = "input" }
"vars/1" = { holds = "recurrent_weight", gates = ["update", "reset", "candidate"], rows = "input" }
"vars/2" = { holds = ["input_bias", "recurrent_bias"], gates = ["update", "reset", "candidate"] }
"""


def _saved(framework: ModuleType, path: Path) -> Any:
    cell = gated_cell(framework, together=True)
    rnn = framework.layers.RNN(cell, name="gates")
    model = framework.Sequential([framework.Input((None, INPUT)), rnn, framework.layers.Dense(2)])
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    return cell


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_subclass_of_grucell_by_the_layout_keras(
    request: pytest.FixtureRequest, tmp_path: Path, package: str, ending: str
) -> None:
    path = tmp_path / f"model{ending}"
    cell = _saved(request.getfixturevalue(package), path)

    spec = grubridge.read(path, hints=ReadHints(layout="keras"))

    assert not differences(spec, grubridge.from_layer(cell))


def test_the_file_says_which_layout_fits(keras: ModuleType, tmp_path: Path) -> None:
    _saved(keras, tmp_path / "model.keras")

    with pytest.raises(StackSelectionError) as caught:
        grubridge.read(tmp_path / "model.keras")

    assert str(caught.value).endswith(
        "model.keras: no GRU in it; it holds RNN of GatedCell 'gates', which grubridge does not convert; "
        "its tensors fit the layout keras: pass --layout keras"
    )


def test_arrays_by_their_own_paths(keras: ModuleType, tmp_path: Path) -> None:
    cell = _saved(keras, tmp_path / "model.keras")
    (tmp_path / "mine.toml").write_text(BY_PATH)

    spec = grubridge.read(tmp_path / "model.keras", hints=ReadHints(layout=str(tmp_path / "mine.toml")))

    assert not differences(spec, grubridge.from_layer(cell))


def test_names_of_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "a.weights.h5"
    shapes = {
        "layers/rnn/cell/vars/0": (INPUT, 3 * HIDDEN),
        "layers/rnn/cell/vars/1": (HIDDEN, 3 * HIDDEN),
        "layers/dense/vars/0": (HIDDEN, 3 * HIDDEN),
        "layers/dense/vars/1": (3 * HIDDEN,),
        "old/gru_cell/kernel:0": (INPUT, 3 * HIDDEN),
    }
    with h5py.File(path, "w") as file:
        for name, shape in shapes.items():
            file[name] = rng.normal(size=shape).astype(np.float32)
        file["layers/dropout/seed"] = np.arange(2)

    (tensors,) = adapter.tensors(path).groups.values()

    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "layers/rnn/cell/kernel": (INPUT, 3 * HIDDEN),
        "layers/rnn/cell/recurrent_kernel": (HIDDEN, 3 * HIDDEN),
        "layers/dense/vars/0": (HIDDEN, 3 * HIDDEN),
        "layers/dense/vars/1": (3 * HIDDEN,),
        "old/gru_cell/kernel": (INPUT, 3 * HIDDEN),
    }
    with h5py.File(path) as file:
        stored = file["layers/rnn/cell/vars/1"][()]
    np.testing.assert_array_equal(tensors["layers/rnn/cell/recurrent_kernel"].read(), stored)


def test_a_damaged_file_is_refused(keras: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    _saved(keras, path)
    path.write_bytes(path.read_bytes()[:2000])

    with pytest.raises(CorruptFileError, match="the file is truncated or damaged: copy or download it again"):
        grubridge.read(path, hints=ReadHints(layout="keras"))
