"""Frameworks are handed nothing that grubridge has not passed as data, and open it in their safest way."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto

import grubridge as library
from grubridge.artifacts import open_artifact
from grubridge.backends.base import Artifact
from grubridge.backends.launch import Job, run_jobs
from grubridge.errors import BackendError, FileFormatError, UnsafeFileError
from grubridge.files.changes import watched
from grubridge.formats.base import ReadHints
from grubridge.traces import Trace
from tests.backends.agreement import assert_agrees, make_probe
from tests.backends.onnx_models import address, constants_of, gru_node, model_of
from tests.opened import opens_of
from tests.zoo import member

PLAIN = member("reset_after")
KERNELS = {"keras": "layers/dense/vars/0", "h5": "model_weights/dense/model/dense/kernel"}
CHANGED = "it was changed while it was read"


def _artifact(path: Path, *, skip_unsafe: bool = False) -> Artifact:
    opened = open_artifact(path, None, ReadHints(skip_unsafe=skip_unsafe))
    return Artifact(str(path), opened.format.NAME, opened.select().address)


@pytest.fixture(scope="module", name="models")
def _models(keras: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GRU and a Dense layer after it, in both of Keras's whole-model formats."""
    folder = tmp_path_factory.mktemp("models")
    layers = [keras.layers.GRU(7, return_sequences=True, name="gru"), keras.layers.Dense(2, name="dense")]
    model = keras.Sequential([keras.Input((None, 5)), *layers], name="model")
    rng = np.random.default_rng(5)
    model.set_weights([rng.uniform(-0.6, 0.6, w.shape).astype("f4") for w in model.get_weights()])
    model.save(folder / "model.keras")
    model.save(folder / "model.h5", include_optimizer=False)
    return folder


