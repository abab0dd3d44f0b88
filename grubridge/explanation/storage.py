"""How the framework that a GRU comes from stores it, as a layout that can be put into words."""

from __future__ import annotations

from dataclasses import replace

from grubridge.formats.base import StackEntry
from grubridge.layouts.description import CellLayout, TensorLayout
from grubridge.layouts.toml import from_json, load
from grubridge.spec import CANDIDATE, RESET, UPDATE, GRUSpec

__all__ = ["keras_layout", "layout_of"]

_ZRN = (UPDATE, RESET, CANDIDATE)
_ONNX = CellLayout(
    "onnx",
    "The GRU operator of ONNX, one direction of it.",
    update="keeps",
    reset="after",
    tensors=(
        TensorLayout("W", ("input_weight",), _ZRN),
        TensorLayout("R", ("recurrent_weight",), _ZRN),
        TensorLayout("B", ("input_bias", "recurrent_bias"), _ZRN, flat=True, optional=True),
    ),
)
_KERAS_1_ARRAYS = 9


def layout_of(name: str, spec: GRUSpec, layer: int, entry: StackEntry | None = None) -> CellLayout | None:
    """Return how a stack's framework stores it.

    Args:
        name: of the format, or of the runtime that a model in memory belongs to.
        spec: what was read.
        layer: which layer is meant; a number out of range means the last.
        entry: the stack in a file; None for a model in memory.

    Returns:
        The layout; None for the forms of Keras 1 and CuDNNGRU, which none describes.
    """
    if entry is not None and "layout" in entry.address:
        return from_json(entry.address["layout"])
    reset_after = spec.layers[min(layer, len(spec.layers) - 1)].reset_after
    if name in {"pytorch", "safetensors"}:
        return load("pytorch")
    if name in {"onnx", "onnxruntime"}:
        return _ONNX if reset_after else replace(_ONNX, reset="before")
    if name != "keras" or (entry is not None and _is_old_keras(entry)):
        return None
    return keras_layout(reset_after=reset_after)


def keras_layout(*, reset_after: bool) -> CellLayout:
    """Return the layout of Keras's own GRU."""
    return load("keras" if reset_after else "keras-reset-before")


def _is_old_keras(entry: StackEntry) -> bool:
    """Whether the file holds a CuDNNGRU, whose kernels lie otherwise, or the nine arrays of Keras 1."""
    arrays = [paths for layer in entry.address["layers"] for paths in layer["datasets"].values()]
    return entry.layout.rows == "output" or any(len(paths) == _KERAS_1_ARRAYS for paths in arrays)
