"""Shapes of two specs, before anything is run."""

from __future__ import annotations

from grubridge.spec import GRULayer, GRUSpec

__all__ = ["shapes"]


def shapes(left: GRUSpec, right: GRUSpec, sides: tuple[str, str]) -> str | None:
    """Return why no input fits both specs, or no output of one the other's; None when they are alike."""
    if len(left.layers) != len(right.layers):
        return f"{sides[0]} has {_count(left)}, {sides[1]} has {_count(right)}"
    for index, (one, other) in enumerate(zip(left.layers, right.layers, strict=True)):
        if _shape(one) != _shape(other):
            return f"layer {index} of {sides[0]} is {_shape(one)}; of {sides[1]}, {_shape(other)}"
    return None


def _count(spec: GRUSpec) -> str:
    return f"{len(spec.layers)} layer{'s' * (len(spec.layers) > 1)}"


def _shape(layer: GRULayer) -> str:
    ways = " and ".join(name for name, _ in layer.directions())
    return f"{layer.input_size} -> {layer.hidden_size} {ways}"
