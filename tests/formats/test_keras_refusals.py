"""Keras files that are broken, hostile or no GRU: each refused with the place, the cause and the way out."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grubridge.errors import CorruptFileError, FileFormatError, UnsafeFileError, UnsupportedFeatureError
from grubridge.formats.base import Provenance, ReadHints, WriteOptions
from grubridge.formats.keras import adapter
from grubridge.spec import GATE_NAMES, Array, Layout
from tests.keras_files import legacy_file
from tests.zoo import member

NOT_3H = "recurrent_kernel must be [H, 3H]; received"
OF_TWO = "configuration and weights are of two different models"

Config = dict[str, Any]
Change = Callable[[Config], object]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.keras"
    adapter.write(member("reset_after"), path, WriteOptions(), Provenance({}), Layout(GATE_NAMES, "output"))
    return path


def _changed(good: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """Return a copy of the good file with another content of one entry."""
    path = good.with_name("changed.keras")
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.namelist():
            data = source.read(entry)
            target.writestr(entry, change(data) if entry == name else data)
    return path


def _with_config(good: Path, change: Change) -> Path:
    def edit(data: bytes) -> bytes:
        model = json.loads(data)
        change(model["config"]["layers"][1]["config"])
        return json.dumps(model).encode()

    return _changed(good, "config.json", edit)


def _read(path: Path) -> None:
    for entry in adapter.contents(path, ReadHints()).stacks:
        entry.read()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": 8}, f"the configuration says 8 units, but recurrent_kernel has 7; {OF_TWO}"),
        ({"units": "7"}, "units must be a positive integer; received '7'"),
        ({"units": True}, "units must be a positive integer; received True"),
        ({"use_bias": False}, f"the configuration says use_bias=False, but there is a bias; {OF_TWO}"),
        ({"reset_after": 1}, "reset_after must be true or false; received 1"),
    ],
)
def test_a_configuration_that_does_not_fit(good: Path, settings: Config, message: str) -> None:
    path = _with_config(good, lambda config: config.update(settings))

    with pytest.raises(CorruptFileError) as caught:
        _read(path)

    assert str(caught.value) == f"{path}, reset_after: {message}"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("gelu", "gelu"),
        ("my>sigmoid", "my>sigmoid"),
        ({"module": "os", "class_name": "function", "config": "system"}, "os.system"),
        ({"module": "builtins", "class_name": "function", "config": "my_own"}, "my_own"),
        ({"class_name": "PReLU", "config": {}}, "PReLU"),
        (["tanh"], "something that is not a name"),
    ],
)
def test_an_activation_that_no_spec_holds(good: Path, stored: object, shown: str) -> None:
    path = _with_config(good, lambda config: config.update(activation=stored))

    with pytest.raises(UnsupportedFeatureError) as caught:
        _read(path)

    assert str(caught.value) == (
        f"{path}, reset_after: activation: the activation is {shown!r}; a GRU can be converted with elu, "
        f"hard_sigmoid, leaky_relu, linear, relu, sigmoid, softplus, softsign, tanh"
    )


def test_an_activation_must_be_said(good: Path) -> None:
    path = _with_config(good, lambda config: config.pop("recurrent_activation"))

    with pytest.raises(CorruptFileError, match="the configuration has no recurrent_activation; the file is"):
        _read(path)


def test_a_custom_layer_is_named_and_never_imported(good: Path) -> None:
    def edit(data: bytes) -> bytes:
        model = json.loads(data)
        model["config"]["layers"][1]["module"] = "no_such_package.layers"
        return json.dumps(model).encode()

    contents = adapter.contents(_changed(good, "config.json", edit), ReadHints())

    assert contents.stacks == ()
    assert contents.others == ("GRU 'reset_after' of module no_such_package.layers",)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (b"{", CorruptFileError, "expected JSON; received something else (Expecting property name"),
        (b"[]", CorruptFileError, "expected a Keras layer with class_name and config; received []"),
        (b'{"a": 1, "a": 2}', CorruptFileError, "the key 'a' is there twice"),
        (b'{"a": NaN}', CorruptFileError, "NaN is no JSON number"),
        (b'{"a": "\xff"}', CorruptFileError, "can't decode byte 0xff"),
        (
            b"[" * 300 + b"]" * 300,
            UnsafeFileError,
            "JSON nested more than 200 levels deep; a real model does",
        ),
        (b"[" * 10**6 + b"]" * 10**6, UnsafeFileError, "JSON nested more than 200 levels deep; a real model"),
        (b" " * (17 << 20) + b"{}", UnsafeFileError, "zip entry config.json would take 17 MiB of memory"),
    ],
    ids=["not_json", "no_model", "repeated_key", "nan", "no_utf8", "deep", "very_deep", "large"],
)
def test_a_configuration_that_is_no_model(
    good: Path, config: bytes, error: type[Exception], message: str
) -> None:
    path = _changed(good, "config.json", lambda _: config)

    with pytest.raises(error) as caught:
        _read(path)

    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_models_in_models_without_end(good: Path) -> None:
    def edit(data: bytes) -> bytes:
        model = json.loads(data)
        for _ in range(40):
            model = {"class_name": "Sequential", "config": {"layers": [model]}}
        return json.dumps(model).encode()

    with pytest.raises(UnsafeFileError, match="layers nested more than 30 deep"):
        _read(_changed(good, "config.json", edit))


def test_a_graph_that_bites_its_tail_ends(good: Path) -> None:
    def edit(data: bytes) -> bytes:
        model = json.loads(data)
        gru = model["config"]["layers"][1]
        gru.update(inbound_nodes=[[["d", 0, 0, {}]]])
        dropouts = [
            {"class_name": "Dropout", "config": {"name": name}, "inbound_nodes": [[[below, 0, 0, {}]]]}
            for name, below in (("b", "reset_after"), ("c", "b"), ("d", "c"))
        ]
        model["class_name"] = "Functional"
        model["config"].update(layers=[gru, *dropouts], output_layers=[])
        return json.dumps(model).encode()

    assert len(adapter.contents(_changed(good, "config.json", edit), ReadHints()).stacks) == 1


@pytest.mark.parametrize("missing", ["config.json", "model.weights.h5"])
def test_a_container_without_a_part(good: Path, missing: str) -> None:
    path = good.with_name("part.keras")
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.namelist():
            if entry != missing:
                target.writestr(entry, source.read(entry))

    with pytest.raises(CorruptFileError) as caught:
        _read(path)

    assert str(caught.value) == (
        f"{path}: a .keras file holds config.json and model.weights.h5; missing: {missing}. Save the model "
        "again with Keras"
    )


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
def test_a_truncated_file(tmp_path: Path, share: float, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    adapter.write(member("reset_after"), path, WriteOptions(), Provenance({}), Layout(GATE_NAMES, "output"))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])

    assert adapter.sniff(path, path.read_bytes()[:512])
    with pytest.raises(CorruptFileError, match=r"truncated or damaged: copy or download it again$") as caught:
        _read(path)

    assert str(path) in str(caught.value)


def test_a_flipped_bit_in_the_weights(good: Path) -> None:
    data = bytearray(good.read_bytes())
    offset = data.find(b"\x89HDF") + 6000
    data[offset] ^= 1
    good.write_bytes(data)

    with pytest.raises(CorruptFileError, match=r"model\.weights\.h5 does not match its checksum"):
        _read(good)


def test_a_deflated_container_is_read(good: Path) -> None:
    path = good.with_name("deflated.keras")
    with (
        zipfile.ZipFile(good) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        for entry in source.namelist():
            target.writestr(entry, source.read(entry))

    (one,), (other,) = (adapter.contents(file, ReadHints()).stacks for file in (good, path))

    assert dict(one.read().arrays()).keys() == dict(other.read().arrays()).keys()
    for (_, expected), (_, array) in zip(one.read().arrays(), other.read().arrays(), strict=True):
        assert np.array_equal(expected, array)


def _arrays(*shapes: tuple[int, ...]) -> dict[str, Array]:
    names = ("kernel:0", "recurrent_kernel:0", "bias:0")
    return {f"g/{name}": np.ones(shape, np.float32) for name, shape in zip(names, shapes, strict=False)}


GRU_MODEL = {
    "class_name": "Sequential",
    "config": {"layers": [{"class_name": "GRU", "config": {
        "name": "g", "units": 8, "activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True,
    }}]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 32), (8, 32), (32,)), f"{NOT_3H} [8, 32]; 32 = 4 x 8 looks like an LSTM"),
        (((3, 8), (8, 8), (8,)), f"{NOT_3H} [8, 8]; 8 = 1 x 8 looks like a SimpleRNN"),
        (((3, 24), (8, 23), (24,)), f"{NOT_3H} [8, 23]"),
        (((3, 24, 1), (8, 24), (24,)), "kernel must be [I, 24]; received [3, 24, 1]"),
        (((24, 3), (8, 24), (24,)), "kernel must be [I, 24]; received [24, 3]"),
        (((3, 24), (8, 24), (25,)), "bias must be [24] or [2, 24] (or [48] of a CuDNNGRU); received [25]"),
        (((3, 24), (8, 24)), f"expected 3 arrays; received 2; {OF_TWO}"),
    ],
)
def test_arrays_of_the_wrong_shape(tmp_path: Path, shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    path = legacy_file(tmp_path / "m.h5", {"g": _arrays(*shapes)}, model=GRU_MODEL, version="2.4.0")

    with pytest.raises(CorruptFileError) as caught:
        _read(path)

    assert str(caught.value) == f"{path}, g: {message}"


def test_arrays_of_two_dtypes(tmp_path: Path) -> None:
    arrays = _arrays((3, 24), (8, 24), (2, 24))
    arrays["g/bias:0"] = arrays["g/bias:0"].astype(np.float64)
    path = legacy_file(tmp_path / "m.h5", {"g": arrays}, model=GRU_MODEL, version="2.4.0")

    with pytest.raises(
        CorruptFileError, match="its arrays should share one dtype; received float32, float64"
    ):
        _read(path)


def test_weights_of_integers(tmp_path: Path) -> None:
    arrays = {name: array.astype(np.int32) for name, array in _arrays((3, 24), (8, 24), (2, 24)).items()}
    path = legacy_file(tmp_path / "m.h5", {"g": arrays}, model=GRU_MODEL, version="2.4.0")

    with pytest.raises(
        CorruptFileError, match="should hold floats of 16, 32 or 64 bits; its type is another"
    ):
        _read(path)


def test_a_configuration_without_weights(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(GRU_MODEL)

    with pytest.raises(CorruptFileError, match="it has a model's configuration and no group 'model_weights'"):
        _read(path)


def test_two_layers_of_one_name(tmp_path: Path) -> None:
    model: Any = json.loads(json.dumps(GRU_MODEL))
    model["config"]["layers"] *= 2
    arrays = _arrays((3, 24), (8, 24), (2, 24))
    path = legacy_file(tmp_path / "m.h5", {"g": arrays}, model=model, version="2.4.0")

    with pytest.raises(CorruptFileError, match="two layers of one model are called 'g'"):
        _read(path)


def test_what_is_no_keras_file_is_left_to_others(tmp_path: Path) -> None:
    for name, content in (
        ("m.pt", b"\x80\x02}q\x00."),
        ("m.onnx", b"\x08\x08\x12\x05"),
        ("m.keras", b"text"),
    ):
        (tmp_path / name).write_bytes(content)
        assert not adapter.sniff(tmp_path / name, content)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert not adapter.sniff(tmp_path / "other.zip", (tmp_path / "other.zip").read_bytes()[:512])


def test_an_empty_hdf5_file_holds_nothing(tmp_path: Path) -> None:
    import h5py

    h5py.File(tmp_path / "empty.h5", "w").close()

    assert adapter.contents(tmp_path / "empty.h5", ReadHints()).stacks == ()
    with pytest.raises(FileFormatError, match="there is no such file"):
        adapter.contents(tmp_path / "missing.h5", ReadHints())
