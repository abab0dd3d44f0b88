"""A GRU layer of a Keras model as its configuration describes it. Nothing that it names is ever imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from grubridge.errors import CorruptFileError
from grubridge.files.text import printable, quoted
from grubridge.spec import Direction

__all__ = ["CellConfig", "Config", "RecurrentLayer", "entry_of", "flag", "is_keras_own", "recurrent_layer"]

Config = Mapping[str, Any]

_OTHERS = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "CuDNNLSTM", "LSTM", "SimpleRNN")
_GRUS = ("GRU", "CuDNNGRU")


@dataclass(frozen=True)
class CellConfig:
    """One GRU cell of a layer.

    Args:
        direction: in which it reads.
        class_name: "GRU", "CuDNNGRU" or "GRUCell".
        config: its configuration.
        group: the path of its weights in a file of Keras 3, below the layer's own.
    """

    direction: Direction
    class_name: str
    config: Config
    group: str


@dataclass(frozen=True)
class RecurrentLayer:
    """One GRU layer of a model.

    Args:
        name: its name in the file, unique there.
        path: names of the layers from the model's own level down to this one.
        group: the path of its weights in a file of Keras 3.
        class_name: "GRU", "CuDNNGRU", "RNN" or "Bidirectional".
        config: as stored; a Bidirectional's is the wrapper's.
        wiring: the configuration that says how it is called: its own, or that of a Bidirectional's halves.
        cells: forward before backward; of RNN(StackedRNNCells), from the first cell up.
        stacked: whether the cells are layers on top of each other.
        masked: whether a mask reaches it.
    """

    name: str
    path: tuple[str, ...]
    group: str
    class_name: str
    config: Config
    wiring: Config
    cells: tuple[CellConfig, ...]
    stacked: bool
    masked: bool = False

    @property
    def bidirectional(self) -> bool:
        """Whether it reads in both directions."""
        return self.class_name == "Bidirectional"

    def feeds_chains(self) -> bool:
        """Whether its output, in time order and as it is, can be what the next layer of a stack reads."""
        forward = self.cells[0].direction == "forward"
        concat = not self.bidirectional or self.config.get("merge_mode", "concat") == "concat"
        return self.wiring.get("return_sequences") is True and concat and forward and not self.stacked


def recurrent_layer(
    entry: Config, path: tuple[str, ...], group: str, where: str
) -> RecurrentLayer | str | None:
    """Return the GRU layer that `entry` describes.

    Args:
        entry: the layer's entry in its model's configuration, as from `entry_of`.
        path: its names.
        group: the path of its weights in a file of Keras 3.
        where: the file and the place in it, for messages.

    Returns:
        The layer; or what it is when it is recurrent and no GRU, e.g. "LSTM 'lstm_1'"; or None.

    Raises:
        CorruptFileError: when it cannot be a configuration that Keras wrote.
    """
    kind = str(entry["class_name"])
    shown = f"{printable(kind)} {quoted(path[-1])}"
    if not is_keras_own(entry):
        recurrent = kind in (*_GRUS, *_OTHERS, "RNN", "Bidirectional")
        return f"{shown} of module {printable(entry.get('module'))}" if recurrent else None
    where = f"{where}: {shown}"
    if kind == "Bidirectional":
        return _bidirectional(_settings(entry, where), path, group, where)
    if kind in _OTHERS:
        return shown
    if kind not in (*_GRUS, "RNN"):
        return None
    config = _settings(entry, where)
    direction: Direction = "backward" if flag(config, "go_backwards", where) else "forward"
    cells = tuple(_cells(entry, direction, "", where))
    if not cells:
        return f"RNN of {printable(entry_of(config.get('cell'), where)['class_name'])} {quoted(path[-1])}"
    stacked = kind == "RNN" and config["cell"]["class_name"] == "StackedRNNCells"
    return RecurrentLayer("/".join(path), path, group, kind, config, config, cells, stacked)


def _bidirectional(config: Config, path: tuple[str, ...], group: str, where: str) -> RecurrentLayer | str:
    forward = entry_of(config.get("layer"), where)
    given = config.get("backward_layer")
    backward = forward if given is None else entry_of(given, where)
    cells = (
        *_cells(forward, "forward", "forward_layer", where),
        *_cells(backward, "backward", "backward_layer", where),
    )
    turned = isinstance(forward["config"], dict) and flag(forward["config"], "go_backwards", where)
    if turned or [cell.direction for cell in cells] != ["forward", "backward"]:
        how = " that goes backwards" if turned else ""
        return f"Bidirectional of {printable(forward['class_name'])}{how} {quoted(path[-1])}"
    name, wiring = "/".join(path), forward["config"]
    return RecurrentLayer(name, path, group, "Bidirectional", config, wiring, cells, stacked=False)


def _cells(entry: Config, direction: Direction, group: str, where: str) -> Iterator[CellConfig]:
    """Yield the cells of a GRU or of an RNN of GRUCells; none for any other layer."""
    kind = entry["class_name"]
    below = f"{group}/".lstrip("/")
    if not is_keras_own(entry):
        return
    if kind in _GRUS:
        config = _settings(entry, where)
        yield CellConfig(direction, kind, config, group if kind == "CuDNNGRU" else f"{below}cell")
    elif kind == "RNN":
        cell = entry_of(_settings(entry, where).get("cell"), where)
        stacked = cell["class_name"] == "StackedRNNCells"
        stored = _settings(cell, where).get("cells") if stacked else [cell]
        if not isinstance(stored, list) or not stored:
            raise CorruptFileError(f"{where} should list its cells")
        cells = [entry_of(one, where) for one in stored]
        if all(one["class_name"] == "GRUCell" and is_keras_own(one) for one in cells):
            for index, one in enumerate(cells):
                numbered = f"/cells/gru_cell{f'_{index}' if index else ''}" if stacked else ""
                yield CellConfig(direction, "GRUCell", _settings(one, where), f"{below}cell{numbered}")


def entry_of(stored: object, where: str) -> Config:
    """Return a layer's entry, {"class_name": str, "config": {...}}, its shape checked.

    A model of Keras 1 or early Keras 2 may have a list of layers in the place of its config.

    Raises:
        CorruptFileError: when it is something else.
    """
    if isinstance(stored, dict):
        config = stored.get("config")
        if isinstance(stored.get("class_name"), str) and isinstance(config, (dict, list)):
            return stored
    raise CorruptFileError(
        f"{where}: expected a Keras layer with class_name and config; received {printable(repr(stored))}"
    )


def _settings(entry: Config, where: str) -> Config:
    """Return the config of a layer that is no model: one without a list of layers in its place."""
    config = entry["config"]
    if not isinstance(config, dict):
        raise CorruptFileError(
            f"{where}: the config of {printable(entry['class_name'])} should be an object; received "
            f"{printable(repr(config))}"
        )
    return config


def is_keras_own(entry: Config) -> bool:
    """Whether a layer is Keras's own: what Keras 3 stores from elsewhere names its module."""
    module = entry.get("module")
    return module is None or str(module).split(".")[0] in ("keras", "tf_keras")


def flag(config: Config, key: str, where: str) -> bool:
    """Return the boolean `key` of a layer's config; it is false where it is missing.

    Raises:
        CorruptFileError: when it is something else.
    """
    value = config.get(key, False)
    if not isinstance(value, bool):
        raise CorruptFileError(f"{where}: {key} must be true or false; received {printable(repr(value))}")
    return value
