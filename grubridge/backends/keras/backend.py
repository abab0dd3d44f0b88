"""Keras, on TensorFlow or, where that is not installed, on PyTorch or JAX: .keras and HDF5 files.

What a layout describes, in these files and in TensorFlow checkpoints, TensorFlow's own operators run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from grubridge.backends.base import (
    Artifact,
    cuda_devices,
    initial_state,
    installed,
    layer_output,
    precision,
)
from grubridge.backends.taps import Steps, direction_trace
from grubridge.errors import CannotRunError
from grubridge.files.text import printable
from grubridge.spec import Array, Gates
from grubridge.traces import DirectionTrace, Place, Probe, Trace, valid_steps

from .described import run_by_layout
from .engine import engine, engine_version, start_engine
from .gates import array_of, replayed, tap_into
from .half import Half

__all__ = ["NAME", "devices", "run", "run_layers", "version"]

NAME = "keras"


def version() -> str:
    """Return Keras and its version, and what it runs on."""
    return _version("keras")


def devices() -> tuple[str, ...]:
    """Return "cpu" and the CUDA devices that what Keras runs on can use."""
    return ("cpu", *cuda_devices(start_engine(allow_tf32=False)))


def run(artifact: Artifact, probe: Probe, device: str, *, allow_tf32: bool = False) -> Trace:
    """Open the model with Keras, or rebuild its GRU layers from the file's arrays; see `Backend.run`."""
    if "layout" in artifact.address:
        return run_by_layout(artifact, probe, device, allow_tf32=allow_tf32)
    start_engine(allow_tf32=allow_tf32)
    import keras

    with keras.device(device.replace("cuda", "gpu")):  # else Keras takes a GPU unasked
        opened = _open(artifact)
        layer = opened.layers[0][0].layer
        dtype = layer.compute_dtype
        if dtype == "float64" and engine() == "jax":
            reason = "Keras on JAX computes float64 as float32"
            raise CannotRunError(f"{reason}; install tensorflow, on which it does not", reason)
        places, notes = run_layers(opened.layers, probe)
    return Trace(
        NAME,
        _version(opened.package),
        device,
        dtype,
        opened.native,
        places,
        notes=(*opened.notes, *notes),
        kernel=f"{opened.package} {type(layer).__name__} on {engine()}, called eagerly",
        precision=precision(dtype, device, allow_tf32=allow_tf32),
    )


def run_layers(
    layers: Sequence[Sequence[Half]], probe: Probe
) -> tuple[dict[Place, DirectionTrace], tuple[str, ...]]:
    """Run layers that feed each other.

    Args:
        layers: of each layer, its directions.
        probe: the inputs.

    Returns:
        The traces, and notes.
    """
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    places: dict[Place, DirectionTrace] = {}
    notes: dict[str, None] = {}
    x = probe.x
    for k, layer in enumerate(layers):
        outputs: list[Array] = []
        for half in layer:
            places[k, half.way], told = _run_direction(half, k, x, probe)
            notes.update(dict.fromkeys(told))
            outputs.append(places[k, half.way].hidden)
        x = layer_output(outputs, valid)
    return places, tuple(notes)


def _version(package: str) -> str:
    return f"{installed(package)} ({engine_version()})"


@dataclass(frozen=True)
class _Opened:
    """The layers of a stack.

    Args:
        layers: of each layer its directions, forward before backward.
        package: "keras" or "tf_keras": whose layers they are.
        native: whether that package opened the file itself.
        notes: what a reader should know.
    """

    layers: list[list[Half]]
    package: str
    native: bool
    notes: tuple[str, ...] = ()


def _open(artifact: Artifact) -> _Opened:
    from .native import open_natively, packages_to_try, reason_against
    from .rebuild import rebuild

    against = reason_against(artifact, engine())
    reasons = [against] if against else []
    for package in [] if against else packages_to_try(artifact, engine()):
        try:
            return _Opened(open_natively(artifact, import_module(package)), package, native=True)
        except Exception as error:  # noqa: BLE001, PERF203 - Keras fails on files it cannot open in many ways
            words = printable(next(iter(str(error).splitlines()), ""))
            reasons.append(f"{installed(package)} does not open the file ({type(error).__name__}: {words})")
    note = f"the layer was rebuilt in Keras 3 from the arrays in the file: {'; '.join(reasons)}"
    return _Opened(rebuild(artifact), "keras", native=False, notes=(note,))


def _run_direction(half: Half, k: int, x: Array, probe: Probe) -> tuple[DirectionTrace, tuple[str, ...]]:
    """Run one direction of layer `k` on x, [B, T, I]; return its trace and notes."""
    from keras import ops

    layer, way = half.layer, half.way
    start = initial_state(probe, (k, way), half.cell.units)
    mask = None if probe.lengths is None else valid_steps(probe.batch, probe.steps, probe.lengths)
    inputs, state = (ops.convert_to_tensor(array, layer.compute_dtype) for array in (x, start))
    returned = layer(
        inputs,
        initial_state=[state],
        mask=None if mask is None else ops.convert_to_tensor(mask),
        training=False,
    )[0]
    hidden = ops.flip(returned, 1) if way == "backward" else returned  # Keras returns the last step first
    steps = Steps(array_of(inputs), array_of(state), array_of(hidden), way, probe.lengths, probe.gates)

    def replay() -> Gates[Array]:
        return replayed(half.cell, inputs, ops.convert_to_tensor(steps.previous, layer.compute_dtype))

    return direction_trace(steps, tap_into(half), replay)
