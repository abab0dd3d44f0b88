"""External data of an ONNX model: files beside it, opened without ever leaving the model's folder."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grubridge.errors import CorruptFileError
from grubridge.files.beside import map_inside
from grubridge.files.opening import FileMap
from grubridge.files.text import quoted
from grubridge.spec import Array

if TYPE_CHECKING:
    from .messages import ModelProto

__all__ = ["ExternalData", "locations"]


def locations(model: ModelProto) -> set[str]:
    """Return where a model says that data of its tensors lies."""
    from .graph import scopes
    from .messages import TensorProto

    found: set[str] = set()
    for scope in scopes(model):
        constants = [attribute.t for node in scope.graph.node for attribute in node.attribute]
        for tensor in (*scope.graph.initializer, *constants):
            if tensor.data_location == TensorProto.EXTERNAL:
                found.update(entry.value for entry in tensor.external_data if entry.key == "location")
    return found


class ExternalData:
    """The files of tensor data in one folder, each mapped once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, FileMap] = {}

    def view(
        self, entries: Mapping[str, str], shape: tuple[int, ...], dtype: np.dtype[Any], what: str
    ) -> Array:
        """Return a tensor's values as a view of its file.

        Args:
            entries: the tensor's external_data: location, and optionally offset and length.
            shape: its shape, no dimension negative.
            dtype: its dtype.
            what: its name, for messages.

        Raises:
            UnsafeFileError: when the location leaves the folder, or passes a link.
            CorruptFileError: when the file is missing, or does not hold the tensor.
        """
        location = entries.get("location", "")
        offset = _number(entries, "offset", what)
        length = _number(entries, "length", what)
        expected = prod(shape) * dtype.itemsize
        if length is not None and length != expected:
            raise CorruptFileError(
                f"tensor {what} of shape {list(shape)} and type {dtype} takes {expected} bytes; its external "
                f"data is {length} bytes"
            )
        return self._open(location, what).view(offset or 0, shape, dtype, what)

    def _open(self, location: str, what: str) -> FileMap:
        if location not in self._files:
            self._files[location] = map_inside(self._folder, location, f"tensor {what}")
        return self._files[location]


def _number(entries: Mapping[str, str], key: str, what: str) -> int | None:
    text = entries.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise CorruptFileError(
            f"tensor {what}: the {key} of its external data must be a number of bytes; received "
            + quoted(text)
        )
    return int(text)
