"""The gates of an ONNX GRU node: observed in the node's own kernel, or replayed by ordinary operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from grubridge.backends.taps import Tap
from grubridge.spec import CANDIDATE, RESET, UPDATE, Activation, Array, Gates, GRUDirection, fuse, split

from .cell import OUTPUTS, Function, gates_model, weights_feed
from .node import GRUNode
from .session import Processor, open_session

__all__ = ["replayed", "tap_into"]

_ORDER = (UPDATE, RESET, CANDIDATE)
_NAMES = {
    "hardsigmoid": "hard_sigmoid",
    "leakyrelu": "leaky_relu",
    "scaledtanh": "scaled_tanh",
    "thresholdedrelu": "thresholded_relu",
}
"""Functions that ONNX spells in another way than a spec."""


def tap_into(node: GRUNode, direction: int, on: Processor) -> Tap:
    """Return a way into the kernel of one direction of a node.

    Args:
        node: the node.
        direction: index of the direction in the node's arrays.
        on: where to run.
    """
    arrays = {name: node.constants[name][direction] for name in ("W", "R", "B") if name in node.constants}
    biases = np.split(arrays["B"], 2) if "B" in arrays else []
    input_bias, recurrent_bias = (*(split(bias, _ORDER, 0) for bias in biases), None, None)[:2]
    gate, candidate = (_activation(function) for function in node.functions(direction))
    loaded = GRUDirection(
        split(arrays["W"], _ORDER, 0),
        split(arrays["R"], _ORDER, 0),
        input_bias,
        recurrent_bias,
        None,
        gate,
        candidate,
    )
    return Tap(loaded, node.attributes.get("clip"), lambda wider: _stepper(node, direction, wider, on))


def _activation(function: Function) -> Activation:
    return Activation(_NAMES.get(function.name, function.name), function.alpha, function.beta)


def _stepper(
    node: GRUNode, index: int, direction: GRUDirection, on: Processor
) -> Callable[[Array, Array], Array]:
    """Return one step of a node with the attributes of one direction of `node` and other arrays."""
    functions = node.functions(index)
    own = {
        "direction": "forward",
        "hidden_size": direction.hidden_size,
        "activations": [function.name for function in functions],
        "activation_alpha": [function.alpha for function in functions if function.alpha is not None],
        "activation_beta": [function.beta for function in functions if function.beta is not None],
    }
    attributes = {name: value for name, value in {**node.attributes, **own}.items() if value != []}
    constants = {
        "W": fuse(direction.input_weight, _ORDER, 0).to_array()[None],
        "R": fuse(direction.recurrent_weight, _ORDER, 0).to_array()[None],
    }
    biases = [bias for bias in (direction.input_bias, direction.recurrent_bias) if bias is not None]
    if biases:
        fused = [fuse(bias, _ORDER, 0).to_array() for bias in biases]  # type: ignore[arg-type]
        constants["B"] = np.concatenate(fused)[None]
    session = replace(node, attributes=attributes, constants=constants).open(on, ["X", "initial_h"])

    def step(x: Array, h: Array) -> Array:
        (y,) = session.run(["Y"], {"X": x[None], "initial_h": h[None]})
        following: Array = y[0, 0]
        return following

    return step


def replayed(node: GRUNode, direction: int, x: Array, previous: Array, on: Processor) -> Gates[Array]:
    """Compute the gates with ordinary operators, all steps in one batch.

    Args:
        node: the node.
        direction: index of the direction in the node's arrays.
        x: [B, T, I].
        previous: h_{t-1} of every step, [B, T, H].
        on: where to run.

    Returns:
        Each gate [B, T, H]. ONNX Runtime computes a float16 GRU in float32, and so does this.
    """
    constants = node.constants
    reset_after = bool(node.attributes.get("linear_before_reset", 0))
    model = gates_model(*node.functions(direction), clip=node.attributes.get("clip"), reset_after=reset_after)
    biases = constants["B"][direction] if "B" in constants else None
    feed = weights_feed(constants["W"][direction], constants["R"][direction], biases)
    feed["x"], feed["h"] = _rows(x), _rows(previous)
    made = open_session(model, on).run(list(OUTPUTS), feed)
    return Gates(*(gate.reshape(previous.shape).astype(x.dtype) for gate in made))


def _rows(steps: Array) -> Array:
    """Return [B, T, K] as [B*T, K], float32."""
    return steps.reshape(-1, steps.shape[2]).astype(np.float32)
