"""How an ONNX GRU node lists its activations: names, and two lists of parameters that they share.

`activation_alpha` and `activation_beta` are consumed in the order of the functions, and only by functions
that take the parameter (ONNX Runtime, `DeepCpuGruOp`; the operator's page says the order only).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grubridge.errors import FileFormatError
from grubridge.files.text import quoted
from grubridge.spec import Activation
from grubridge.spec.activation import PARAMETERS

__all__ = ["NAMES", "attributes", "parse", "simplest"]

NAMES: dict[str, str] = {
    "affine": "Affine",
    "elu": "Elu",
    "hard_sigmoid": "HardSigmoid",
    "leaky_relu": "LeakyRelu",
    "relu": "Relu",
    "scaled_tanh": "ScaledTanh",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "tanh": "Tanh",
    "thresholded_relu": "ThresholdedRelu",
}
"""The spec's name of a function -> ONNX's; a file may write ONNX's in any case."""

_DEFAULTS: dict[str, dict[str, float]] = {
    "affine": {"alpha": 1.0, "beta": 0.0},
    "elu": {"alpha": 1.0},
    "hard_sigmoid": {"alpha": 0.2, "beta": 0.5},
    "leaky_relu": {"alpha": 0.01},
    "scaled_tanh": {"alpha": 1.0, "beta": 1.0},
    "thresholded_relu": {"alpha": 1.0},
}
"""The defaults of the ONNX operators of the same names; Affine and ScaledTanh are no operators any more."""

_OTHER_IN_ONNX_RUNTIME = {"affine", "scaled_tanh", "thresholded_relu"}
"""Where ONNX Runtime takes a missing alpha or beta as 0 (measured with 1.31 and 1.32)."""

_LARGEST_DENOMINATOR = 1000


def parse(
    names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]
) -> tuple[list[Activation], list[str]]:
    """Return the activations that a node lists, and notes on what its file leaves open.

    Raises:
        FileFormatError: when a name is no activation of the ONNX GRU.
    """
    known = {onnx_name.lower(): name for name, onnx_name in NAMES.items()}
    left = {"alpha": list(alphas), "beta": list(betas)}
    activations: list[Activation] = []
    notes: list[str] = []
    for onnx_name in names:
        name = known.get(onnx_name.lower())
        if name is None:
            raise FileFormatError(
                f"activation {quoted(onnx_name)} is none of the ONNX GRU's: {', '.join(NAMES.values())}"
            )
        values: dict[str, float] = {}
        for parameter in PARAMETERS[name]:
            if left[parameter]:
                values[parameter] = simplest(left[parameter].pop(0))
                continue
            values[parameter] = _DEFAULTS[name][parameter]
            if name in _OTHER_IN_ONNX_RUNTIME:
                notes.append(
                    f"the file gives no {parameter} for {NAMES[name]}; taken as {values[parameter]:g}, as in "
                    "ONNX, where ONNX Runtime takes 0"
                )
        activations.append(Activation(name, **values))
    notes += [
        f"activation_{parameter} has {len(surplus)} more values than the activations take; they are not used"
        for parameter, surplus in left.items()
        if surplus
    ]
    return activations, notes


def attributes(activations: Sequence[Activation]) -> dict[str, Any]:
    """Return the node's attributes for a list of activations, every alpha and beta written out."""
    found: dict[str, Any] = {"activations": [NAMES[one.name] for one in activations]}
    for parameter in ("alpha", "beta"):
        values = [float(getattr(one, parameter)) for one in activations if parameter in PARAMETERS[one.name]]
        if values:
            found[f"activation_{parameter}"] = values
    return found


def simplest(stored: float) -> float:
    """Return the number that a float32 of the file was written from.

    That is the fraction of the smallest denominator up to 1000 that rounds to the same float32 (0.2 and
    1/6 come back as they were), or else the float32 itself.
    """
    if not np.isfinite(stored):
        return stored
    for denominator in range(1, _LARGEST_DENOMINATOR + 1):
        fraction = round(stored * denominator) / denominator
        if np.float32(fraction) == np.float32(stored):
            return fraction
    return stored