@pytest.fixture(name="loaded")
def _loaded(keras: ModuleType, tf_keras: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Every call of a Keras's load_model, which still loads."""
    spy = Mock(side_effect=keras.models.load_model)
    monkeypatch.setattr(keras.models, "load_model", spy)
    monkeypatch.setattr(tf_keras.models, "load_model", Mock(side_effect=AssertionError("not its file")))
    return spy


def _run_keras(path: Path, *, skip_unsafe: bool = False) -> Trace:
    from grubridge.backends.keras import backend

    spec = library.read(path, hints=ReadHints(skip_unsafe=skip_unsafe))
    probe = make_probe(spec)
    trace = backend.run(_artifact(path, skip_unsafe=skip_unsafe), probe, "cpu")
    assert_agrees(trace, spec, probe)
    return trace


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_keras_is_asked_to_be_safe(name: str, models: Path, loaded: Mock) -> None:
    trace = _run_keras(models / name)

    assert trace.native
    loaded.assert_called_once_with(str(models / name), compile=False, safe_mode=True)


_Way = Callable[[h5py.File, str, Path], None]


def _elsewhere(folder: Path) -> Path:
    with h5py.File(folder / "elsewhere.h5", "w") as file:
        file["kernel"] = np.ones((7, 2), "f4")
    return folder / "elsewhere.h5"


def _external(file: h5py.File, kernel: str, secret: Path) -> None:
    del file[kernel]
    file[kernel] = h5py.ExternalLink(str(secret), "kernel")


def _soft(file: h5py.File, kernel: str, _: Path) -> None:
    file.move(kernel, "moved")
    file[kernel] = h5py.SoftLink("/moved")


def _virtual(file: h5py.File, kernel: str, secret: Path) -> None:
    del file[kernel]
    layout = h5py.VirtualLayout((7, 2), "f4")
    layout[:] = h5py.VirtualSource(secret, "kernel", (7, 2))
    file.create_virtual_dataset(kernel, layout)


def _raw(file: h5py.File, kernel: str, secret: Path) -> None:
    del file[kernel]
    file.create_dataset(kernel, (7, 2), "f4", external=[(secret, 0, 56)])


def _unwritten(file: h5py.File, kernel: str, _: Path) -> None:
    del file[kernel]
    file.create_dataset(kernel, (7, 2), "i4")


REBUILT = "the layer was rebuilt in Keras 3 from the arrays in the file"
LINK = "leads through a soft or external link, which may leave the file"
ELSEWHERE = "keeps its values in another file"
WAYS_OUT: dict[_Way, str] = {
    _external: LINK,
    _soft: LINK,
    _virtual: ELSEWHERE,
    _raw: ELSEWHERE,
    _unwritten: "should",
}


def _with_weights(source: Path, target: Path, change: Callable[[h5py.File], None]) -> None:
    """Copy a model with other weights."""
    if source.suffix == ".h5":
        shutil.copy(source, target)
        with h5py.File(target, "r+") as file:
            change(file)
        return
    entries = _entries(source)
    weights = io.BytesIO(entries["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        change(file)
    _zip(target, {**entries, "model.weights.h5": weights.getvalue()})


def _entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip(path: Path, entries: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)


@pytest.mark.parametrize("way", WAYS_OUT, ids=lambda way: way.__name__.strip("_"))
@pytest.mark.parametrize("ending", KERNELS)
def test_keras_is_not_handed_what_leads_out_of_the_file(
    ending: str, way: _Way, models: Path, loaded: Mock, tmp_path: Path
) -> None:
    secret, path = _elsewhere(tmp_path), tmp_path / f"out.{ending}"
    _with_weights(models / f"model.{ending}", path, lambda file: way(file, KERNELS[ending], secret))

    with opens_of(secret) as opened:
        try:
            (told,) = _run_keras(path).notes
        except FileFormatError as refused:  # by the reader, which has looked at that array too
            told = f"{REBUILT}: {refused}"
        assert opened() == set()

    assert told.startswith(REBUILT)
    loaded.assert_not_called()
    assert WAYS_OUT[way] in told


def test_keras_unpacks_nothing(models: Path, loaded: Mock, tmp_path: Path) -> None:
    path = tmp_path / "more.keras"
    _zip(path, {**_entries(models / "model.keras"), "assets/../../slip\x1b": b"x"})
    trace = _run_keras(path)

    loaded.assert_not_called()
    assert trace.notes[0].endswith(r"the archive also holds assets/../../slip\x1b, which Keras would unpack")


def _of_os(entry: dict[str, Any]) -> None:
    entry.update(module="os", class_name="system", registered_name="os>system")


def _lambda(entry: dict[str, Any]) -> None:
    entry["config"]["activation"] = {"class_name": "__lambda__", "config": {"code": "x"}}


def _compiled(entry: dict[str, Any]) -> None:
    loss = {"module": "my_losses", "class_name": "Mine", "config": {}, "registered_name": "my>Mine"}
    entry["compile_config"] = {"optimizer": "sgd", "loss": loss}


@pytest.mark.parametrize(
    ("change", "found"), [(_of_os, "os.system"), (_lambda, "__lambda__"), (_compiled, "my_losses.Mine")]
)
def test_keras_is_not_handed_what_is_none_of_its_own(
    change: Callable[[dict[str, Any]], None], found: str, models: Path, loaded: Mock, tmp_path: Path
) -> None:
    entries = _entries(models / "model.keras")
    config = json.loads(entries["config.json"])
    change(config["config"]["layers"][2])
    path = tmp_path / "changed.keras"
    _zip(path, {**entries, "config.json": json.dumps(config).encode()})
    trace = _run_keras(path, skip_unsafe=True)

    loaded.assert_not_called()
    (note,) = trace.notes
    assert note.startswith(f"{REBUILT}: the model holds a ")
    assert note.endswith(f" {found}, which grubridge lets no Keras load because it might run code")


def test_torch_loads_weights_only(torch: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from grubridge.backends import pytorch

    spy = Mock(side_effect=torch.load)
    monkeypatch.setattr(torch, "load", spy)
    library.write(PLAIN, tmp_path / "model.pt")
    pytorch.run(_artifact(tmp_path / "model.pt"), make_probe(PLAIN), "cpu")

    spy.assert_called_once_with(str(tmp_path / "model.pt"), map_location="cpu", weights_only=True, mmap=True)


@pytest.fixture(name="sessions")
def _sessions(onnxruntime: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Mock:
    spy = Mock(side_effect=onnxruntime.InferenceSession)
    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    forbidden = Mock(side_effect=AssertionError("a library of operators"))
    monkeypatch.setattr(onnxruntime.SessionOptions, "register_custom_ops_library", forbidden)
    return spy


def _with_lengths(folder: Path, location: str) -> Path:
    """A model whose sequence_lens, which no reader of weights needs, lie in another file."""
    constants = constants_of(PLAIN.layers[0], 0, bias=True)
    lengths = TensorProto(name="lengths", data_type=TensorProto.INT32, dims=[3])
    lengths.data_location = TensorProto.EXTERNAL
    lengths.external_data.add(key="location", value=location)
    node = gru_node(PLAIN.layers[0], 0, ["x0", "W0", "R0", "B0", "lengths"])
    onnx.save(model_of([node], [*constants, lengths], PLAIN), folder / "model.onnx")
    return folder / "model.onnx"


def test_onnx_runtime_is_given_bytes_and_no_folder(sessions: Mock, tmp_path: Path) -> None:
    from grubridge.backends.onnxruntime import backend

    library.write(PLAIN, tmp_path / "model.onnx")
    trace = backend.run(_artifact(tmp_path / "model.onnx"), make_probe(PLAIN), "cpu")

    assert_agrees(trace, PLAIN, make_probe(PLAIN))
    assert sessions.call_args_list
    for call in sessions.call_args_list:
        (model, options), given = call.args, call.kwargs
        assert isinstance(model, bytes)
        assert given == {"providers": ["CPUExecutionProvider"], "enable_fallback": 0}
        with pytest.raises(RuntimeError):
            options.get_session_config_entry("session.model_external_initializers_file_folder_path")


@pytest.mark.parametrize("location", ["../secret.bin", "link.bin", "folder/secret.bin", "ABSOLUTE"])
def test_onnx_runtime_reads_no_data_from_elsewhere(location: str, sessions: Mock, tmp_path: Path) -> None:
    from grubridge.backends.onnxruntime import backend

    home, secret = tmp_path / "home", tmp_path / "secret.bin"
    home.mkdir()
    secret.write_bytes(np.array([6, 2, 4], "i4").tobytes())
    (home / "link.bin").symlink_to(secret)
    (home / "folder").symlink_to(tmp_path)
    path = _with_lengths(home, str(secret) if location == "ABSOLUTE" else location)

    with opens_of(secret) as opened:
        with pytest.raises(UnsafeFileError, match=r"^tensor 'lengths' lies in the external file"):
            backend.run(Artifact(str(path), "onnx", address("y0")), make_probe(PLAIN), "cpu")
        assert opened() == set()
    sessions.assert_not_called()


def test_onnx_runtime_reads_data_inside_the_folder(sessions: Mock, tmp_path: Path) -> None:
    from grubridge.backends.onnxruntime import backend

    (tmp_path / "lengths.bin").write_bytes(np.array([6, 2, 4], "i4").tobytes())
    path = _with_lengths(tmp_path, "lengths.bin")
    with opens_of(tmp_path / "lengths.bin") as opened:
        trace = backend.run(Artifact(str(path), "onnx", address("y0")), make_probe(PLAIN), "cpu")
        assert opened() == {"lengths.bin"}

    assert_agrees(trace, PLAIN, make_probe(PLAIN))
    assert sessions.call_count


def _appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_a_file_that_changes_is_not_opened(ending: str, torch: ModuleType, tmp_path: Path) -> None:
    del torch
    path = tmp_path / f"model.{ending}"
    library.write(PLAIN, path)
    with watched():
        job = Job("pytorch", _artifact(path), make_probe(PLAIN))
        _appended(path)
        (outcome,) = run_jobs([job])

    assert isinstance(outcome, BackendError)
    assert f"{path}: pytorch cannot run it: {path}: {CHANGED}" in str(outcome)


@pytest.mark.parametrize("command", ["verify", "trace"])
def test_a_file_that_changes_ends_the_run(
    command: str, runtimes: object, monkeypatch: pytest.MonkeyPatch, torch: ModuleType, tmp_path: Path
) -> None:
    """Also where it changes after the framework has opened it: then nobody knows what has run."""
    del runtimes, torch
    path = tmp_path / "model.pt"
    library.write(PLAIN, path)
    module = f"grubridge.{'tracing' if command == 'trace' else 'checker.carry_out'}.run_jobs"
    real = _attribute(module)

    def run_and_change(*arguments: Any) -> Any:
        done = real(*arguments)
        _appended(path)
        return done

    monkeypatch.setattr(module, run_and_change)
    run = library.trace if command == "trace" else partial(library.verify, backends=["pytorch"])
    with pytest.raises(FileFormatError) as caught:
        run(path)

    assert str(caught.value).startswith(f"{path}: {CHANGED}")


def _attribute(name: str) -> Any:
    from importlib import import_module

    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)
