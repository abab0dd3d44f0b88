"""Keras's activations by name, whose meaning depends on the Keras version, as values and back.

Sources: keras/src/activations/activations.py (Keras 3) and keras/activations.py (Keras 1 and 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grubridge.errors import UnsupportedFeatureError
from grubridge.files.text import printable, quoted
from grubridge.spec import SIGMOID, TANH, Activation, hard_sigmoid

__all__ = ["HELD", "activation", "keras_name"]

_KERAS_2_SLOPE = 0.2
_KERAS_3_SLOPE = 1 / 6

_BY_NAME: dict[str, Activation] = {
    "elu": Activation("elu", 1.0),
    "hard_sigmoid": hard_sigmoid(_KERAS_3_SLOPE),
    "leaky_relu": Activation("leaky_relu", 0.2),
    "linear": Activation("affine", 1.0, 0.0),
    "relu": Activation("relu"),
    "sigmoid": SIGMOID,
    "softplus": Activation("softplus"),
    "softsign": Activation("softsign"),
    "tanh": TANH,
}
"""As Keras 3 means them; Keras 1 and 2 differ in hard_sigmoid alone."""

HELD = frozenset(_BY_NAME.values())
"""The activations that a Keras 3 file can name."""


def activation(stored: object, keras_major: int, where: str) -> Activation:
    """Return the activation that a config stores: a name, or an object that Keras serialised.

    Args:
        stored: the config's value.
        keras_major: the major version of the Keras that wrote the file.
        where: the file, the layer and the config's key, for messages.

    Raises:
        UnsupportedFeatureError: when it is none that a spec can hold. Nothing is ever imported for it.
    """
    if isinstance(stored, str):
        return _named(stored, keras_major, where)
    if stored is None:
        return _BY_NAME["linear"]
    if isinstance(stored, Mapping):
        kind, config = stored.get("class_name"), stored.get("config")
        module = stored.get("module")
        own = module is None or str(module).split(".")[0] in ("builtins", "keras", "tf_keras")
        if own and kind == "function" and isinstance(config, str):
            return _named(config, keras_major, where)
        if own and isinstance(config, Mapping):
            found = _layer(kind, config, keras_major, where)
            if found is not None:
                return found
        shown = config if kind == "function" else kind
        raise _refusal(f"{module}.{shown}" if module else str(shown), where)
    raise _refusal("something that is not a name", where)


def keras_name(value: Activation) -> str:
    """Return Keras 3's name of an activation in `HELD`."""
    return next(name for name, known in _BY_NAME.items() if known == value)


def _named(name: str, keras_major: int, where: str) -> Activation:
    if name not in _BY_NAME:
        raise _refusal(name, where)
    if name == "hard_sigmoid" and keras_major < 3:
        return hard_sigmoid(_KERAS_2_SLOPE)
    return _BY_NAME[name]


def _layer(kind: object, config: Mapping[str, Any], keras_major: int, where: str) -> Activation | None:
    """Return the activation of a serialised activation layer, None if it is another layer."""

    def number(key: str, default: float) -> float:
        value = config.get(key, default)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        raise _refusal(f"{kind} with {key} = {printable(repr(value))}", where)

    if kind == "Activation":
        inner = config.get("activation")
        return _named(inner, keras_major, where) if isinstance(inner, str) else None
    if kind == "LeakyReLU":
        return Activation("leaky_relu", number("negative_slope", number("alpha", 0.3)))
    if kind == "ELU":
        return Activation("elu", number("alpha", 1.0))
    if kind == "ReLU" and config.get("max_value") is None and number("threshold", 0.0) == 0.0:
        slope = number("negative_slope", 0.0)
        return Activation("leaky_relu", slope) if slope else _BY_NAME["relu"]
    return None


def _refusal(name: str, where: str) -> UnsupportedFeatureError:
    # no nearest name: gelu is not a misspelt elu
    reason = f"{where}: the activation is {quoted(name)}; a GRU can be converted with {', '.join(_BY_NAME)}"
    return UnsupportedFeatureError(reason, [reason])
