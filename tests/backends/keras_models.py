"""Keras models of the zoo's specs, made with Keras itself, and their addresses."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from grubridge.backends.base import Artifact
from grubridge.backends.launch import Job, run_jobs
from grubridge.errors import GRUBridgeError
from grubridge.spec import CANDIDATE, RESET, UPDATE, Activation, Array, GRUDirection, GRULayer, GRUSpec, fuse
from grubridge.traces import Probe, Trace
from tests.backends.agreement import make_probe

__all__ = [
    "Case",
    "Models",
    "Runs",
    "address",
    "arguments",
    "arrays_of",
    "cell_arrays",
    "gru",
    "layer_at",
    "run_cases",
]

Case = tuple[GRUSpec, Probe, Path, dict[str, Any]]
Runs = Mapping[str, tuple[Trace | GRUBridgeError, GRUSpec, Probe]]

ZRH = (UPDATE, RESET, CANDIDATE)
_NAMES = {"affine": "linear", "hard_sigmoid": "hard_sigmoid"}


def cell_arrays(direction: GRUDirection, *, reset_after: bool) -> list[Array]:
    """Return kernel [I, 3H], recurrent_kernel [H, 3H] and, where there are any, bias [2, 3H] or [3H]."""
    arrays = [
        fuse(direction.input_weight.map(np.transpose), ZRH, 1).to_array(),
        fuse(direction.recurrent_weight.map(np.transpose), ZRH, 1).to_array(),
    ]
    biases = [
        fuse(gates, ZRH, 0).to_array()  # type: ignore[arg-type]
        for gates in (direction.input_bias, direction.recurrent_bias)
        if gates is not None
    ]
    if biases:
        arrays.append(np.stack(biases) if reset_after else biases[0])
    return arrays


def arguments(layer: GRULayer) -> dict[str, Any]:
    """Return the arguments of the Keras layer or cell that a layer of a spec is."""
    direction = next(layer.directions())[1]

    def name(activation: Activation) -> str:
        return _NAMES.get(activation.name, activation.name)

    return {
        "units": layer.hidden_size,
        "activation": name(direction.candidate_activation),
        "recurrent_activation": name(direction.gate_activation),
        "reset_after": layer.reset_after,
        "use_bias": direction.input_bias is not None,
        "dtype": direction.input_weight.update.dtype.name,
        "recurrent_initializer": "glorot_uniform",  # Keras's own default knows no bfloat16
    }


def gru(layers: ModuleType, layer: GRULayer, name: str, *, kind: str = "GRU", **changes: Any) -> Any:
    """Return an unbuilt Keras layer: a GRU or an RNN of a GRUCell, in a Bidirectional where there are two."""
    settings = arguments(layer)
    way = {"return_sequences": True, "go_backwards": layer.forward is None, **changes}
    if kind == "RNN":
        made = layers.RNN(layers.GRUCell(**settings), name=name, dtype=settings["dtype"], **way)
    else:
        made = layers.GRU(name=name, **{**settings, **way})
    if layer.forward is None or layer.backward is None:
        return made
    return layers.Bidirectional(made, name=name, dtype=settings["dtype"])


def arrays_of(layer: GRULayer) -> list[Array]:
    """Return what `set_weights` of the layer's Keras form takes."""
    cells = [cell_arrays(direction, reset_after=layer.reset_after) for _, direction in layer.directions()]
    return [array for cell in cells for array in cell]


def layer_at(
    path: Sequence[str],
    class_name: str,
    config: Mapping[str, Any],
    datasets: Mapping[str, Sequence[str]],
    cell: int | None = None,
) -> dict[str, Any]:
    """Return one entry of an address's layers."""
    return {
        "path": list(path),
        "class_name": class_name,
        "config": dict(config),
        "cell": cell,
        "datasets": {way: list(names) for way, names in datasets.items()},
    }


def address(kind: str, framework: str, *layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return an address."""
    container = "model.weights.h5" if kind == "keras3" else ""
    return {
        "kind": kind,
        "container": container,
        "framework": framework,
        "layers": [dict(one) for one in layers],
    }


class Models:
    """Makes model files with Keras 3 or Keras 2."""

    def __init__(self, keras: ModuleType, folder: Path) -> None:
        self.keras, self.folder = keras, folder
        self.cases: dict[str, Case] = {}

    def sequential(self, input_size: int, *layers: Any) -> Any:
        model = self.keras.Sequential([self.keras.Input((None, input_size)), *layers])
        model.build((None, None, input_size))
        return model

    def stored(self, layer: Any, path: Sequence[str], cell: int | None = None) -> dict[str, Any]:
        """Return a layer's entry in an address, with its configuration as Keras serialises it."""
        entry = self.keras.saving.serialize_keras_object(layer)
        name, config = entry["class_name"], entry["config"]
        ways = (
            ["forward", "backward"]
            if name == "Bidirectional"
            else ["backward" if layer.go_backwards else "forward"]
        )
        return layer_at(path, name, config, {way: ["not read"] for way in ways}, cell)

    def save(
        self, name: str, model: Any, spec: GRUSpec, *layers: dict[str, Any], probe: Probe | None = None
    ) -> None:
        """Add a case: `model` saved to a file called `name`, whose ending says in which format."""
        path = self.folder / name
        model.save(path)
        kind = "keras3" if path.suffix == ".keras" else "legacy"
        version = f"keras {self.keras.__version__}"
        self.cases[name] = spec, probe or make_probe(spec), path, address(kind, version, *layers)

    def add(self, name: str, spec: GRUSpec, *, probe: Probe | None = None, **changes: Any) -> None:
        """Add a case: a Sequential model of the spec's layers."""
        names = [f"layer_{k}" for k in range(len(spec.layers))]
        layers = [
            gru(self.keras.layers, layer, its_name, **changes)
            for layer, its_name in zip(spec.layers, names, strict=True)
        ]
        model = self.sequential(spec.input_size, *layers)
        for made, layer in zip(layers, spec.layers, strict=True):
            made.set_weights(arrays_of(layer))
        entries = [self.stored(made, [its_name]) for made, its_name in zip(layers, names, strict=True)]
        self.save(name, model, spec, *entries, probe=probe)

    def run(self) -> Runs:
        """Run every case in one process."""
        return run_cases(self.cases)


def run_cases(cases: Mapping[str, Case]) -> Runs:
    """Run every case in one process."""
    jobs = [
        Job("keras", Artifact(str(path), "keras", where), probe) for _, probe, path, where in cases.values()
    ]
    outcomes = zip(cases.items(), run_jobs(jobs), strict=True)
    return {name: (outcome, spec, probe) for (name, (spec, probe, _, _)), outcome in outcomes}
