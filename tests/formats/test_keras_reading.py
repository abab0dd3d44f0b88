"""Files that Keras 3 and Keras 2 save, read without them and held against what they compute."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from grubridge.files.opening import FileMap
from grubridge.formats.base import Contents, ReadHints, StackEntry
from grubridge.formats.keras import adapter
from grubridge.formats.readback import differences
from grubridge.spec import Activation, StackIO
from tests.keras_grus import VARIANTS, largest_difference, sequential

KERAS = ["keras", "tf_keras"]

pytestmark = pytest.mark.filterwarnings("ignore:.*HDF5 file via `model.save", "ignore:.*legacy")


@pytest.fixture(params=KERAS)
def framework(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.getfixturevalue(request.param)
    return module


def _contents(path: Path, hints: ReadHints | None = None) -> Contents:
    assert adapter.sniff(path, path.read_bytes()[:512])
    return adapter.contents(path, hints or ReadHints())


def _only(path: Path, hints: ReadHints | None = None) -> StackEntry:
    (entry,) = _contents(path, hints).stacks
    return entry


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_the_function_that_keras_computes(
    framework: ModuleType, tmp_path: Path, variant: str
) -> None:
    model = sequential(framework, "float64", VARIANTS[variant])
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)

    spec, legacy = (_only(tmp_path / name).read() for name in ("model.keras", "model.h5"))

    assert differences(spec, legacy) == ()
    assert legacy.io == spec.io
    assert spec.dtype.name == "float64"
    assert largest_difference(model, spec) < 1e-12
    assert spec.source is not None
    assert spec.source.framework == f"keras {framework.__version__}"
    assert spec.source.notes == ()


def test_float32_is_what_keras_computes_but_for_its_rounding(framework: ModuleType, tmp_path: Path) -> None:
    model = sequential(framework, "float32", VARIANTS["concat"])
    model.save(tmp_path / "model.keras")

    spec = _only(tmp_path / "model.keras").read()

    assert spec.dtype.name == "float32"
    assert largest_difference(model, spec) < 1e-6


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
def test_half_precision_keeps_its_bits(
    framework: ModuleType, tmp_path: Path, dtype: str, suffix: str
) -> None:
    model = sequential(
        framework, dtype, lambda layers: layers.GRU(5, return_sequences=True, recurrent_initializer="zeros")
    )
    path = tmp_path / f"model{suffix}"
    (model.save_weights if suffix == ".weights.h5" else model.save)(path)

    spec = _only(path).read()

    kernel = np.asarray(model.get_weights()[0])
    assert spec.dtype.name == dtype
    assert (kernel[:, :5] == spec.layers[0].forward.input_weight.update.T).all()  # type: ignore[union-attr]


@pytest.mark.parametrize("variant", ["reset_after", "reset_before", "concat", "stacked_cells"])
def test_weights_alone_are_the_same_arrays(framework: ModuleType, tmp_path: Path, variant: str) -> None:
    model = sequential(framework, "float32", VARIANTS[variant])
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")

    whole = _only(tmp_path / "model.keras").read()
    alone = _only(tmp_path / "model.weights.h5").read()

    # the second of the stacked cells has another activation, which the weights do not say
    unsaid = ("layer 1 forward candidate_activation",) if variant == "stacked_cells" else ()
    assert differences(whole, alone) == unsaid
    assert alone.source is not None
    assert alone.source.notes[0].startswith(
        "weights alone do not say activations: assumed activation=tanh and recurrent_activation=sigmoid"
    )
    assert "--activation and --recurrent-activation" in alone.source.notes[0]


def test_hints_say_what_weights_do_not(framework: ModuleType, tmp_path: Path) -> None:
    model = sequential(
        framework,
        "float64",
        lambda layers: layers.GRU(
            4, activation="relu", recurrent_activation="softsign", use_bias=False, reset_after=False
        ),
    )
    model.save_weights(tmp_path / "model.weights.h5")
    hints = ReadHints("relu", "softsign", reset_after=False)

    spec = _only(tmp_path / "model.weights.h5", hints).read()

    assert largest_difference(model, replace(spec, io=StackIO(return_sequences=False))) < 1e-12
    assert spec.source is not None
    assert spec.source.notes == (
        "weights alone do not say how a layer is used: assumed reading forwards, every step returned",
    )


@pytest.mark.parametrize(("hint", "slope"), [("hard_sigmoid", 1 / 6), ("hard_sigmoid(0.2)", 0.2)])
def test_a_hinted_hard_sigmoid_may_be_of_either_keras(
    tf_keras: ModuleType, tmp_path: Path, hint: str, slope: float
) -> None:
    model = sequential(tf_keras, "float32", VARIANTS["hard_sigmoid"])
    model.save_weights(tmp_path / "model.weights.h5")

    spec = _only(tmp_path / "model.weights.h5", ReadHints(recurrent_activation=hint)).read()

    (_, _, direction), *_ = spec.directions()
    assert direction.gate_activation == Activation("hard_sigmoid", slope, 0.5)
    assert spec.source is not None
    assert any("x/6 + 0.5" in note for note in spec.source.notes) == (hint == "hard_sigmoid")


def test_weights_are_views_of_the_file(keras: ModuleType, tmp_path: Path) -> None:
    sequential(keras, "float32", VARIANTS["concat"]).save(tmp_path / "model.keras")

    spec = _only(tmp_path / "model.keras").read()

    for _, array in spec.arrays():
        base: Any = array
        while isinstance(base, np.ndarray):
            assert not base.flags.owndata
            base = base.base
        assert len(memoryview(base)) == FileMap(tmp_path / "model.keras").size


def test_the_address_is_what_a_runtime_needs(keras: ModuleType, tmp_path: Path) -> None:
    sequential(keras, "float32", VARIANTS["stacked_cells"]).save(tmp_path / "model.keras")

    address = _only(tmp_path / "model.keras").address

    assert address["kind"] == "keras3"
    assert address["container"] == "model.weights.h5"
    assert address["framework"] == f"keras {keras.__version__}"
    assert [(layer["class_name"], layer["cell"]) for layer in address["layers"]] == [("RNN", 0), ("RNN", 1)]
    assert [layer["datasets"] for layer in address["layers"]] == [
        {"forward": [f"layers/rnn/cell/cells/gru_cell/vars/{index}" for index in range(3)]},
        {"forward": [f"layers/rnn/cell/cells/gru_cell_1/vars/{index}" for index in range(2)]},
    ]


def test_a_program_that_holds_a_spec_ends_well(keras: ModuleType, tmp_path: Path) -> None:
    sequential(keras, "float32", VARIANTS["concat"]).save(tmp_path / "model.keras")
    code = "import sys, grubridge; spec = grubridge.read(sys.argv[1]); print(spec.dtype)"

    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.keras"], capture_output=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"float32\n", b"")
