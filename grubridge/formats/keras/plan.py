"""A spec as the layers of a Keras Sequential model: configurations, arrays, and what was done to each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from grubridge.spec import (
    BiasChange,
    Fused,
    GRUDirection,
    GRULayer,
    GRUSpec,
    Layout,
    TensorRecord,
    fuse,
    record,
    split_biases,
    sum_biases,
)

from .activations import keras_name
from .layout import GATE_ORDER, LAYOUT

__all__ = ["CellPlan", "LayerPlan", "TensorPlan", "plan_layers", "refused_order", "sequential", "stored_spec"]

Config = dict[str, Any]


@dataclass(frozen=True)
class TensorPlan:
    """One array of a layer.

    Args:
        name: "kernel", "recurrent_kernel" or "bias".
        shape: its shape.
        data: its values, in C order.
        made_of: the canonical parts in it.
        changes: what happened to those of them that had to change.
    """

    name: str
    shape: tuple[int, ...]
    data: Fused
    made_of: tuple[str, ...]
    changes: tuple[BiasChange, ...]

    def record(self, path: str, source: Layout) -> TensorRecord:
        """Return the record of this array, called `path` in the file."""
        made = record(path, self.shape, self.made_of, source, LAYOUT)
        for change in self.changes:
            made = made.also(change.action, change.largest_change)
        return made


@dataclass(frozen=True)
class CellPlan:
    """One direction of a layer: its name as a layer, and its arrays in Keras's order."""

    name: str
    tensors: tuple[TensorPlan, ...]


@dataclass(frozen=True)
class LayerPlan:
    """One Keras layer.

    Args:
        name: its name.
        group: the path of its weights in a file of Keras 3.
        entry: its entry in a model's configuration.
        cells: by the path below `group` of the cell that has the arrays.
    """

    name: str
    group: str
    entry: Config
    cells: Mapping[str, CellPlan]


def refused_order(spec: GRUSpec) -> Iterator[str]:
    """Yield why the layers of `spec` cannot follow each other in Keras; nothing when they can."""
    if any(layer.forward is None for layer in spec.layers[:-1]):
        yield (
            "a layer below another runs backwards only, and Keras's go_backwards hands its steps on last "
            "first; write ONNX"
        )


def stored_spec(spec: GRUSpec) -> tuple[GRUSpec, Mapping[str, BiasChange]]:
    """Return `spec` as Keras holds it, and what happened to its biases, by canonical part.

    A layer has one bias kind for both directions: [2, 3H] where the reset comes after the recurrent product,
    [3H] where it comes before, or none. A Sequential model has no further outputs, masks or fixed batches.
    """
    layers: list[GRULayer] = []
    changes: dict[str, BiasChange] = {}
    for index, layer in enumerate(spec.layers):
        brought = layer
        if any(direction.has_bias for _, direction in layer.directions()):
            brought, changed = (split_biases if layer.reset_after else sum_biases)(layer)
            changes.update({f"layer {index} {part}": change for part, change in changed.items()})
        layers.append(brought)
    wiring = replace(
        spec.io,
        time_major=False,
        return_state=False,
        stateful=False,
        masking=False,
        merge_mode=spec.io.merge_mode or "concat",
        processing_order=layers[-1].forward is None,
    )
    return replace(spec, layers=tuple(layers), io=wiring), changes


