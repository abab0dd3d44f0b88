"""The GRUs in a Keras model's configuration, however deeply nested, and the chains among them.

In a file of Keras 3 or of tf.keras 2.12 and later, the weights of a model's layer lie at "layers/" and its
class in snake case, numbered from the second of a class on, whatever the layer's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.files.text import quoted

from .config import Config, RecurrentLayer, entry_of, is_keras_own, recurrent_layer
from .graph import Graph, functional_graph, sequential_graph

__all__ = ["Model", "read_model"]

_DEEPEST = 30


class Other(NamedTuple):
    """What is recurrent in a model and no GRU.

    Args:
        said: what it is, e.g. "LSTM 'lstm_1'".
        group: where, in a file of Keras 3, its weights lie.
        outermost: the layer of the outermost model that it is, or is in.
    """

    said: str
    group: str
    outermost: str


@dataclass
class Model:
    """What was found in a model's configuration.

    Args:
        layers: its GRU layers in the model's order.
        chains: runs of layers, as indices into `layers`, each of which feeds the next and nothing else.
        others: what else is recurrent.
    """

    layers: list[RecurrentLayer] = field(default_factory=list)
    chains: list[tuple[int, ...]] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)


def read_model(stored: object, where: str) -> Model:
    """Return the GRUs of the model whose configuration is `stored`; none for a class of the user's own.

    Args:
        stored: the parsed JSON.
        where: the file and the place in it, for messages.

    Raises:
        CorruptFileError: when it is not a Keras model's configuration.
        UnsafeFileError: when models are nested deeper than any real one.
    """
    found = Model()
    entry = entry_of(stored, where)
    if _sublayers(entry) is not None:
        _Walk(where, found).model(entry, (), "", masked=False)
    return found


@dataclass(frozen=True)
class _Walk:
    """Walks down a model and the models in it."""

    where: str
    found: Model

    def model(self, entry: Config, path: tuple[str, ...], group: str, *, masked: bool) -> None:
        """Add the layers of a Sequential or functional model, and the chains among them."""
        if len(path) > _DEEPEST:
            raise UnsafeFileError(
                f"{self.where}: layers nested more than {_DEEPEST} deep; a real model does not need that: "
                "the file is damaged or hostile"
            )
        entries: dict[str, Config] = {}
        groups: dict[str, str] = {}
        used: dict[str, int] = {}
        for stored in _sublayers(entry) or ():
            layer = entry_of(stored, self.where)
            kind = _snake_case(layer["class_name"])
            count = used[kind] = used.get(kind, -1) + 1
            numbered = f"{kind}_{count}" if count else kind
            name = _name(layer, numbered)
            if name in entries:
                raise CorruptFileError(f"{self.where}: two layers of one model are called {quoted(name)}")
            entries[name], groups[name] = layer, f"{group}/layers/{numbered}".lstrip("/")
        graph = _graph(entry, entries)
        with_mask = graph.given_masks | graph.downstream([n for n, e in entries.items() if _emits_mask(e)])
        indices: dict[str, int] = {}
        for name, layer in entries.items():
            index = self.layer(layer, (*path, name), groups[name], masked=masked or name in with_mask)
            if index is not None:
                indices[name] = index
        self.found.chains.extend(self._chains(graph, indices, entries))

    def layer(self, entry: Config, path: tuple[str, ...], group: str, *, masked: bool) -> int | None:
        """Add a layer if it is a GRU, or what is inside it; return the index of a GRU of this very level."""
        if _sublayers(entry) is not None:
            self.model(entry, path, group, masked=masked)
        elif entry["class_name"] == "TimeDistributed" and is_keras_own(entry):
            inner = entry_of(entry["config"].get("layer"), f"{self.where}: {quoted(path[-1])}")
            self.layer(inner, (*path, _name(inner, "layer")), f"{group}/layer", masked=masked)
        else:
            made = recurrent_layer(entry, path, group, self.where)
            if isinstance(made, RecurrentLayer):
                self.found.layers.append(replace(made, masked=masked))
                return len(self.found.layers) - 1
            if made is not None:
                self.found.others.append(Other(made, group, path[0]))
        return None

    def _chains(
        self, graph: Graph, indices: Mapping[str, int], entries: Mapping[str, Config]
    ) -> list[tuple[int, ...]]:
        layers = self.found.layers
        class_names = {name: entry["class_name"] for name, entry in entries.items()}
        above: dict[int, int] = {}
        for name, index in indices.items():
            reader = graph.next_along_chain(name, class_names) if layers[index].feeds_chains() else None
            upper = indices.get(reader) if reader is not None else None
            if upper is not None and not layers[upper].stacked and _same_axes(layers[index], layers[upper]):
                above[index] = upper
        chains: list[tuple[int, ...]] = []
        for first in sorted(above.keys() - set(above.values())):
            chain = [first]
            while chain[-1] in above:
                chain.append(above[chain[-1]])
            chains.append(tuple(chain))
        return chains


def _same_axes(lower: RecurrentLayer, upper: RecurrentLayer) -> bool:
    return bool(lower.wiring.get("time_major", False) == upper.wiring.get("time_major", False))


def _sublayers(entry: Config) -> list[Any] | None:
    """Return the layers of a model; None when it is no model."""
    config = entry["config"]
    layers = config if isinstance(config, list) else config.get("layers")
    return layers if isinstance(layers, list) else None


def _name(entry: Config, otherwise: str) -> str:
    config = entry["config"]
    name = config.get("name") if isinstance(config, dict) else None
    name = entry.get("name") if name is None else name
    return name if isinstance(name, str) and name else otherwise


def _graph(entry: Config, entries: Mapping[str, Config]) -> Graph:
    if any("inbound_nodes" in layer for layer in entries.values()) and "output_layers" in entry["config"]:
        return functional_graph(entries, entry["config"]["output_layers"])
    return sequential_graph(list(entries))


def _emits_mask(entry: Config) -> bool:
    """Whether a mask comes out of a layer, or of a layer inside it."""
    sublayers = _sublayers(entry)
    if sublayers is not None:
        return any(_emits_mask(entry_of(layer, "a model")) for layer in sublayers)
    kind = entry["class_name"]
    return kind == "Masking" or (kind == "Embedding" and entry["config"].get("mask_zero") is True)


def _snake_case(name: str) -> str:
    """Return a class name as Keras turns it into a path (keras/src/utils/naming.py)."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
