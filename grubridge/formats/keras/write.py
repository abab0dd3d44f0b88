"""Keras files written: a Sequential model of GRU layers as `.keras`, `.weights.h5` or `.h5`.

`.keras` and `.weights.h5` have the layout of Keras 3; `.h5` has the one that Keras 2 reads as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grubridge.errors import UnsupportedFeatureError
from grubridge.files.hdf5_writer import Hdf5Writer
from grubridge.files.opening import open_for_writing, shown
from grubridge.files.text import quoted
from grubridge.files.zip_writer import ZipWriter
from grubridge.formats.base import Provenance, Written
from grubridge.spec import GRUSpec, Layout

from .files import ATTRIBUTE, CONFIG, METADATA, WEIGHTS
from .plan import LayerPlan, TensorPlan, plan_layers, refused_order, sequential, stored_spec

__all__ = ["write_keras"]

_KERAS_VERSION = "3.0.0"
"""The first Keras with these layouts; hard_sigmoid has its meaning."""

_DATE = "1980-01-01@00:00:00"  # equal content gives equal files
_ALIGNMENT = 4096


def write_keras(spec: GRUSpec, path: Path, provenance: Provenance, source: Layout) -> Written:
    """Write `spec` to the new file `path`, of the kind that its name asks for; `.keras` by default.

    Raises:
        UnsupportedFeatureError: when this kind cannot hold it; nothing is written then.
    """
    name = path.name.lower()
    weights_only = name.endswith(".weights.h5")
    legacy = not weights_only and name.endswith((".h5", ".hdf5"))
    _check(spec, path, legacy=legacy)
    stored, changes = stored_spec(spec)
    layers = plan_layers(stored, changes)
    tensors = list(_legacy_tensors(layers) if legacy else _positional_tensors(layers))
    hdf5 = Hdf5Writer()
    for place, tensor in tensors:
        hdf5.array(place, tensor.shape, tensor.data)
    input_shape = [None, None, spec.input_size]
    if legacy:
        model = sequential(stored, layers, {"batch_input_shape": input_shape})
        _describe_legacy(hdf5, layers, model, provenance)
    else:
        model = sequential(stored, layers, {"batch_shape": input_shape})
        if weights_only:
            said = {"keras_version": _KERAS_VERSION, "model_config": model, **provenance.entries}
            hdf5.text("", ATTRIBUTE, json.dumps(said))
    planned = hdf5.finish()
    file = open_for_writing(path)
    try:
        if legacy or weights_only:
            planned.write(file)
        else:
            archive = ZipWriter(file)
            metadata = {"keras_version": _KERAS_VERSION, "date_saved": _DATE, **provenance.entries}
            archive.put(METADATA, json.dumps(metadata).encode())
            archive.put(CONFIG, json.dumps(model).encode())
            base = archive.reserve(WEIGHTS, planned.size, _ALIGNMENT)
            archive.set_crc(WEIGHTS, planned.write_summed(file, base))
            archive.finish()
    finally:
        os.close(file)
    records = tuple(tensor.record(place, source) for place, tensor in tensors)
    notes = _notes(spec, stored, path, layers, weights_only=weights_only, legacy=legacy)
    return Written(stored, records, tuple(notes))


def _check(spec: GRUSpec, path: Path, *, legacy: bool) -> None:
    reasons = [*refused_order(spec)]
    if legacy and spec.dtype.name == "bfloat16":
        reasons.append(
            "the weights are bfloat16, and Keras itself cannot load them from .h5; write .keras, or choose "
            "another dtype with --dtype"
        )
    if reasons:
        raise UnsupportedFeatureError(
            f"{shown(path)}: keras cannot hold this GRU:\n" + "\n".join(f"- {why}" for why in reasons),
            reasons,
        )


def _positional_tensors(layers: tuple[LayerPlan, ...]) -> Iterator[tuple[str, TensorPlan]]:
    for layer in layers:
        for below, cell in layer.cells.items():
            for index, tensor in enumerate(cell.tensors):
                yield f"{layer.group}/{below}/vars/{index}", tensor


def _legacy_tensors(layers: tuple[LayerPlan, ...]) -> Iterator[tuple[str, TensorPlan]]:
    for layer in layers:
        for cell in layer.cells.values():
            for tensor in cell.tensors:
                yield f"model_weights/{layer.name}/{_legacy_scope(layer, cell.name)}/{tensor.name}", tensor


def _legacy_scope(layer: LayerPlan, cell: str) -> str:
    return f"{layer.name}/gru_cell" if cell == layer.name else f"{layer.name}/{cell}/gru_cell"


def _describe_legacy(
    hdf5: Hdf5Writer, layers: tuple[LayerPlan, ...], model: dict[str, Any], provenance: Provenance
) -> None:
    hdf5.text("", "keras_version", _KERAS_VERSION)
    hdf5.text("", "backend", "tensorflow")
    hdf5.text("", "model_config", json.dumps(model))
    hdf5.text("", ATTRIBUTE, json.dumps(dict(provenance.entries)))
    hdf5.text("model_weights", "keras_version", _KERAS_VERSION)
    hdf5.text("model_weights", "backend", "tensorflow")
    hdf5.texts("model_weights", "layer_names", [layer.name for layer in layers])
    for layer in layers:
        names = [
            f"{_legacy_scope(layer, cell.name)}/{tensor.name}"
            for cell in layer.cells.values()
            for tensor in cell.tensors
        ]
        hdf5.texts(f"model_weights/{layer.name}", "weight_names", names)


def _notes(
    spec: GRUSpec,
    stored: GRUSpec,
    path: Path,
    layers: tuple[LayerPlan, ...],
    *,
    weights_only: bool,
    legacy: bool,
) -> Iterator[str]:
    name = quoted(path.name)
    if weights_only:
        yield f"load it with model = {_constructor(stored, layers)}; model.load_weights({name})"
    else:
        yield f"load it with model = keras.models.load_model({name})"
    if stored.io.processing_order and stored.io.return_sequences and not spec.io.processing_order:
        yield "the layer goes backwards: Keras returns its steps last first; flip the time axis of its output"
    if spec.io.merge_mode is None and stored.layers[-1].output_size != stored.layers[-1].hidden_size:
        yield "the source kept the two directions apart; here they are concatenated, forward first"
    lost = [name for name in ("return_state", "stateful", "masking") if getattr(spec.io, name)]
    if lost:
        yield f"the source had {', '.join(lost)}; this model does not: set it in your own code"
    used = {d.gate_activation.name for _, _, d in stored.directions()}
    used |= {d.candidate_activation.name for _, _, d in stored.directions()}
    if legacy and "hard_sigmoid" in used:
        yield "hard_sigmoid is Keras 3's, x/6 + 0.5; Keras 2 would compute 0.2x + 0.5: load it with Keras 3"


def _constructor(spec: GRUSpec, layers: tuple[LayerPlan, ...]) -> str:
    """Return the expression that makes the model of `layers`."""
    made = [f"keras.Input((None, {spec.input_size}), dtype={spec.dtype.name!r})"]
    for layer in layers:
        config = layer.entry["config"]
        if "layer" in config:
            forward, backward = (config[half]["config"] for half in ("layer", "backward_layer"))
            arguments = [_gru_call(forward)]
            if _gru_call(backward) != _gru_call({**forward, "go_backwards": True}):
                arguments.append(f"backward_layer={_gru_call(backward)}")
            if config["merge_mode"] != "concat":
                arguments.append(f"merge_mode={config['merge_mode']!r}")
            made.append(f"keras.layers.Bidirectional({', '.join(arguments)})")
        else:
            made.append(_gru_call(config))
    return f"keras.Sequential([{', '.join(made)}])"


def _gru_call(config: dict[str, Any]) -> str:
    """Return the call of keras.layers.GRU that makes a layer, with what differs from its defaults."""
    defaults = {
        "return_sequences": False,
        "go_backwards": False,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "use_bias": True,
        "reset_after": True,
        "recurrent_initializer": "orthogonal",
        "dtype": "float32",
    }
    given = [f"{key}={config[key]!r}" for key, value in defaults.items() if config.get(key, value) != value]
    return f"keras.layers.GRU({', '.join([str(config['units']), *given])})"
