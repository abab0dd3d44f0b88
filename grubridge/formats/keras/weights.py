"""Where in a Keras file the arrays of a layer lie, given its configuration.

Files of Keras 3 and of tf.keras 2.12 and later hold "<group>/vars/0", "1", "2" for kernel, recurrent_kernel
and bias. Older HDF5 files have a group for every layer of the outermost model, whose attribute
`weight_names` lists the paths of its arrays in order; a nested model's layers are told by those names.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

from grubridge.errors import CorruptFileError
from grubridge.files.hdf5 import Hdf5Array, Hdf5File
from grubridge.files.text import quoted

from .config import RecurrentLayer
from .layout import KERAS_1_ARRAYS

__all__ = [
    "CellArrays",
    "cut_into_cells",
    "layer_names",
    "legacy_arrays",
    "positional_arrays",
    "weight_names",
]

CellArrays = tuple[Hdf5Array, ...]
T = TypeVar("T")

_LAYERS, _LAYERS_2_12 = "layers/", "_layer_checkpoint_dependencies/"
_MOST_PIECES = 1000


def positional_arrays(file: Hdf5File, layer: RecurrentLayer, where: str) -> list[CellArrays]:
    """Return the arrays of each cell of `layer` in a file of Keras 3.

    Args:
        file: the HDF5 file.
        layer: the layer.
        where: the file and the layer, for messages.

    Raises:
        CorruptFileError: when they are not there.
    """
    found = []
    for cell in layer.cells:
        place = f"{layer.group}/{cell.group}".rstrip("/")
        group = _vars_group(file, place)
        if group is None:
            raise CorruptFileError(
                f"{where}: there are no weights in {quoted(place)}, where they should be; configuration "
                "and weights are of two different models, or it shares its weights with another layer"
            )
        found.append(tuple(file.array(f"{group}/{name}") for name in sorted(file.members(group)[1])))
    return found


def legacy_arrays(file: Hdf5File, root: str, layer: RecurrentLayer, where: str) -> list[CellArrays]:
    """Return the arrays of each cell of `layer` in an HDF5 file with a group for every layer.

    Args:
        file: the HDF5 file.
        root: the group with the layers' groups: "model_weights", or "" in a weights-only file.
        layer: the layer.
        where: the file and the layer, for messages.

    Raises:
        CorruptFileError: when they are not there.
    """
    group = f"{root}/{layer.path[0]}".lstrip("/")
    names = weight_names(file, group)
    for inner in layer.path[1:]:
        # a wrapper's name may stand where the layer's own would, and then everything is the layer's
        names = [name for name in names if inner in name.split("/")] or names
    arrays = [file.array(f"{group}/{name}") for name in names]
    return [tuple(cell) for cell in cut_into_cells(arrays, layer, where)]


def cut_into_cells(arrays: Sequence[T], layer: RecurrentLayer, where: str) -> list[Sequence[T]]:
    """Cut the arrays of a layer, in the order in which Keras lists them, into those of each cell.

    Raises:
        CorruptFileError: when there are more or fewer than the configuration asks for.
    """
    counts = [2 if cell.config.get("use_bias") is False else 3 for cell in layer.cells]
    if len(arrays) == KERAS_1_ARRAYS * len(counts):
        counts = [KERAS_1_ARRAYS] * len(counts)
    if len(arrays) != sum(counts):
        raise CorruptFileError(
            f"{where}: expected {sum(counts)} arrays; received {len(arrays)}; configuration and weights are "
            "of two different models"
        )
    ends = accumulate(counts)
    return [arrays[end - count : end] for count, end in zip(counts, ends, strict=True)]


def _vars_group(file: Hdf5File, group: str) -> str | None:
    """Return the path of the group with the arrays of the layer or cell at `group`; None without any."""
    for candidate in (group, group.replace(_LAYERS, _LAYERS_2_12)):
        path = f"{candidate}/vars"
        if file.has(path) and file.members(path)[1]:
            return path
    return None


def layer_names(file: Hdf5File, root: str) -> list[str]:
    """Return the names of the outermost model's layers, in its order."""
    return _listed(file, root, "layer_names")


def weight_names(file: Hdf5File, group: str) -> list[str]:
    """Return the paths, within its group, of the arrays of a layer."""
    return _listed(file, group, "weight_names")


def _listed(file: Hdf5File, group: str, attribute: str) -> list[str]:
    """Return an attribute that Keras cuts into numbered pieces when it is long."""
    whole = file.texts(group, attribute)
    if whole is not None:
        return whole
    names: list[str] = []
    for index in range(_MOST_PIECES):
        piece = file.texts(group, f"{attribute}{index}")
        if piece is None:
            break
        names.extend(piece)
    return names
