"""The gates of one ONNX GRU direction as a small graph of ordinary operators: MatMul, Add, Sigmoid, ...

Source: the page of the ONNX GRU operator. Defaults of activation parameters are ONNX Runtime's own, which
differ from ONNX's in part: no alpha means 0 for ThresholdedRelu, and Affine and ScaledTanh are constant 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from grubridge.errors import BackendError
from grubridge.files.text import printable
from grubridge.spec import Array

__all__ = ["INPUTS", "OUTPUTS", "Function", "functions", "gates_model", "weights_feed"]

INPUTS = ("x", "h", "w_zrn", "u_zr", "u_n", "b_zrn", "c_zr", "c_n")
"""x [N, I], h [N, H], w_zrn [I, 3H], u_zr [H, 2H], u_n [H, H], b_zrn [3H], c_zr [2H], c_n [H]; float32."""
OUTPUTS = ("update", "reset", "candidate")

_OPSET, _IR_VERSION = 17, 8

_DEFAULTS: dict[str, tuple[float | None, float | None]] = {
    "affine": (0.0, 0.0),
    "elu": (1.0, None),
    "hardsigmoid": (0.2, 0.5),
    "leakyrelu": (0.01, None),
    "relu": (None, None),
    "scaledtanh": (0.0, 0.0),
    "sigmoid": (None, None),
    "softplus": (None, None),
    "softsign": (None, None),
    "tanh": (None, None),
    "thresholdedrelu": (0.0, None),
}
"""(alpha, beta) of the functions that take them."""

_OPERATORS = {
    "elu": "Elu",
    "hardsigmoid": "HardSigmoid",
    "leakyrelu": "LeakyRelu",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "tanh": "Tanh",
    "thresholdedrelu": "ThresholdedRelu",
}


@dataclass(frozen=True)
class Function:
    """An activation of a GRU node: its lower-case name, and the parameters that it takes."""

    name: str
    alpha: float | None
    beta: float | None


def functions(
    names: Sequence[str], alphas: Sequence[float], betas: Sequence[float], *, directions: int
) -> list[tuple[Function, Function]]:
    """Return (gates, candidate) of every direction, parameters given out in order to those that take one.

    Raises:
        BackendError: when a name is none of ONNX's, or there are too few names.
    """
    lower = [name.lower() for name in names] or ["sigmoid", "tanh"] * directions
    unknown = [printable(name) for name in lower if name not in _DEFAULTS]
    if unknown or len(lower) != 2 * directions:
        raise BackendError(f"it needs {2 * directions} activations that ONNX has; the node names {lower}")
    left = iter(alphas), iter(betas)

    def parameters(name: str) -> Iterator[float | None]:
        for given, default in zip(left, _DEFAULTS[name], strict=True):
            yield None if default is None else next(given, default)

    made = [Function(name, *parameters(name)) for name in lower]
    return list(zip(made[::2], made[1::2], strict=True))


def gates_model(gate: Function, candidate: Function, *, clip: float | None, reset_after: bool) -> ModelProto:
    """Return the model that computes `OUTPUTS`, each [N, H], from `INPUTS`."""
    graph = _Graph()
    x_z, x_r, x_n = graph.split(graph.add("Add", graph.add("MatMul", "x", "w_zrn"), "b_zrn"), 3)
    h_z, h_r = graph.split(graph.add("Add", graph.add("MatMul", "h", "u_zr"), "c_zr"), 2)
    update = graph.activation(gate, graph.clipped(graph.add("Add", x_z, h_z), clip))
    reset = graph.activation(gate, graph.clipped(graph.add("Add", x_r, h_r), clip))
    if reset_after:
        recurrent = graph.add("Mul", reset, graph.add("Add", graph.add("MatMul", "h", "u_n"), "c_n"))
    else:
        recurrent = graph.add("Add", graph.add("MatMul", graph.add("Mul", reset, "h"), "u_n"), "c_n")
    new = graph.activation(candidate, graph.clipped(graph.add("Add", x_n, recurrent), clip))
    for name, value in zip(OUTPUTS, (update, reset, new), strict=True):
        graph.nodes.append(helper.make_node("Identity", [value], [name]))
    return graph.model()


class _Graph:
    """Nodes under construction; values are called by number."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - onnx's own types
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def split(self, value: str, count: int) -> list[str]:
        outputs = [f"v{len(self.nodes)}_{i}" for i in range(count)]
        self.nodes.append(helper.make_node("Split", [value], outputs, axis=-1))
        return outputs

    def number(self, value: float) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
        return name

    def clipped(self, value: str, clip: float | None) -> str:
        return value if clip is None else self.add("Clip", value, self.number(-clip), self.number(clip))

    def activation(self, function: Function, value: str) -> str:
        alpha, beta = function.alpha, function.beta
        if function.name == "affine":
            return self.add(
                "Add", self.add("Mul", value, self.number(alpha or 0.0)), self.number(beta or 0.0)
            )
        if function.name == "scaledtanh":
            inner = self.add("Tanh", self.add("Mul", value, self.number(beta or 0.0)))
            return self.add("Mul", inner, self.number(alpha or 0.0))
        given = {name: number for name, number in (("alpha", alpha), ("beta", beta)) if number is not None}
        return self.add(_OPERATORS[function.name], value, **given)

    def model(self) -> ModelProto:
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in INPUTS]
        outputs = [helper.make_empty_tensor_value_info(name) for name in OUTPUTS]
        graph = helper.make_graph(self.nodes, "gates", inputs, outputs, self.constants)
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)


def weights_feed(w: Array, r: Array, b: Array | None) -> dict[str, Array]:
    """Return the weights of one direction as `gates_model` takes them, float32.

    Args:
        w: [3H, I], gates stacked z, r, n.
        r: [3H, H].
        b: [6H], input biases and then recurrent ones; None where the node has none.
    """
    size = r.shape[1]
    biases = np.zeros(6 * size, np.float32) if b is None else b.astype(np.float32)
    w_zrn, u_zrn = w.T.astype(np.float32), r.T.astype(np.float32)
    return {
        "w_zrn": w_zrn,
        "u_zr": u_zrn[:, : 2 * size],
        "u_n": u_zrn[:, 2 * size :],
        "b_zrn": biases[: 3 * size],
        "c_zr": biases[3 * size : 5 * size],
        "c_n": biases[5 * size :],
    }
