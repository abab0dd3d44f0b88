"""Keras layers rebuilt from the arrays of a file that Keras itself does not open.

Sources of the layouts: keras/src/layers/rnn/gru.py; preprocess_weights_for_loading in tf_keras's
hdf5_format.py for the nine arrays of Keras 1 and for CuDNNGRU.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from grubridge.backends.base import Artifact
from grubridge.errors import CannotRunError
from grubridge.files.text import quoted
from grubridge.spec import Array, numpy_dtype

from .half import Half

__all__ = ["cell_config", "keras_major", "read_arrays", "rebuild"]

Config = Mapping[str, Any]

_KERAS_2_SLOPE = 0.2


def keras_major(address: Config) -> int:
    """Return the major version of the Keras that wrote a file; its kind implies it if nothing says it."""
    said = re.search(r"keras (\d+)", address["framework"])
    if said is not None:
        return int(said[1])
    return 3 if address["kind"].startswith("keras3") else 2


def cell_config(layer: Config, direction: str) -> tuple[str, Config]:
    """Return the class name and the configuration of the cell of one layer of an address in a direction."""
    entry: Config = {"class_name": layer["class_name"], "config": layer["config"]}
    if entry["class_name"] == "Bidirectional":
        backward = entry["config"].get("backward_layer") if direction == "backward" else None
        entry = backward or entry["config"]["layer"]
    if entry["class_name"] == "RNN":
        entry = entry["config"]["cell"]
        if entry["class_name"] == "StackedRNNCells":
            entry = entry["config"]["cells"][layer["cell"]]
    return entry["class_name"], entry["config"]


def rebuild(artifact: Artifact) -> list[list[Half]]:
    """Return, for every layer of the stack, a Keras 3 GRU per direction.

    Raises:
        CannotRunError: when an activation is none that Keras 3 has.
    """
    address = artifact.address
    datasets = {name for layer in address["layers"] for names in layer["datasets"].values() for name in names}
    arrays = read_arrays(artifact, datasets)
    return [
        [
            _gru(
                cell_config(layer, direction)[1],
                _weights([arrays[name] for name in names]),
                direction,
                keras_major(address),
            )
            for direction, names in layer["datasets"].items()
            if names
        ]
        for layer in address["layers"]
    ]


def read_arrays(artifact: Artifact, names: set[str]) -> dict[str, Array]:
    """Return the arrays at these paths of the HDF5 file."""
    import h5py

    container = artifact.address["container"]
    if container:
        with zipfile.ZipFile(artifact.path) as archive:
            source: Any = BytesIO(archive.read(container))
    else:
        source = artifact.path
    with h5py.File(source, "r") as file:
        return {name: _array(file[name]) for name in names}


def _array(dataset: Any) -> Array:  # noqa: ANN401 - h5py has no types
    array: Array = dataset[()]
    if array.dtype == np.dtype("V2"):  # bfloat16: HDF5 has no name for it, so Keras stores its bytes
        return array.view(numpy_dtype("bfloat16"))
    return array


def _weights(stored: Sequence[Array]) -> list[Array]:
    """Return kernel [I, 3H], recurrent_kernel [H, 3H] and the bias, if any, as Keras 2 and 3 have them."""
    if len(stored) == 9:  # W, U, b of each gate in turn
        return [np.concatenate(stored[part::3], axis=-1) for part in range(3)]
    kernel, recurrent, *biases = stored
    size = recurrent.shape[0]
    if not biases or biases[0].shape != (6 * size,):
        return list(stored)
    # CuDNNGRU: a gate's block of the kernel is the memory of an [H, I] matrix, a recurrent one is transposed
    kernels = [block.reshape(size, -1).T for block in np.split(kernel, 3, axis=1)]
    recurrents = [block.T for block in np.split(recurrent, 3, axis=1)]
    return [np.concatenate(kernels, 1), np.concatenate(recurrents, 1), biases[0].reshape(2, 3 * size)]


def _gru(config: Config, weights: list[Array], direction: str, major: int) -> Half:
    from keras import layers

    kernel, recurrent, *biases = weights
    gate = config.get("recurrent_activation", config.get("inner_activation", "sigmoid"))
    settings = {
        "activation": _function(config.get("activation", "tanh"), major),
        "recurrent_activation": _function(gate, major),
        "use_bias": bool(biases),
        # the bias shows it: files of Keras 2.1.4 and before do not say it, and mean False
        "reset_after": biases[0].ndim == 2 if biases else config.get("reset_after", False),
        "go_backwards": direction == "backward",
        "return_sequences": True,
        "return_state": True,
        # the weights follow, and the default for the recurrent kernel is slow and of few dtypes
        "kernel_initializer": "zeros",
        "recurrent_initializer": "zeros",
        "dtype": _policy(config.get("dtype"), kernel),
    }

    def sized(units: int, inputs: int) -> Any:  # noqa: ANN401 - untyped library
        made = layers.GRU(units, **settings)
        made.build((None, None, inputs))
        return made

    gru = sized(recurrent.shape[0], kernel.shape[0])
    gru.set_weights(weights)
    return Half(gru, gru.cell, sized)


def _policy(stored: object, kernel: Array) -> str:
    """Return the name of the dtype policy that a configuration stores; without one, the arrays' dtype."""
    if isinstance(stored, Mapping):
        stored = stored["config"]["name"]
    return kernel.dtype.name if stored is None else str(stored)


def _function(stored: Any, major: int) -> Callable[[Any], Any]:  # noqa: ANN401 - parsed JSON
    """Return an activation as the Keras of version `major` meant it."""
    from keras import activations, ops

    kind, config = (stored["class_name"], stored["config"]) if isinstance(stored, Mapping) else (None, {})
    if kind == "LeakyReLU":
        slope = config.get("negative_slope", config.get("alpha", 0.3))
        return lambda a: activations.leaky_relu(a, slope)
    if kind == "ELU":
        return lambda a: activations.elu(a, config.get("alpha", 1.0))
    if kind == "ReLU":
        slope = config.get("negative_slope", 0.0)
        return lambda a: activations.relu(a, slope, config.get("max_value"), config.get("threshold", 0.0))
    name = stored if kind is None else config if kind == "function" else kind
    if kind == "Activation":
        name = config["activation"]
    if name == "hard_sigmoid" and major < 3:
        return lambda a: ops.clip(_KERAS_2_SLOPE * a + 0.5, 0, 1)
    try:
        function: Callable[[Any], Any] = activations.get(name)
    except (TypeError, ValueError):
        raise CannotRunError(
            f"Keras 3 has no activation {quoted(name)}", reason="unknown activation"
        ) from None
    return function
