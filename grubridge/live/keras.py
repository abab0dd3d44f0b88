"""Keras GRU layers in memory, as specs and back, without a file; those of Keras 2 (tf_keras) can be read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from grubridge.errors import InvalidSpecError, MissingDependencyError, UnsupportedFeatureError
from grubridge.formats.keras.adapter import CAPABILITIES
from grubridge.formats.keras.config import RecurrentLayer
from grubridge.formats.keras.contents import layer_io, read_layers
from grubridge.formats.keras.model import read_model
from grubridge.formats.keras.plan import CellPlan, LayerPlan, plan_layers, refused_order, stored_spec
from grubridge.formats.keras.weights import cut_into_cells
from grubridge.spec import Array, GRUSpec, Source, unsupported

from .keras_cells import as_gru_cells, is_own_cell, own_cells, package_of

if TYPE_CHECKING:
    import keras

__all__ = ["from_layer", "layer_entry", "spec_of", "to_cell", "to_layer"]

_EXPECTED = "a built GRU, GRUCell, RNN of GRUCells, Bidirectional of them, or a Sequential of such layers"


def from_layer(layer: keras.Layer) -> GRUSpec:
    """Return the spec of a Keras layer, or of a Sequential model of GRU layers that feed each other.

    Raises:
        InvalidSpecError: when `layer` is none of these, or has no weights yet.
        UnsupportedFeatureError: when it has an activation that a spec cannot hold.
    """
    home = type(layer).__module__.partition(".")[0]
    refusal = InvalidSpecError(f"expected {_EXPECTED}; received a {type(layer).__name__} of {home}")
    if package_of(layer) not in ("keras", "tf_keras"):
        raise refusal
    stages = [one for one in getattr(layer, "layers", [layer]) if type(one).__name__ != "InputLayer"]
    where = f"this {type(layer).__name__}"
    entry = {"class_name": "Sequential", "config": {"layers": [layer_entry(stage) for stage in stages]}}
    found = read_model(entry, where).layers
    if not found or len(found) != len(stages):
        raise refusal
    if not all(lower.feeds_chains() for lower in found[:-1]):
        raise InvalidSpecError(
            f"{where}: every layer but the last must return sequences, forwards, its halves concatenated"
        )
    return spec_of(list(zip(stages, found, strict=True)), str(layer.name), where)


def spec_of(chain: Sequence[tuple[keras.Layer, RecurrentLayer]], name: str, where: str) -> GRUSpec:
    """Return the spec of layers that feed each other.

    Args:
        chain: built layers, each with what its configuration says.
        name: of the stack.
        where: what holds it, for messages.
    """
    package = package_of(chain[0][0])
    version: str = sys.modules[package].__version__
    weights = [_weights(layer, found) for layer, found in chain]
    layers = [
        made
        for (_, found), cells in zip(chain, weights, strict=True)
        for made in read_layers(found, cells, int(version.partition(".")[0]), where)
    ]
    own = dict.fromkeys(type(cell).__name__ for layer, _ in chain for cell in own_cells(layer))
    notes = tuple(f"{one} is read as the GRUCell that it derives from" for one in own)
    source = Source("", "keras", name, f"keras {version}", notes)
    return GRUSpec(tuple(layers), name, layer_io(chain[-1][1], where), source)


def layer_entry(layer: keras.Layer) -> dict[str, Any]:
    """Return a layer's entry in the configuration of a model; a cell's as that of an RNN around it."""
    entry = {
        "module": type(layer).__module__,
        "class_name": type(layer).__name__,
        "config": as_gru_cells(layer.get_config(), layer),
    }
    if is_own_cell(layer):
        entry = {**entry, "module": package_of(layer), "class_name": "GRUCell"}
    if entry["class_name"] in ("GRUCell", "StackedRNNCells"):
        return {"class_name": "RNN", "config": {"name": layer.name, "cell": entry}}
    return entry


def _weights(layer: keras.Layer, found: RecurrentLayer) -> list[list[Array]]:
    arrays = layer.get_weights()
    if not arrays:
        raise InvalidSpecError(f"{layer.name} has no weights yet; build it first, or call it once")
    return [list(cell) for cell in cut_into_cells(arrays, found, str(layer.name))]


def to_layer(spec: GRUSpec) -> keras.Layer:
    """Return a Keras 3 layer that computes `spec`, built, with weights of its own.

    It is a GRU, a Bidirectional of GRUs, or a Sequential model of them where the spec has several layers.
    It returns every step, or the last as `spec.io` says; one that only runs backwards returns the last first.

    Raises:
        UnsupportedFeatureError: when Keras cannot compute it; `.features` lists every reason.
        MissingDependencyError: when Keras is not installed.
    """
    framework = _keras()
    planned = _planned(spec)
    layers = [_layer(framework, layer, spec.dtype.name) for layer in planned]
    if len(layers) == 1:
        return layers[0]
    model: keras.Layer = framework.Sequential(
        [framework.Input((None, spec.input_size), dtype=spec.dtype.name), *layers]
    )
    return model


def to_cell(spec: GRUSpec) -> keras.Layer:
    """Return a Keras 3 GRUCell that computes one step of `spec`, built, with weights of its own.

    Raises:
        UnsupportedFeatureError: when a GRUCell cannot compute it; `.features` lists every reason.
        MissingDependencyError: when Keras is not installed.
    """
    framework = _keras()
    if len(spec.layers) > 1 or spec.layers[0].backward is not None:
        reason = "a cell has one layer and runs forward; use to_layer"
        raise UnsupportedFeatureError(f"a GRUCell cannot compute {spec.name}: {reason}", [reason])
    (layer,) = _planned(spec)
    of_layers = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
    config = {key: value for key, value in layer.entry["config"].items() if key not in of_layers}
    cell: keras.Layer = framework.layers.GRUCell.from_config(config)
    cell.build((None, spec.input_size))
    cell.set_weights(_arrays(layer.cells["cell"]))
    return cell


def _planned(spec: GRUSpec) -> tuple[LayerPlan, ...]:
    reasons = (*unsupported(spec, CAPABILITIES, "Keras"), *refused_order(spec))
    if reasons:
        raise UnsupportedFeatureError(f"Keras cannot compute {spec.name}: {'; '.join(reasons)}", reasons)
    return plan_layers(*stored_spec(spec))


def _layer(framework: ModuleType, planned: LayerPlan, dtype: str) -> keras.Layer:
    config = planned.entry["config"]
    gru = framework.layers.GRU
    layer: keras.Layer
    if planned.entry["class_name"] == "Bidirectional":
        layer = framework.layers.Bidirectional(
            gru.from_config(config["layer"]["config"]),
            backward_layer=gru.from_config(config["backward_layer"]["config"]),
            merge_mode=config["merge_mode"],
            name=planned.name,
            dtype=dtype,
        )
    else:
        layer = gru.from_config(config)
    layer.build(planned.entry["build_config"]["input_shape"])
    layer.set_weights([array for cell in planned.cells.values() for array in _arrays(cell)])
    return layer


def _arrays(cell: CellPlan) -> list[Array]:
    return [tensor.data.to_array().reshape(tensor.shape) for tensor in cell.tensors]


def _keras() -> ModuleType:
    try:
        return import_module("keras")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"Keras cannot be imported ({error.name} is not installed); install it with: "
            "pip install 'grubridge[tensorflow]'",
            "tensorflow",
        ) from None
