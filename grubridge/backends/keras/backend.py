"""Keras, on TensorFlow or, where that is not installed, on PyTorch or JAX: .keras and HDF5 files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from grubridge.backends.base import Artifact, initial_state, installed, layer_output
from grubridge.errors import CannotRunError
from grubridge.files.text import printable
from grubridge.spec import Array, Direction, Gates
from grubridge.traces import DirectionTrace, Place, Probe, Trace, previous_state, valid_steps

__all__ = ["NAME", "devices", "run", "run_layers", "version"]

NAME = "keras"

_ENGINES: dict[str, tuple[str, ...]] = {
    "tensorflow": ("tensorflow-cpu", "tensorflow-macos"),
    "torch": (),
    "jax": (),
}
"""What Keras can run on, in order of preference, and other distributions that bring it."""


def version() -> str:
    """Return Keras and its version, and what it runs on."""
    return _version("keras")


def devices() -> tuple[str, ...]:
    """Return "cpu", and "cuda" where what Keras runs on can use it."""
    return ("cpu", "cuda") if _start_engine() else ("cpu",)


def run(artifact: Artifact, probe: Probe, device: str) -> Trace:
    """Open the model with Keras, or rebuild its GRU layers from the file's arrays; see `Backend.run`."""
    _start_engine()
    import keras

    # where there is a GPU, Keras takes it unasked
    with keras.device("cpu") if device == "cpu" else nullcontext():
        opened = _open(artifact)
        dtype = opened.layers[0][0].compute_dtype
        if dtype == "float64" and _engine() == "jax":
            reason = "Keras on JAX computes float64 as float32"
            raise CannotRunError(f"{reason}; install tensorflow, on which it does not", reason)
        places = run_layers(opened.layers, probe)
    return Trace(NAME, _version(opened.package), device, dtype, opened.native, places, notes=opened.notes)


def run_layers(layers: Sequence[Sequence[Any]], probe: Probe) -> dict[Place, DirectionTrace]:
    """Run layers that feed each other.

    Args:
        layers: of each layer, a GRU or RNN per direction that returns every step and its state.
        probe: the inputs.
    """
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    places: dict[Place, DirectionTrace] = {}
    x = probe.x
    for k, layer in enumerate(layers):
        made = {(k, _direction(half)): _run_direction(half, k, x, probe) for half in layer}
        places.update(made)
        x = layer_output([trace.hidden for trace in made.values()], valid)
    return places


def _engine() -> str:
    chosen = os.environ.get("KERAS_BACKEND")
    return chosen or next((name for name in _ENGINES if find_spec(name) is not None), "tensorflow")


def _version(package: str) -> str:
    engine = _engine()
    return f"{installed(package)} ({installed(engine, *_ENGINES.get(engine, ()))})"


def _start_engine() -> bool:
    """Import what Keras is to run on, switch TF32 off, and return whether it can use CUDA."""
    os.environ["KERAS_BACKEND"] = engine = _engine()
    if engine == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
        return bool(tf.config.list_physical_devices("GPU"))
    if engine == "torch":
        import torch

        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        return torch.cuda.is_available()
    jax: Any = import_module("jax")
    jax.config.update("jax_default_matmul_precision", "highest")
    return any(device.platform == "gpu" for device in jax.devices())


@dataclass(frozen=True)
class _Opened:
    """The layers of a stack, each a GRU or RNN per direction that returns every step and its state.

    Args:
        layers: the layers, forward before backward.
        package: "keras" or "tf_keras": whose layers they are.
        native: whether that package opened the file itself.
        notes: what a reader should know.
    """

    layers: list[list[Any]]
    package: str
    native: bool
    notes: tuple[str, ...] = ()


def _open(artifact: Artifact) -> _Opened:
    from .native import open_natively, packages_to_try, reason_against
    from .rebuild import rebuild

    against = reason_against(artifact, _engine())
    reasons = [against] if against else []
    for package in [] if against else packages_to_try(artifact, _engine()):
        try:
            return _Opened(open_natively(artifact, import_module(package)), package, native=True)
        except Exception as error:  # noqa: BLE001, PERF203 - Keras fails on files it cannot open in many ways
            words = printable(next(iter(str(error).splitlines()), ""))
            reasons.append(f"{installed(package)} does not open the file ({type(error).__name__}: {words})")
    note = f"the layer was rebuilt in Keras 3 from the arrays in the file: {'; '.join(reasons)}"
    return _Opened(rebuild(artifact), "keras", native=False, notes=(note,))


def _direction(layer: Any) -> Direction:  # noqa: ANN401 - untyped library
    return "backward" if layer.go_backwards else "forward"


def _run_direction(layer: Any, k: int, x: Array, probe: Probe) -> DirectionTrace:  # noqa: ANN401 - untyped
    """Run one direction of layer `k` on x, [B, T, I]."""
    from keras import ops

    way, cell = _direction(layer), layer.cell
    start = initial_state(probe, (k, way), cell.units)
    mask = None if probe.lengths is None else valid_steps(probe.batch, probe.steps, probe.lengths)
    inputs, state = (ops.convert_to_tensor(array, layer.compute_dtype) for array in (x, start))
    steps = layer(
        inputs,
        initial_state=[state],
        mask=None if mask is None else ops.convert_to_tensor(mask),
        training=False,
    )[0]
    hidden = _array(ops.flip(steps, 1) if way == "backward" else steps)  # Keras returns the last step first
    start = _array(state)
    previous = previous_state(way, hidden, start, probe.lengths)
    gates = _gates(cell, inputs, ops.convert_to_tensor(previous, layer.compute_dtype))
    return DirectionTrace(_array(inputs), start, hidden, gates, "replayed")


def _gates(cell: Any, x: Any, previous: Any) -> Gates[Array]:  # noqa: ANN401 - untyped library
    """Compute the gates with Keras's operators, all steps in one batch.

    Args:
        cell: a GRUCell of Keras 2 or 3.
        x: [B, T, I].
        previous: h_{t-1} of every step, [B, T, H].
    """
    from keras import ops

    def variable(stored: Any) -> Any:  # noqa: ANN401 - untyped library
        return ops.cast(ops.convert_to_tensor(stored), x.dtype)

    size = cell.units
    zr, n = slice(0, 2 * size), slice(2 * size, 3 * size)
    recurrent = variable(cell.recurrent_kernel)
    input_bias, recurrent_bias = ops.zeros((3 * size,), x.dtype), ops.zeros((3 * size,), x.dtype)
    if cell.bias is not None and cell.reset_after:
        biases = variable(cell.bias)
        input_bias, recurrent_bias = biases[0], biases[1]
    elif cell.bias is not None:
        input_bias = variable(cell.bias)
    projected = ops.matmul(x, variable(cell.kernel)) + input_bias
    gates = ops.matmul(previous, recurrent[:, zr]) + recurrent_bias[zr]
    update, reset = ops.split(cell.recurrent_activation(projected[..., zr] + gates), 2, axis=-1)
    if cell.reset_after:
        inner = reset * (ops.matmul(previous, recurrent[:, n]) + recurrent_bias[n])
    else:
        inner = ops.matmul(reset * previous, recurrent[:, n])
    candidate = cell.activation(projected[..., n] + inner)
    return Gates(_array(update), _array(reset), _array(candidate))


def _array(tensor: Any) -> Array:  # noqa: ANN401 - untyped library
    """Return the tensor as numpy has it: bfloat16 as float32."""
    from keras import ops

    array: Array = ops.convert_to_numpy(tensor)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
