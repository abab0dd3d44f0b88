"""Activation functions as values: a name with its parameters written out.

`hard_sigmoid` alone has two meanings (Keras 2: 0.2x + 0.5, Keras 3: x/6 + 0.5), so a name is never
enough. The names and parameters follow the ONNX operators; `reference.activations` evaluates them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from grubridge.errors import InvalidSpecError

__all__ = ["ONE", "PARAMETERS", "SIGMOID", "TANH", "ZERO", "Activation", "hard_sigmoid"]

PARAMETERS: dict[str, tuple[str, ...]] = {
    "affine": ("alpha", "beta"),
    "elu": ("alpha",),
    "hard_sigmoid": ("alpha", "beta"),
    "leaky_relu": ("alpha",),
    "relu": (),
    "scaled_tanh": ("alpha", "beta"),
    "sigmoid": (),
    "softplus": (),
    "softsign": (),
    "tanh": (),
    "thresholded_relu": ("alpha",),
}
"""The parameters that each function takes; all that it takes must be given."""


@dataclass(frozen=True)
class Activation:
    """An elementwise function.

    With parameters a = alpha and b = beta:

    affine a*x + b; elu a*(exp(x) - 1) below 0, else x; hard_sigmoid min(1, max(0, a*x + b));
    leaky_relu a*x below 0, else x; scaled_tanh a*tanh(b*x); thresholded_relu x above a, else 0;
    relu, sigmoid, softplus, softsign and tanh take no parameter.
    """

    name: str
    alpha: float | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        if self.name not in PARAMETERS:
            known = ", ".join(PARAMETERS)
            raise InvalidSpecError(f"unknown activation {self.name!r}; known: {known}")
        for parameter in ("alpha", "beta"):
            value = getattr(self, parameter)
            if (value is not None) != (parameter in PARAMETERS[self.name]):
                takes = " and ".join(PARAMETERS[self.name]) or "no parameter"
                raise InvalidSpecError(f"activation {self.name} takes {takes}; received {parameter}={value}")
            if value is not None and not math.isfinite(value):
                raise InvalidSpecError(
                    f"activation {self.name}: {parameter} must be finite; received {value}"
                )

    def __str__(self) -> str:
        values = (getattr(self, parameter) for parameter in PARAMETERS[self.name])
        inside = ", ".join(f"{value:.6g}" for value in values)
        return f"{self.name}({inside})" if inside else self.name

    @property
    def complements(self) -> bool:
        """Whether f(-x) = 1 - f(x), so that negated weights turn z into 1 - z exactly."""
        return self.name == "sigmoid" or (self.name == "hard_sigmoid" and self.beta == 0.5)


SIGMOID = Activation("sigmoid")
TANH = Activation("tanh")
ZERO = Activation("affine", 0.0, 0.0)
ONE = Activation("affine", 0.0, 1.0)


def hard_sigmoid(alpha: float) -> Activation:
    """Return the piecewise linear sigmoid of slope `alpha` (0.2 in Keras 2 and ONNX, 1/6 in Keras 3)."""
    return Activation("hard_sigmoid", alpha, 0.5)
