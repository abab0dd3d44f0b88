"""The gates of a Keras GRU: observed in the layer's own kernel, or replayed by Keras's operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grubridge.backends.taps import Tap
from grubridge.reference.activations import evaluate
from grubridge.spec import CANDIDATE, RESET, UPDATE, Activation, Array, Gates, GRUDirection, fuse, split

from .half import Half

__all__ = ["array_of", "replayed", "tap_into"]

_ORDER = (UPDATE, RESET, CANDIDATE)

_FAR = 64.0
_ARGUMENTS = np.array([-_FAR, -4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, _FAR])
_TOLERANCE = 0.02  # bfloat16 rounds by 0.004; the slopes 0.2 and 1/6 are 0.03 apart at 1


def tap_into(half: Half) -> Tap | str:
    """Return a way into the kernel of one direction of a layer, or why there is none."""
    if half.sized is None:
        return f"the class {type(half.cell).__name__} is not Keras's own, so no wider cell of it can be made"
    cell, dtype = half.cell, half.layer.compute_dtype
    gate, candidate = _identified(cell.recurrent_activation, dtype), _identified(cell.activation, dtype)
    if gate is None or candidate is None:
        return "its activations are not among those that can be read from a state"
    kernel, recurrent, *biases = half.layer.get_weights()
    given = biases[0] if biases and biases[0].ndim == 2 else biases
    input_bias, recurrent_bias = (*(split(bias, _ORDER, 0) for bias in given), None, None)[:2]
    direction = GRUDirection(
        split(kernel, _ORDER, 1).map(np.transpose),
        split(recurrent, _ORDER, 1).map(np.transpose),
        input_bias,
        recurrent_bias,
        None,
        gate,
        candidate,
    )
    sized = half.sized
    return Tap(direction, None, lambda wider: _stepper(sized, wider))


def _stepper(sized: Callable[[int, int], Any], direction: GRUDirection) -> Callable[[Array, Array], Array]:
    """Return one step of a layer that `sized` makes, with the arrays of `direction`."""
    from keras import ops

    layer = sized(direction.hidden_size, direction.input_size)
    biases = [bias for bias in (direction.input_bias, direction.recurrent_bias) if bias is not None]
    fused = [fuse(bias, _ORDER, 0).to_array() for bias in biases]  # type: ignore[arg-type]
    weights = [
        fuse(gates.map(np.transpose), _ORDER, 1).to_array()
        for gates in (direction.input_weight, direction.recurrent_weight)
    ]
    layer.set_weights([*weights, *([np.stack(fused)] if len(fused) == 2 else fused)])

    def step(x: Array, h: Array) -> Array:
        inputs, state = (ops.convert_to_tensor(array, layer.compute_dtype) for array in (x[:, None], h))
        return array_of(layer(inputs, initial_state=[state], training=False)[0][:, 0])

    return step


def _identified(function: Callable[[Any], Any], dtype: str) -> Activation | None:
    """Return which activation a function of Keras is, told from its values; None when it is none of them."""
    from keras import ops

    values = array_of(function(ops.convert_to_tensor(_ARGUMENTS, dtype))).astype(np.float64)
    at = dict(zip(_ARGUMENTS, values, strict=True))
    known = (
        *map(Activation, ("sigmoid", "tanh", "relu", "softplus", "softsign")),
        *(Activation("hard_sigmoid", slope, 0.5) for slope in (0.2, 1 / 6)),
        Activation("affine", 1.0, 0.0),
        Activation("leaky_relu", float(-at[-1.0])),
        Activation("elu", float(-at[-_FAR])),
    )
    for activation in known:
        if np.allclose(evaluate(activation, _ARGUMENTS), values, rtol=_TOLERANCE, atol=_TOLERANCE / 2):
            return activation
    return None


def replayed(cell: Any, x: Any, previous: Any) -> Gates[Array]:  # noqa: ANN401 - untyped library
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
    return Gates(array_of(update), array_of(reset), array_of(candidate))


def array_of(tensor: Any) -> Array:  # noqa: ANN401 - untyped library
    """Return the tensor as numpy has it: bfloat16 as float32."""
    from keras import ops

    array: Array = ops.convert_to_numpy(tensor)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
