"""Which layer of a Keras model feeds which: chains of GRUs, and where a mask arrives."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

__all__ = ["IDENTITIES", "Graph", "functional_graph", "sequential_graph"]

IDENTITIES = frozenset(
    ("ActivityRegularization", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D")
)
"""Layers that hand on what they receive, outside training."""

_OUTPUT = ""
"""Stands for the model's output among the consumers of a layer."""


@dataclass(frozen=True)
class Reference:
    """One tensor that a layer receives: which output of which layer."""

    layer: str
    output: int


@dataclass(frozen=True)
class Graph:
    """The layers of one model by name.

    Args:
        calls: for every layer, the tensors that it receives in each of its calls.
        given_masks: layers that are called with a mask of their own.
        outputs: the tensors that the model returns.
    """

    calls: Mapping[str, tuple[tuple[Reference, ...], ...]]
    given_masks: frozenset[str]
    outputs: tuple[Reference, ...]

    def next_along_chain(self, name: str, class_names: Mapping[str, str]) -> str | None:
        """Return the layer that alone reads `name`, and nothing else, through layers that change nothing."""
        passed = {name}
        while True:
            readers = self._consumers.get(name, ())
            if len(readers) != 1 or self.calls.get(readers[0]) != ((Reference(name, 0),),):
                return None
            name = readers[0]
            if name in passed or class_names[name] not in IDENTITIES:
                return name
            passed.add(name)

    def downstream(self, sources: Collection[str]) -> set[str]:
        """Return the layers that a tensor of one of `sources` reaches, however far."""
        reached: set[str] = set()
        left = list(sources)
        while left:
            for reader in self._consumers.get(left.pop(), ()):
                if reader not in reached:
                    reached.add(reader)
                    left.append(reader)
        return reached

    @cached_property
    def _consumers(self) -> Mapping[str, list[str]]:
        consumers: dict[str, list[str]] = {}
        for name, calls in self.calls.items():
            for reference in (reference for call in calls for reference in call):
                consumers.setdefault(reference.layer, []).append(name)
        for reference in self.outputs:
            consumers.setdefault(reference.layer, []).append(_OUTPUT)
        return consumers


def sequential_graph(names: Sequence[str]) -> Graph:
    """Return the graph of a Sequential model with layers of these names."""
    calls: dict[str, tuple[tuple[Reference, ...], ...]] = {}
    for below, name in zip(("", *names), names, strict=False):
        calls[name] = ((Reference(below, 0),),) if below else ()
    return Graph(calls, frozenset(), (Reference(names[-1], 0),) if names else ())


def functional_graph(layers: Mapping[str, Mapping[str, Any]], outputs: object) -> Graph:
    """Return the graph of a functional model.

    Args:
        layers: by name, the layer's entry in the model's config, with its `inbound_nodes`.
        outputs: the config's `output_layers`.
    """
    calls: dict[str, tuple[tuple[Reference, ...], ...]] = {}
    masked: set[str] = set()
    for name, entry in layers.items():
        nodes = entry.get("inbound_nodes")
        calls[name] = tuple(tuple(_references(node)) for node in nodes) if isinstance(nodes, list) else ()
        if next(_references(_masks(nodes)), None) is not None:
            masked.add(name)
    return Graph(calls, frozenset(masked), tuple(_references(outputs)))


def _references(value: object) -> Iterator[Reference]:
    """Yield the tensors named in a node: [name, node, output, ...], or __keras_tensor__ in Keras 3.

    The mask that a layer is called with is not among what it reads.
    """
    left: list[object] = [value]
    while left:
        current = left.pop()
        if isinstance(current, dict):
            if current.get("class_name") == "__keras_tensor__":
                config = current.get("config")
                current = config.get("keras_history") if isinstance(config, dict) else None
            else:
                left.extend(inner for key, inner in current.items() if key != "mask")
        if isinstance(current, list):
            if _names_tensor(current):
                yield Reference(current[0], current[2])
                left.extend(current[3:])
            else:
                left.extend(current)


def _names_tensor(value: list[Any]) -> bool:
    return len(value) >= 3 and isinstance(value[0], str) and all(type(index) is int for index in value[1:3])


def _masks(nodes: object) -> list[object]:
    """Return what the calls in `nodes` pass as `mask`."""
    found: list[object] = []
    left: list[object] = [nodes]
    while left:
        current = left.pop()
        if isinstance(current, dict):
            found.append(current.get("mask"))
            left.extend(current.values())
        elif isinstance(current, list):
            left.extend(current)
    return found
