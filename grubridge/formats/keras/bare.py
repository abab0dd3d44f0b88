"""GRUs in Keras weights that no configuration describes: found by their paths and shapes.

Such a file says sizes, biases and directions. It does not say activations, nor how the layers are joined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from grubridge.errors import CorruptFileError
from grubridge.files.hdf5 import Hdf5File
from grubridge.files.text import natural_order, quoted

from .layout import KERAS_1_ARRAYS, CellForm, cell_form
from .weights import CellArrays, layer_names, weight_names

__all__ = ["BareLayer", "bare_layers", "legacy_bare_layers"]

_POSITIONAL = re.compile(
    r"(?P<layer>.+?)(?:/(?P<half>forward|backward)_layer)?(?P<cell>/cell(?:/cells/(?P<stacked>\w+))?)?/vars",
    re.DOTALL,
)
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_CELL_SCOPE = re.compile(r"gru_cell(_\d+)?|stacked_rnn_cells(_\d+)?")
_HALF_SCOPE = re.compile(r"(?P<half>forward|backward)_.+")


@dataclass(frozen=True)
class BareCell:
    """One cell of a layer.

    Args:
        half: "forward" or "backward" in a Bidirectional, else None.
        arrays: its arrays.
        form: what their shapes say.
    """

    half: str | None
    arrays: CellArrays
    form: CellForm


@dataclass
class BareLayer:
    """A layer that was found without a configuration.

    Args:
        path: the components of its group's path.
        name: its name: the path without what is the same in all paths.
        cells: its GRU cells, a forward one first.
        stacked: whether the cells are layers on top of each other.
        other: what it is if it is recurrent but no GRU, e.g. "LSTM".
    """

    path: tuple[str, ...]
    name: str
    cells: list[BareCell] = field(default_factory=list)
    stacked: bool = False
    other: str | None = None

    def add(self, half: str | None, arrays: CellArrays) -> None:
        """Add a cell, or find out that the layer is no GRU."""
        shapes = [array.shape for array in arrays]
        try:
            form = cell_form(shapes, "")
        except CorruptFileError:
            self.other = self.other or _kind(shapes)
            return
        self.cells.insert(0 if half == "forward" else len(self.cells), BareCell(half, arrays, form))

    @property
    def bidirectional(self) -> bool:
        """Whether its cells are the two halves of a Bidirectional."""
        return [cell.half for cell in self.cells] == ["forward", "backward"]

    @property
    def is_gru(self) -> bool:
        """Whether its cells form a layer that a spec can hold."""
        piled = self.stacked and {cell.half for cell in self.cells} == {None}
        return (len(self.cells) == 1 or self.bidirectional or piled) and self.other is None

    def __str__(self) -> str:
        return f"{self.other or 'recurrent layer of another kind'} {quoted(self.name)}"


def bare_layers(file: Hdf5File, claimed: Iterable[str]) -> list[BareLayer]:
    """Return the recurrent layers of a file of Keras 3, in natural order of their paths.

    Args:
        file: the HDF5 file.
        claimed: groups that a configuration describes.
    """
    described = tuple(f"{group}/" for group in claimed)
    groups = [(group, names) for group, names in file.walk() if not f"{group}/".startswith(described)]
    found: dict[str, BareLayer] = {}
    for group, names in sorted(groups, key=lambda pair: natural_order(pair[0])):
        match = _POSITIONAL.fullmatch(group)
        if match is None or sorted(names) not in (["0", "1"], ["0", "1", "2"]):
            continue
        last = match["layer"].rpartition("/")[2]
        if not (match["cell"] or match["half"] or re.fullmatch(r"cu_dnngru(_\d+)?", last)):
            continue
        path = tuple(match["layer"].split("/"))
        name = "/".join(part for part in path if part not in _CONTAINERS) or match["layer"]
        layer = found.setdefault(match["layer"], BareLayer(path, name))
        layer.stacked = layer.stacked or match["stacked"] is not None
        layer.add(match["half"], tuple(file.array(f"{group}/{index}") for index in sorted(names)))
    return list(found.values())


def legacy_bare_layers(file: Hdf5File, root: str, claimed: Iterable[str]) -> list[BareLayer]:
    """Return the recurrent layers of an HDF5 file with a group for every layer, in the model's order.

    Args:
        file: the HDF5 file.
        root: the group with the layers' groups.
        claimed: names of layers that a configuration describes.
    """
    described = set(claimed)
    found: dict[tuple[str, ...], BareLayer] = {}
    for outer in layer_names(file, root):
        if outer not in described:
            scopes = list(_scopes(file, f"{root}/{outer}".lstrip("/")))
            alone = len({parent for parent, _, _ in scopes}) == 1
            for parent, half, arrays in scopes:
                inner = parent[1:] if parent[:1] == (outer,) else parent
                path = (outer,) if alone else (outer, *inner)
                layer = found.setdefault(path, BareLayer(path, "/".join(path)))
                layer.stacked = layer.stacked or (half is None and bool(layer.cells))
                layer.add(half, arrays)
    return [layer for layer in found.values() if layer.cells or layer.other]


def _scopes(file: Hdf5File, group: str) -> Iterator[tuple[tuple[str, ...], str | None, CellArrays]]:
    """Yield the arrays in a layer's group that share a scope, e.g. "bidirectional/forward_gru/gru_cell".

    Each comes with the scope of its layer, and with its half of a Bidirectional.
    """
    scopes: dict[tuple[str, ...], list[str]] = {}
    for name in weight_names(file, group):
        scopes.setdefault(tuple(name.split("/")[:-1]), []).append(name)
    for scope, names in scopes.items():
        outer = [part for part in scope if not _CELL_SCOPE.fullmatch(part)]
        match = _HALF_SCOPE.fullmatch(outer[-1]) if outer else None
        parent = tuple(outer[:-1] if match else outer)
        # in Keras 1 the two halves of a Bidirectional share one scope
        both = len(names) == 2 * KERAS_1_ARRAYS
        halves = ("forward", "backward") if both else (match["half"] if match else None,)
        each = len(names) // len(halves)
        for index, half in enumerate(halves):
            mine = names[index * each : (index + 1) * each]
            if each in (2, 3, KERAS_1_ARRAYS):
                yield parent, half, tuple(file.array(f"{group}/{name}") for name in mine)


def _kind(shapes: list[tuple[int, ...]]) -> str | None:
    """Return what is recurrent and no GRU, by the shape of its recurrent kernel."""
    kernel, recurrent = shapes[:2]
    if len(kernel) == len(recurrent) == 2 and kernel[1] == recurrent[1] == 4 * recurrent[0] > 0:
        return "LSTM"
    return None
