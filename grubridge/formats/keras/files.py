"""The four kinds of Keras file, opened: what wrote it, which GRUs it holds and where their arrays lie.

- keras3: a zip with config.json, metadata.json and model.weights.h5 (Keras 3, tf.keras 2.12 and later).
- keras3-weights: that HDF5 file alone, `.weights.h5`.
- legacy: HDF5 with the attribute `model_config` and the group `model_weights` (any Keras).
- legacy-weights: HDF5 with the attribute `layer_names` at the root (Keras 1 and 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from grubridge.errors import CorruptFileError, FileFormatError
from grubridge.files.hdf5 import SIGNATURE, Hdf5File
from grubridge.files.json_data import LARGEST_JSON, parse_json
from grubridge.files.opening import FileMap, shown
from grubridge.files.text import printable
from grubridge.files.zips import ZipEntry, read_entry, read_zip

from .bare import BareLayer, bare_layers, legacy_bare_layers
from .config import RecurrentLayer
from .model import Model, read_model
from .stored_code import refuse_code
from .weights import CellArrays, legacy_arrays, positional_arrays

__all__ = [
    "ATTRIBUTE",
    "CONFIG",
    "METADATA",
    "WEIGHTS",
    "KerasFile",
    "is_keras",
    "open_keras",
    "refuse_stored_code",
    "weights_entry",
]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
"""The entries of a `.keras` file."""

ATTRIBUTE = "grubridge"
"""The root attribute in which grubridge says what weights alone do not; Keras ignores it."""

_ZIP = b"PK\3\4"

Kind = Literal["keras3", "keras3-weights", "legacy", "legacy-weights"]


@dataclass(frozen=True)
class KerasFile:
    """An open Keras file.

    Args:
        path: the file.
        kind: which of the four.
        container: the zip entry that is the HDF5 file, or "".
        version: of the Keras that wrote it, as far as it says, e.g. "2.2.4-tf"; or "".
        model: the GRUs that its configuration describes; none without one.
        arrays: of each cell of each of them.
        bare: the recurrent layers that no configuration describes.
    """

    path: Path
    kind: Kind
    container: str
    version: str
    model: Model
    arrays: tuple[list[CellArrays], ...]
    bare: tuple[BareLayer, ...]

    @property
    def major(self) -> int | None:
        """The major version of Keras; None where the file does not tell."""
        first = self.version.split(".")[0]
        return int(first) if first.isascii() and first.isdigit() and len(first) < 4 else None


def is_keras(path: Path, head: bytes) -> bool:
    """Whether the file at `path`, which starts with `head`, is a Keras file.

    An archive is told by its entries, and a damaged one by its name.
    """
    if not head.startswith(_ZIP):
        return head.startswith(SIGNATURE)
    try:
        entries = read_zip(path)
    except FileFormatError:
        return path.suffix.lower() == ".keras"
    return CONFIG in entries or WEIGHTS in entries


def open_keras(path: Path, *, skip_unsafe: bool = False) -> KerasFile:
    """Open the Keras file at `path`.

    Args:
        path: the file.
        skip_unsafe: open it even if its model holds code, which is not touched.

    Raises:
        CorruptFileError: when it is damaged, or its configuration and its weights do not fit together.
        UnsafeFileError: when it holds code, or reading it would leave it or exhaust memory.
    """
    if FileMap(path).bytes(0, len(_ZIP)) == _ZIP:
        return _open_zip(path, skip_unsafe=skip_unsafe)
    with Hdf5File(path) as file:
        own = file.text("", ATTRIBUTE)
        stored = file.text("", "model_config")
        root = "model_weights" if stored is not None else ""
        version = file.text(root, "keras_version") or file.text("", "keras_version") or ""
        if stored is not None:
            where = f"{shown(path)}, model_config"
            model = _model(parse_json(stored, where), where, skip_unsafe=skip_unsafe)
            return _legacy(file, "legacy", version or "1", model)
        if file.texts("", "layer_names") is not None or file.texts("", "layer_names0") is not None:
            return _legacy(file, "legacy-weights", version or "1", Model())
        if own is None:
            return _keras3(file, "keras3-weights", version or _named_version(file), Model())
        where = f"{shown(path)}, {ATTRIBUTE}"
        said = parse_json(own, where)
        if not isinstance(said, dict):
            raise CorruptFileError(f"{where}: expected an object; received {printable(said)}")
        model = _model(said.get("model_config"), where, skip_unsafe=skip_unsafe)
        return _keras3(file, "keras3-weights", str(said.get("keras_version")), model)


def refuse_stored_code(path: Path) -> None:
    """Refuse a file whose model holds code, for whoever reads its arrays and not its model.

    Raises:
        CorruptFileError: when it is damaged.
        UnsafeFileError: when it holds code, or leads to other files.
    """
    if FileMap(path).bytes(0, len(_ZIP)) == _ZIP:
        refuse_code(_json(path, _entries(path), CONFIG), f"{shown(path)}, {CONFIG}")
        return
    with Hdf5File(path) as file:
        stored = file.text("", "model_config")
    if stored is not None:
        where = f"{shown(path)}, model_config"
        refuse_code(parse_json(stored, where), where)


def weights_entry(path: Path) -> ZipEntry | None:
    """Return the entry of a `.keras` file that holds its weights; None where the file is HDF5 itself."""
    return _entries(path)[WEIGHTS] if FileMap(path).bytes(0, len(_ZIP)) == _ZIP else None


def _entries(path: Path) -> Mapping[str, ZipEntry]:
    entries = read_zip(path)
    missing = [name for name in (CONFIG, WEIGHTS) if name not in entries]
    if missing:
        raise CorruptFileError(
            f"{shown(path)}: a .keras file holds {CONFIG} and {WEIGHTS}; missing: {' and '.join(missing)}. "
            "Save the model again with Keras"
        )
    return entries


def _model(stored: object, where: str, *, skip_unsafe: bool) -> Model:
    if not skip_unsafe:
        refuse_code(stored, where)
    return read_model(stored, where)


def _open_zip(path: Path, *, skip_unsafe: bool) -> KerasFile:
    entries = _entries(path)
    model = _model(_json(path, entries, CONFIG), f"{shown(path)}, {CONFIG}", skip_unsafe=skip_unsafe)
    metadata = _json(path, entries, METADATA) if METADATA in entries else {}
    version = metadata.get("keras_version", "3") if isinstance(metadata, dict) else "3"
    with Hdf5File(path, entries[WEIGHTS]) as file:
        return _keras3(file, "keras3", str(version), model)


def _json(path: Path, entries: Mapping[str, ZipEntry], name: str) -> object:
    return parse_json(read_entry(path, entries[name], LARGEST_JSON), f"{shown(path)}, {name}")


def _keras3(file: Hdf5File, kind: Kind, version: str, model: Model) -> KerasFile:
    arrays = tuple(positional_arrays(file, layer, _where(file.path, layer)) for layer in model.layers)
    claimed = [*(layer.group for layer in model.layers), *(other.group for other in model.others)]
    bare = bare_layers(file, claimed)
    return KerasFile(
        file.path, kind, WEIGHTS if kind == "keras3" else "", version, model, arrays, tuple(bare)
    )


def _legacy(file: Hdf5File, kind: Kind, version: str, model: Model) -> KerasFile:
    root = "model_weights" if kind == "legacy" else ""
    if root and not file.has(root):
        raise CorruptFileError(
            f"{shown(file.path)}: it has a model's configuration and no group {root!r}; the file is damaged"
        )
    arrays = tuple(legacy_arrays(file, root, layer, _where(file.path, layer)) for layer in model.layers)
    claimed = [*(layer.path[0] for layer in model.layers), *(other.outermost for other in model.others)]
    bare = legacy_bare_layers(file, root, claimed)
    return KerasFile(file.path, kind, "", version, model, arrays, tuple(bare))


def _named_version(file: Hdf5File) -> str:
    """Return "3" where the file names its layers, which Keras 3 alone does, or ""."""
    return "3" if file.has("vars") and file.text("vars", "name") is not None else ""


def _where(path: Path, layer: RecurrentLayer) -> str:
    return f"{shown(path)}, {printable(layer.name)}"
