"""The stacks of an open Keras file: single layers, and chains of layers that feed only each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from grubridge.errors import CorruptFileError, UnsupportedFeatureError
from grubridge.files.opening import shown
from grubridge.files.text import printable
from grubridge.formats.base import ReadHints, StackEntry
from grubridge.spec import Direction, GRUDirection, GRULayer, GRUSpec, MergeMode, Source, StackIO

from .assumed import check_hints, described, meaning
from .config import RecurrentLayer, flag
from .files import KerasFile
from .layout import CellForm, cell_form, cell_settings, read_cell, resets_after
from .weights import CellArrays

__all__ = ["layer_io", "read_layers", "stack_entries"]

_MERGE_MODES: dict[object, MergeMode | None] = {
    "concat": "concat",
    "sum": "sum",
    "mul": "mul",
    "ave": "ave",
    None: None,
}


@dataclass(frozen=True)
class _Found:
    """A GRU layer with its arrays, ready to be read."""

    file: KerasFile
    layer: RecurrentLayer
    arrays: Sequence[CellArrays]
    major: int
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        return f"{shown(self.file.path)}, {printable(self.layer.name)}"

    @property
    def forms(self) -> list[CellForm]:
        return [cell_form([array.shape for array in cell], self.where) for cell in self.arrays]

    @property
    def dtypes(self) -> set[str]:
        return {array.dtype.name for cell in self.arrays for array in cell}

    def read(self) -> tuple[GRULayer, ...]:
        """Return the layers of a spec that this layer is: one, or one for each of stacked cells."""
        if len(self.dtypes) > 1:
            raise CorruptFileError(
                f"{self.where}: its arrays should share one dtype; received {', '.join(sorted(self.dtypes))}"
            )
        cells = [[array.load() for array in cell] for cell in self.arrays]
        return read_layers(self.layer, cells, self.major, self.where)

    def addresses(self) -> Iterator[dict[str, Any]]:
        """Yield, for each layer of the spec, where a runtime finds it."""
        paths = [[array.path for array in cell] for cell in self.arrays]
        cells = [*zip(self.layer.cells, paths, strict=True)]
        for index, some in enumerate([[cell] for cell in cells] if self.layer.stacked else [cells]):
            yield {
                "path": list(self.layer.path),
                "class_name": self.layer.class_name,
                "config": dict(self.layer.config),
                "cell": index if self.layer.stacked else None,
                "datasets": {cell.direction: datasets for cell, datasets in some},
            }


def stack_entries(file: KerasFile, hints: ReadHints) -> tuple[StackEntry, ...]:
    """Return the stacks of `file`, in its order.

    Raises:
        CorruptFileError: when arrays do not have the shapes of a GRU.
        FileFormatError: when a hint says what the file itself says.
    """
    grus = [layer for layer in file.bare if layer.is_gru]
    check_hints(hints, grus, shown(file.path))
    meant, major = meaning(hints, file.major)
    found = [
        _Found(file, layer, arrays, major)
        for layer, arrays in zip(file.model.layers, file.arrays, strict=True)
    ]
    version = file.version or ("" if major == 3 else str(major))
    for bare in grus:
        layer, notes = described(bare, meant, version, shown(file.path))
        # an attribute of a model's class may be called as a layer of it is numbered
        taken = {one.layer.name for one in found}
        layer = replace(layer, name="/".join(bare.path) if bare.name in taken else bare.name)
        found.append(_Found(file, layer, [cell.arrays for cell in bare.cells], major, notes))
    _check_names(found)
    chains = [
        chain for chain in file.model.chains if len(set().union(*(found[i].dtypes for i in chain))) == 1
    ]
    starts = {chain[0]: chain for chain in chains}
    inside = {index for chain in chains for index in chain}
    return tuple(
        _entry([found[i] for i in starts[index]]) if index in starts else _entry([one])
        for index, one in enumerate(found)
        if index in starts or index not in inside
    )


def read_layers(
    layer: RecurrentLayer, cells: Sequence[Sequence[Any]], major: int, where: str
) -> tuple[GRULayer, ...]:
    """Return the spec's layers of a Keras layer.

    Args:
        layer: its configuration.
        cells: the arrays of each cell, in the order in which Keras stores them.
        major: the major version of the Keras that wrote it.
        where: the file and the layer, for messages.

    Raises:
        CorruptFileError: when arrays and configuration do not fit together.
        UnsupportedFeatureError: when no spec can hold it.
    """
    read: list[tuple[Direction, GRUDirection, bool]] = []
    for cell, arrays in zip(layer.cells, cells, strict=True):
        settings = cell_settings(cell, major, where)
        form = cell_form([tuple(array.shape) for array in arrays], where)
        reset_after = resets_after(form, settings, where)
        read.append((cell.direction, read_cell(arrays, form, settings), reset_after))
    if not layer.bidirectional:
        return tuple(
            GRULayer(
                weights if direction == "forward" else None,
                weights if direction == "backward" else None,
                reset_after,
            )
            for direction, weights, reset_after in read
        )
    (_, forward, reset_after), (_, backward, also) = read
    if reset_after != also:
        reason = (
            f"{where}: the halves of the Bidirectional differ in reset_after, and no other format has that"
        )
        raise UnsupportedFeatureError(reason, [reason])
    return (GRULayer(forward, backward, reset_after),)


def layer_io(layer: RecurrentLayer, where: str) -> StackIO:
    """Return how a Keras layer is wired."""
    stored = layer.config.get("merge_mode", "concat") if layer.bidirectional else "concat"
    if not isinstance(stored, (str, type(None))) or stored not in _MERGE_MODES:
        raise CorruptFileError(
            f"{where}: merge_mode must be concat, sum, mul, ave or null; received {printable(repr(stored))}"
        )
    config = layer.wiring
    return StackIO(
        time_major=flag(config, "time_major", where),
        return_sequences=flag(config, "return_sequences", where),
        return_state=flag(config, "return_state", where),
        stateful=flag(config, "stateful", where),
        masking=layer.masked,
        merge_mode=_MERGE_MODES[stored],
        processing_order=layer.cells[0].direction == "backward",
    )


def _entry(chain: Sequence[_Found]) -> StackEntry:
    """Return the stack of one layer, or of several that feed only each other."""
    first, last = chain[0], chain[-1]
    forms = [form for one in chain for form in one.forms]  # all, so that listing a file finds wrong shapes
    name = first.layer.name if len(chain) == 1 else f"{first.layer.name}:{last.layer.name}"
    address = {
        "kind": first.file.kind,
        "container": first.file.container,
        "framework": _framework(first.file, first.major),
        "layers": [address for one in chain for address in one.addresses()],
    }
    members = tuple(_entry([one]) for one in chain) if len(chain) > 1 else ()
    return StackEntry(name, address, forms[0].layout, partial(_read, name, tuple(chain)), members)


def _read(name: str, chain: Sequence[_Found]) -> GRUSpec:
    first, last = chain[0], chain[-1]
    wirings = [layer_io(one.layer, one.where) for one in chain]
    wiring = replace(
        wirings[-1],
        stateful=any(wiring.stateful for wiring in wirings),
        masking=wirings[0].masking,
    )
    notes = tuple(dict.fromkeys(note for one in chain for note in one.notes))
    source = Source(str(first.file.path), "keras", name, _framework(first.file, first.major), notes)
    layers = tuple(layer for one in chain for layer in one.read())
    return GRUSpec(layers, last.layer.name if len(chain) == 1 else name, wiring, source)


def _framework(file: KerasFile, major: int) -> str:
    return f"keras {file.version or major}"


def _check_names(found: Sequence[_Found]) -> None:
    names: set[str] = set()
    for one in found:
        if one.layer.name in names:
            raise CorruptFileError(f"{one.where}: two layers have this name; the file is damaged")
        names.add(one.layer.name)
