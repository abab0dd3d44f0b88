"""Keras files that other projects published, held against what Keras 2 computed from them."""

from pathlib import Path

import numpy as np
import pytest

from grubridge.formats.base import ReadHints
from grubridge.formats.keras import adapter
from tests.keras_grus import expected_output

DELFT = "delft/data/models/textClassification"

HELD_OUTPUTS = {
    "tfkeras_astrorapid_5356b54": ("astrorapid/hist/5356b54.hdf5", ["gru_1", "gru_2"]),
    "tfkeras_delft_citations_k27": (
        f"{DELFT}/citations/4342586.gru.model_weights.hdf5",
        ["bidirectional:bidirectional_1"],
    ),
    "tfkeras_delft_toxic0": (
        f"{DELFT}/toxic/4ef6b6a.gru.model0_weights.hdf5",
        ["bidirectional_1:bidirectional_2"],
    ),
    "tfkeras_klon_gain0": ("klon/GainStageML/Models/RNN_gain0.h5", ["gru_8"]),
    "tfkeras_klon_gain25": ("klon/GainStageML/Models/RNN_gain25.h5", ["gru"]),
    "tfkeras_klon_gain50": ("klon/GainStageML/Models/RNN_gain50.h5", ["gru"]),
    "tfkeras_rnnoise_beguiling-drafter": (
        "rnnoise_models/beguiling-drafter-2018-08-30/weights.hdf5",
        ["vad_gru", "noise_gru", "denoise_gru"],
    ),
    "tfkeras_rnnoise_leavened-quisling": (
        "rnnoise_models/leavened-quisling-2018-08-31/weights.hdf5",
        ["vad_gru", "noise_gru", "denoise_gru"],
    ),
}


@pytest.mark.parametrize("golden", HELD_OUTPUTS)
def test_every_layer_is_what_its_own_keras_computed(real: Path, golden: str) -> None:
    file, names = HELD_OUTPUTS[golden]
    contents = adapter.contents(real / file, ReadHints())
    layers = [member for entry in contents.stacks for member in (entry.members or (entry,))]
    compared = 0

    with np.load(real / "golden" / f"{golden}.npz") as outputs:
        for entry in layers:
            made = expected_output(entry.read(), outputs[f"in__{entry.name}"].astype(np.float64))
            expected = outputs[f"out__{entry.name}"]
            scale = max(1.0, float(np.abs(expected).max()))
            assert np.abs(made - expected).max() < 2e-6 * scale
            compared += 1
        assert len(outputs.files) == 2 * compared

    assert [entry.name for entry in contents.stacks] == names


@pytest.mark.parametrize("file", ["0f84081", "433e73c", "b9e6e99"])
def test_weights_without_a_model_are_read_by_their_scopes(real: Path, file: str) -> None:
    contents = adapter.contents(real / f"{DELFT}/license_gru/{file}.model_weights.hdf5", ReadHints())

    specs = [entry.read() for entry in contents.stacks]

    assert [spec.name for spec in specs] == ["bidirectional_2", "bidirectional_3"]
    for spec, input_size in zip(specs, (300, 128), strict=True):
        layer = spec.layers[0]
        assert (layer.input_size, layer.hidden_size, layer.output_size) == (input_size, 64, 128)
        assert layer.reset_after
        assert spec.source is not None
        assert "assumed activation=tanh and recurrent_activation=sigmoid" in spec.source.notes[0]


def test_every_keras_file_opens(real: Path) -> None:
    files = sorted(path for path in real.rglob("*") if path.suffix in (".h5", ".hdf5", ".keras"))

    assert len(files) == 11
    for path in files:
        assert adapter.sniff(path, path.read_bytes()[:512])
        assert all(entry.read().layers for entry in adapter.contents(path, ReadHints()).stacks)