def plan_layers(spec: GRUSpec, changes: Mapping[str, BiasChange]) -> tuple[LayerPlan, ...]:
    """Return the layers of `spec`, as `stored_spec` returned it with `changes`."""
    base = re.sub(r"[^A-Za-z0-9_.-]", "_", spec.name.split(":")[0]).lstrip("_.-") or "gru"
    planned: list[LayerPlan] = []
    used: dict[str, int] = {}
    for index, layer in enumerate(spec.layers):
        name = f"{base}_{index}" if index else base
        last = index == len(spec.layers) - 1
        both = layer.forward is not None and layer.backward is not None
        kind = "bidirectional" if both else "gru"
        count = used[kind] = used.get(kind, -1) + 1
        group = f"layers/{kind}_{count}" if count else f"layers/{kind}"
        sequences = spec.io.return_sequences or not last
        if both:
            names = [(f"{way}_{name}", f"{way}_layer") for way in ("forward", "backward")]
        else:
            names = [(name, "")]
        cells: dict[str, CellPlan] = {}
        entries: list[Config] = []
        for (way, direction), (cell_name, below) in zip(layer.directions(), names, strict=True):
            tensors = tuple(_tensors(direction, layer, f"layer {index} {way}", changes))
            cells[f"{below}/cell".lstrip("/")] = CellPlan(cell_name, tensors)
            config = _gru_config(cell_name, layer, direction, sequences=sequences, backward=way == "backward")
            entries.append(_entry("GRU", config, layer.input_size))
        entry = entries[0]
        if both:
            merge_mode = spec.io.merge_mode if last else "concat"
            wrapper = {"name": name, "dtype": spec.dtype.name, "merge_mode": merge_mode}
            entry = _entry(
                "Bidirectional",
                {**wrapper, "layer": entries[0], "backward_layer": entries[1]},
                layer.input_size,
            )
        planned.append(LayerPlan(name, group, entry, cells))
    return tuple(planned)


def sequential(spec: GRUSpec, layers: tuple[LayerPlan, ...], input_config: Config) -> Config:
    """Return the configuration of the Sequential model of `layers`; `input_config` says the input's shape."""
    taken = {layer.name for layer in layers}
    free = (f"{stem}_layer" for stem in ("input", "model_input"))
    config = {
        "name": next(name for name in free if name not in taken),
        "dtype": spec.dtype.name,
        **input_config,
    }
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}
    model = {
        "name": "sequential" if "sequential" not in taken else "model",
        "trainable": True,
        "dtype": spec.dtype.name,
        "layers": [first, *(layer.entry for layer in layers)],
    }
    return {"module": "keras", "class_name": "Sequential", "config": model, "registered_name": "Sequential"}


def _tensors(
    direction: GRUDirection, layer: GRULayer, where: str, changes: Mapping[str, BiasChange]
) -> Iterator[TensorPlan]:
    for name, part in (("kernel", "input_weight"), ("recurrent_kernel", "recurrent_weight")):
        data = fuse(getattr(direction, part).map(lambda gate: gate.T), GATE_ORDER, axis=1)
        yield TensorPlan(name, data.shape, data, (f"{where} {part}",), ())
    biases = {"input_bias": direction.input_bias, "recurrent_bias": direction.recurrent_bias}
    rows = [gates[gate] for gates in biases.values() if gates is not None for gate in GATE_ORDER]
    if not rows:
        return
    wide = 3 * direction.hidden_size
    made_of = tuple(f"{where} {part}" for part, gates in biases.items() if gates is not None)
    happened = tuple(changes[part] for part in made_of if part in changes)
    data = Fused(tuple(row for row in rows if row is not None), 0)
    yield TensorPlan("bias", (2, wide) if layer.reset_after else (wide,), data, made_of, happened)


def _gru_config(
    name: str, layer: GRULayer, direction: GRUDirection, *, sequences: bool, backward: bool
) -> Config:
    dtype = direction.input_weight.update.dtype.name
    # Keras makes initial weights before it loads any, and its default is not there for bfloat16
    initializer = {"recurrent_initializer": "glorot_uniform"} if dtype == "bfloat16" else {}
    return {
        "name": name,
        "trainable": True,
        "dtype": dtype,
        "return_sequences": sequences,
        "return_state": False,
        "go_backwards": backward,
        "stateful": False,
        "unroll": False,
        "units": layer.hidden_size,
        "activation": keras_name(direction.candidate_activation),
        "recurrent_activation": keras_name(direction.gate_activation),
        "use_bias": direction.input_bias is not None,
        "reset_after": layer.reset_after,
        **initializer,
    }


def _entry(class_name: str, config: Config, input_size: int) -> Config:
    return {
        "module": "keras.layers",
        "class_name": class_name,
        "config": config,
        "registered_name": None,
        "build_config": {"input_shape": [None, None, input_size]},
    }
