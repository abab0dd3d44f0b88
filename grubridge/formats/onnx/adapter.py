"""ONNX: models with GRU nodes, read without a runtime and written with one node per layer.

The work is in `contents` (reading) and `write`; they import protobuf, this module does not, so that other
formats' files can be told apart without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from grubridge.errors import CorruptFileError, GRUBridgeError
from grubridge.files.beside import map_inside
from grubridge.files.opening import FileMap, shown
from grubridge.spec import Capabilities, GRUSpec, Layout

from .protobuf import looks_like_model, skim

if TYPE_CHECKING:
    from grubridge.formats.base import Contents, Provenance, ReadHints, WriteOptions, Written

    from .messages import ModelProto

__all__ = [
    "CAPABILITIES",
    "HINTS",
    "NAME",
    "OPTIONS",
    "SUFFIXES",
    "contents",
    "external_files",
    "sniff",
    "write",
]

NAME = "onnx"
SUFFIXES = (".onnx",)
CAPABILITIES = Capabilities()
HINTS: frozenset[str] = frozenset()
OPTIONS = frozenset({"opset", "with_state", "with_gates", "time_major"})


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the beginning is enough
    """Whether a file that starts with `head` can be an ONNX model."""
    return looks_like_model(head)


def contents(path: Path, hints: ReadHints) -> Contents:  # noqa: ARG001 - an ONNX file says everything itself
    """List the GRUs in the model at `path`.

    Raises:
        CorruptFileError: when it is truncated or no model.
        UnsafeFileError: when it is built to exhaust memory.
    """
    from .contents import contents_of
    from .tensors import Tensors

    file = FileMap(path)
    model, spans = _model(file)
    try:
        return contents_of(model, Tensors(file, spans), str(path))
    except GRUBridgeError as error:
        raise type(error)(f"{shown(path)}: {error}") from None


def external_files(path: Path) -> list[Path]:
    """Return the files beside the model at `path` that hold data of its tensors.

    Raises:
        FileFormatError: as `contents`, and where one is missing, is no regular file or is not in its folder.
    """
    from .external import locations

    model, _ = _model(FileMap(path))
    try:
        return [map_inside(path.parent, location, "some data").path for location in sorted(locations(model))]
    except GRUBridgeError as error:
        raise type(error)(f"{shown(path)}: {error}") from None


def _model(file: FileMap) -> tuple[ModelProto, Mapping[bytes, tuple[int, int]]]:
    """Return a model whose long data is replaced by marks, and where that data lies."""
    from .messages import ModelProto
    from .texts import check_texts

    skimmed = skim(file)
    try:
        model = ModelProto.FromString(skimmed.rest)
    except Exception:  # noqa: BLE001 - DecodeError of protobuf, a package of onnx's and not of ours
        raise CorruptFileError(
            f"{shown(file.path)}: protobuf cannot read it: it is damaged, or no ONNX model; copy it again"
        ) from None
    try:
        check_texts(model)
    except CorruptFileError as error:
        raise CorruptFileError(f"{shown(file.path)}: {error}") from None
    return model, skimmed.spans


def write(
    spec: GRUSpec, path: Path, options: WriteOptions, provenance: Provenance, source: Layout
) -> Written:
    """Write `spec` to the new file `path`, and to `path`.data beside it where protobuf is too small.

    Raises:
        UnsupportedFeatureError: when the options and the spec cannot go together.
    """
    from .write import write_model

    return write_model(spec, path, options, provenance, source)
