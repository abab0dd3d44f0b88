"""ONNX models of the zoo's specs, made with onnx's own helpers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from grubridge.spec import CANDIDATE, RESET, UPDATE, Activation, Array, GRULayer, GRUSpec, fuse, has_biases

__all__ = ["address", "constants_of", "gru_model", "gru_node", "model_of", "weights_of"]

ZRN = (UPDATE, RESET, CANDIDATE)
FUNCTIONS = {
    "affine": "Affine",
    "hard_sigmoid": "HardSigmoid",
    "relu": "Relu",
    "scaled_tanh": "ScaledTanh",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
}


def weights_of(layer: GRULayer, *, bias: bool) -> dict[str, Array]:
    """Return W [D, 3H, I], R [D, 3H, H] and B [D, 6H] of a layer."""
    directions = [direction for _, direction in layer.directions()]
    stacks = {
        "W": [fuse(d.input_weight, ZRN, 0).to_array() for d in directions],
        "R": [fuse(d.recurrent_weight, ZRN, 0).to_array() for d in directions],
    }
    if bias:
        zeros = np.zeros(layer.hidden_size, directions[0].input_weight.update.dtype)
        stacks["B"] = [
            np.concatenate(
                [
                    zeros if gates is None or gates[gate] is None else gates[gate]
                    for gates in (d.input_bias, d.recurrent_bias)
                    for gate in ZRN
                ]
            )
            for d in directions
        ]
    return {name: np.stack(arrays) for name, arrays in stacks.items()}


def gru_node(layer: GRULayer, number: int, inputs: Sequence[str], **changes: Any) -> NodeProto:
    """Return the node of a layer with the output y<number>; every parameter of an activation is written."""
    directions = [direction for _, direction in layer.directions()]
    ways = [way for way, _ in layer.directions()]
    used = [a for d in directions for a in (d.gate_activation, d.candidate_activation)]
    attributes: dict[str, Any] = {
        "hidden_size": layer.hidden_size,
        "linear_before_reset": int(layer.reset_after),
        "direction": {"forward": "forward", "backward": "reverse"}[ways[0]]
        if len(ways) == 1
        else "bidirectional",
    }
    if used != [Activation("sigmoid"), Activation("tanh")] * len(directions):
        attributes["activations"] = [FUNCTIONS[a.name] for a in used]
        attributes["activation_alpha"] = [a.alpha for a in used if a.alpha is not None]
        attributes["activation_beta"] = [a.beta for a in used if a.beta is not None]
    if layer.clip is not None:
        attributes["clip"] = layer.clip
    attributes = {
        key: value for key, value in {**attributes, **changes}.items() if value is not None and value != []
    }
    return helper.make_node("GRU", list(inputs), [f"y{number}"], name=f"gru_{number}", **attributes)


def constants_of(layer: GRULayer, number: int, *, bias: bool) -> list[TensorProto]:
    """Return a layer's weights, and the initial state that it may carry, as initializers W0, R0, B0, h0."""
    tensors = weights_of(layer, bias=bias)
    states = [direction.initial_state for _, direction in layer.directions()]
    if states[0] is not None:
        tensors["h"] = np.stack([state for state in states if state is not None])[:, None]
    return [numpy_helper.from_array(array, f"{name}{number}") for name, array in tensors.items()]


def gru_model(spec: GRUSpec, **changes: Any) -> ModelProto:
    """Return a model with one GRU node per layer, each with an input x<number> of its own."""
    nodes: list[NodeProto] = []
    initializers: list[TensorProto] = []
    for k, layer in enumerate(spec.layers):
        own = constants_of(layer, k, bias=has_biases(spec))
        names = [tensor.name for tensor in own]
        inputs = [name if name in names else "" for name in (f"W{k}", f"R{k}", f"B{k}", "", f"h{k}")]
        nodes.append(gru_node(layer, k, [f"x{k}", *inputs], **changes))
        initializers.extend(own)
    return model_of(nodes, initializers, spec)


def model_of(
    nodes: Sequence[NodeProto],
    initializers: Sequence[TensorProto],
    spec: GRUSpec,
    *,
    opset: int = 17,
    ir_version: int = 8,
    inputs: Sequence[str] = (),
) -> ModelProto:
    """Return a model of `nodes`; x0, x1, ... of the spec's dtype are its inputs, besides `inputs`."""
    kind = helper.np_dtype_to_tensor_dtype(spec.dtype)
    given = [
        *(helper.make_tensor_value_info(f"x{k}", kind, None) for k in range(len(spec.layers))),
        *(helper.make_tensor_value_info(name, kind, None) for name in inputs),
    ]
    outputs = [helper.make_tensor_value_info(nodes[-1].output[0], kind, None)]
    graph: GraphProto = helper.make_graph(list(nodes), "model", given, outputs, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def address(*outputs: str, graph: Sequence[Sequence[str]] = ()) -> dict[str, Any]:
    """Return the address of the nodes that make `outputs`."""
    return {
        "nodes": [
            {"output": output, "name": "", "graph": [list(step) for step in graph]} for output in outputs
        ]
    }
