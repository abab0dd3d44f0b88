"""GRU layers of a model that Keras opens itself: Keras 3, or Keras 2 (package tf_keras) for its own files."""

from __future__ import annotations

import copy
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from grubridge.backends.base import Artifact

from .half import Half
from .rebuild import cell_config, keras_major
from .safety import reason_against_loading

__all__ = ["by_direction", "find_layer", "open_natively", "packages_to_try", "reason_against"]


def packages_to_try(artifact: Artifact, engine: str) -> list[str]:
    """Return "keras" (3) and "tf_keras" (2, on TensorFlow alone) in the order in which to try them.

    The file's own Keras comes first. Keras 3 is no choice for a hard_sigmoid of Keras 2, which it would load
    as another function.
    """
    if keras_major(artifact.address) >= 3:
        return ["keras"]
    packages = ["tf_keras"] if engine == "tensorflow" and find_spec("tf_keras") is not None else []
    return packages if _has_hard_sigmoid(artifact) else [*packages, "keras"]


def reason_against(artifact: Artifact, engine: str) -> str | None:
    """Return why the file is not given to any Keras to open, None when nothing speaks against it."""
    if artifact.address["kind"].endswith("-weights"):
        return "the file holds weights without a model"
    for class_name, config in _cells(artifact):
        if class_name == "CuDNNGRU":
            return "a CuDNNGRU needs a GPU"
        if "reset_after" not in config:
            return "the file is older than reset_after, whose default has changed since"
    if not packages_to_try(artifact, engine):
        return "its hard_sigmoid is that of Keras 2, which needs tensorflow and tf_keras to run"
    return reason_against_loading(artifact)


def _has_hard_sigmoid(artifact: Artifact) -> bool:
    kinds = ("activation", "recurrent_activation")
    return any(config.get(kind) == "hard_sigmoid" for _, config in _cells(artifact) for kind in kinds)


def open_natively(artifact: Artifact, package: Any) -> list[list[Half]]:  # noqa: ANN401 - a module
    """Return, for every layer of the stack, its directions.

    Args:
        artifact: the stack.
        package: the module keras or tf_keras.
    """
    is_zip = zipfile.is_zipfile(artifact.path)
    with _named(Path(artifact.path), (".keras",) if is_zip else (".h5", ".hdf5")) as path:
        model = package.models.load_model(str(path), compile=False, safe_mode=True)
    return [
        by_direction(find_layer(model, layer["path"]), layer["cell"]) for layer in artifact.address["layers"]
    ]


def by_direction(layer: Any, cell: int | None = None) -> list[Half]:  # noqa: ANN401 - untyped library
    """Return copies of a layer's halves, or of the layer itself, that return every step and their state.

    Args:
        layer: a GRU, an RNN or a Bidirectional of them.
        cell: which of the cells of an RNN of StackedRNNCells is meant.
    """
    return [_stepwise(half, cell) for half in _halves(layer)]


def _cells(artifact: Artifact) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for layer in artifact.address["layers"]:
        yield from (cell_config(layer, direction) for direction, names in layer["datasets"].items() if names)


@contextmanager
def _named(path: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Yield a path to the file that ends as Keras wants it."""
    if path.suffix in suffixes:
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / f"model{suffixes[0]}"
        link.symlink_to(path)
        yield link


def find_layer(model: Any, path: Sequence[str]) -> Any:  # noqa: ANN401 - untyped library
    """Return the layer that is reached by these names, one for each level of nested models."""
    found = model
    for name in path:
        found = found.layer if type(found).__name__ == "TimeDistributed" else found.get_layer(name)
    return found


def _halves(layer: Any) -> list[Any]:  # noqa: ANN401 - untyped library
    if type(layer).__name__ == "Bidirectional":
        return [layer.forward_layer, layer.backward_layer]
    return [layer]


def _zero_initializers(config: Any) -> Any:  # noqa: ANN401 - JSON values
    """Return a configuration without Keras's initializers: slow for large layers, and of few dtypes."""
    if not isinstance(config, dict):
        return config
    return {
        key: "zeros" if key.endswith("_initializer") else _zero_initializers(value)
        for key, value in config.items()
    }


def _stepwise(layer: Any, cell: int | None) -> Half:  # noqa: ANN401 - untyped library
    """Return a layer made of the given one's own configuration and weights that returns every step.

    Args:
        layer: a GRU or RNN layer.
        cell: which of the cells of an RNN of StackedRNNCells is meant.
    """
    config = {**layer.get_config(), "return_sequences": True, "return_state": True, "stateful": False}
    for unwanted in ("batch_input_shape", "time_major"):
        config.pop(unwanted, None)
    weights = layer.get_weights()
    if cell is not None:
        config["cell"] = config["cell"]["config"]["cells"][cell]
        weights = layer.cell.cells[cell].get_weights()
    if "cell" in config:
        config["cell"].pop("build_config", None)  # it would build the cell for the inputs that it had
    config = _zero_initializers(config)

    def sized(units: int, inputs: int) -> Any:  # noqa: ANN401 - untyped library
        own = copy.deepcopy(config)
        (own["cell"]["config"] if "cell" in own else own)["units"] = units
        made = type(layer).from_config(own)
        made.build((None, None, inputs))
        return made

    inputs, units = weights[0].shape[0], weights[1].shape[0]
    stepwise = sized(units, inputs)
    stepwise.set_weights(weights)
    return Half(stepwise, stepwise.cell, sized)
