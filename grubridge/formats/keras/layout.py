"""One GRU cell's arrays as Keras lays them out, into a direction of a spec.

Three layouts, gates always in the order update, reset, candidate (z, r, h in Keras's words):
- GRU, GRUCell: kernel [I, 3H], recurrent_kernel [H, 3H], bias [2, 3H] (input, recurrent; reset after the
  product), [3H] (before it) or none.
- CuDNNGRU: the same shapes and a bias [6H], but each gate's block of the kernel holds the memory of a
  [H, I] matrix, and each block of the recurrent kernel is [H out, H in]; the reset comes after the product.
- Keras 1: nine arrays, W [I, H], U [H, H], b [H] of each gate in turn; the reset comes before the product.

Sources: keras/src/layers/rnn/gru.py, and preprocess_weights_for_loading in tf_keras's hdf5_format.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from grubridge.errors import CorruptFileError
from grubridge.files.text import printable
from grubridge.spec import (
    CANDIDATE,
    RESET,
    SIGMOID,
    TANH,
    UPDATE,
    Activation,
    Array,
    Gates,
    GRUDirection,
    Layout,
    split,
)

from .activations import activation
from .config import CellConfig, flag

__all__ = [
    "GATE_ORDER",
    "KERAS_1_ARRAYS",
    "LAYOUT",
    "CellForm",
    "CellSettings",
    "cell_form",
    "cell_settings",
    "read_cell",
    "resets_after",
]

GATE_ORDER = (UPDATE, RESET, CANDIDATE)
LAYOUT = Layout(GATE_ORDER, rows="input")
_CUDNN_LAYOUT = Layout(GATE_ORDER, rows="output")

KERAS_1_ARRAYS = 9

Shape = tuple[int, ...]


@dataclass(frozen=True)
class CellSettings:
    """What a configuration says about a cell; None where it says nothing."""

    units: int
    use_bias: bool | None
    reset_after: bool
    gate_activation: Activation
    candidate_activation: Activation


@dataclass(frozen=True)
class CellForm:
    """What the shapes of a cell's arrays say.

    Args:
        kind: which of the three layouts.
        input_size: I.
        hidden_size: H.
        reset_after: as the bias shows it; None without a bias.
    """

    kind: Literal["fused", "cudnn", "nine"]
    input_size: int
    hidden_size: int
    reset_after: bool | None

    @property
    def layout(self) -> Layout:
        """How the weights lie, for the records of a conversion."""
        return _CUDNN_LAYOUT if self.kind == "cudnn" else LAYOUT


def cell_settings(cell: CellConfig, keras_major: int, where: str) -> CellSettings:
    """Return what a cell's configuration says.

    Args:
        cell: the cell.
        keras_major: the major version of the Keras that wrote it; it decides what hard_sigmoid means.
        where: the file and the layer, for messages.

    Raises:
        CorruptFileError: when a value is missing or of the wrong kind.
        UnsupportedFeatureError: when an activation is none that a spec can hold.
    """
    config = cell.config
    units = config.get("units", config.get("output_dim"))
    if type(units) is not int or units < 1:
        raise CorruptFileError(
            f"{where}: units must be a positive integer; received {printable(repr(units))}"
        )
    if cell.class_name == "CuDNNGRU":
        return CellSettings(units, None, reset_after=True, gate_activation=SIGMOID, candidate_activation=TANH)
    gate_key = "inner_activation" if "inner_activation" in config else "recurrent_activation"
    activations = []
    for key in (gate_key, "activation"):
        if key not in config:
            raise CorruptFileError(f"{where}: the configuration has no {key}; the file is damaged")
        activations.append(activation(config[key], keras_major, f"{where}: {key}"))
    use_bias = flag(config, "use_bias", where) if "use_bias" in config else None
    return CellSettings(units, use_bias, flag(config, "reset_after", where), *activations)


def cell_form(shapes: Sequence[Shape], where: str) -> CellForm:
    """Return what the shapes of a cell's arrays, in the order in which Keras stores them, say.

    Raises:
        CorruptFileError: when they are not a GRU's.
    """
    if len(shapes) == KERAS_1_ARRAYS:
        return _nine_form(shapes, where)
    if len(shapes) not in (2, 3):
        raise CorruptFileError(
            f"{where}: a GRU has kernel, recurrent_kernel and perhaps bias; received {len(shapes)} arrays"
        )
    kernel, recurrent = shapes[:2]
    hidden_size = recurrent[0] if recurrent else 0
    wide = 3 * hidden_size
    if len(recurrent) != 2 or not hidden_size or recurrent[1] != wide:
        hint = ""
        if len(recurrent) == 2 and hidden_size and recurrent[1] in (hidden_size, 4 * hidden_size):
            kind = "an LSTM" if recurrent[1] > wide else "a SimpleRNN"
            hint = f"; {recurrent[1]} = {recurrent[1] // hidden_size} x {hidden_size} looks like {kind}"
        raise CorruptFileError(f"{where}: recurrent_kernel must be [H, 3H]; received {list(recurrent)}{hint}")
    if len(kernel) != 2 or not kernel[0] or kernel[1] != wide:
        raise CorruptFileError(f"{where}: kernel must be [I, {wide}]; received {list(kernel)}")
    if len(shapes) == 2:
        return CellForm("fused", kernel[0], hidden_size, None)
    bias = shapes[2]
    if bias == (2 * wide,):
        return CellForm("cudnn", kernel[0], hidden_size, reset_after=True)
    if bias not in ((wide,), (2, wide)):
        raise CorruptFileError(
            f"{where}: bias must be [{wide}] or [2, {wide}] (or [{2 * wide}] of a CuDNNGRU); "
            f"received {list(bias)}"
        )
    return CellForm("fused", kernel[0], hidden_size, reset_after=len(bias) == 2)


def _nine_form(shapes: Sequence[Shape], where: str) -> CellForm:
    kernel = shapes[0]
    if len(kernel) != 2 or 0 in kernel:
        raise CorruptFileError(f"{where}: W must be [I, H]; received {list(kernel)}")
    input_size, hidden_size = kernel
    expected = ((input_size, hidden_size), (hidden_size, hidden_size), (hidden_size,)) * 3
    if tuple(shapes) != expected:
        raise CorruptFileError(
            f"{where}: the nine arrays of Keras 1 must be {[list(shape) for shape in expected[:3]]} three "
            f"times; received {[list(shape) for shape in shapes]}"
        )
    return CellForm("nine", input_size, hidden_size, reset_after=False)


def resets_after(form: CellForm, settings: CellSettings, where: str) -> bool:
    """Return whether the reset comes after the recurrent product, and check form against settings.

    Raises:
        CorruptFileError: when the shapes contradict the configuration.
    """
    if settings.units != form.hidden_size:
        raise CorruptFileError(
            f"{where}: the configuration says {settings.units} units, but recurrent_kernel has "
            f"{form.hidden_size}; configuration and weights are of two different models"
        )
    biased = form.reset_after is not None
    if settings.use_bias is not None and settings.use_bias != biased:
        raise CorruptFileError(
            f"{where}: the configuration says use_bias={settings.use_bias}, but there is "
            f"{'a' if biased else 'no'} bias; configuration and weights are of two different models"
        )
    if form.reset_after not in (None, settings.reset_after):
        raise CorruptFileError(
            f"{where}: the configuration says reset_after={settings.reset_after}, but the bias has the shape "
            f"of reset_after={form.reset_after}; configuration and weights are of two different models"
        )
    return settings.reset_after


def read_cell(arrays: Sequence[Array], form: CellForm, settings: CellSettings) -> GRUDirection:
    """Return the direction that a cell's arrays, of the shapes in `form`, hold; views where possible."""
    biases: list[Gates[Array]]
    if form.kind == "nine":
        inputs, recurrents, bias = (Gates(*arrays[start::3]) for start in range(3))
        biases = [bias]
    else:
        inputs, recurrents = (split(array, GATE_ORDER, axis=1) for array in arrays[:2])
        rows = arrays[2].reshape(-1, 3 * form.hidden_size) if len(arrays) == 3 else ()
        biases = [split(row, GATE_ORDER, axis=0) for row in rows]
    if form.kind == "cudnn":
        memory_hi = (form.hidden_size, form.input_size)
        inputs = inputs.map(lambda gate: np.ascontiguousarray(gate).reshape(memory_hi))
    else:
        inputs, recurrents = (weight.map(lambda gate: gate.T) for weight in (inputs, recurrents))
    return GRUDirection(
        inputs,
        recurrents,
        biases[0] if biases else None,
        biases[1] if len(biases) == 2 else None,
        gate_activation=settings.gate_activation,
        candidate_activation=settings.candidate_activation,
    )
