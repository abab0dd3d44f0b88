"""Shapes and outputs of two specs, before anything is run."""

from __future__ import annotations

from grubridge.spec import GRULayer, GRUSpec

__all__ = ["outputs", "shapes"]

_JOINED = {"sum": "summed", "mul": "multiplied", "ave": "averaged"}
"""Ways to join two directions that keep neither."""


def shapes(left: GRUSpec, right: GRUSpec, sides: tuple[str, str]) -> str | None:
    """Return why no input fits both specs, or no output of one the other's; None when they are alike."""
    if len(left.layers) != len(right.layers):
        return f"{sides[0]} has {_count(left)}, {sides[1]} has {_count(right)}"
    for index, (one, other) in enumerate(zip(left.layers, right.layers, strict=True)):
        if _shape(one) != _shape(other):
            return f"layer {index} of {sides[0]} is {_shape(one)}; of {sides[1]}, {_shape(other)}"
    return None


def outputs(left: GRUSpec, right: GRUSpec, sides: tuple[str, str]) -> str | None:
    """Return why equal states would give other outputs; None where they would not.

    Where one model returns the states and the other what it makes of them, the rest is the caller's.
    """
    modes = left.io.merge_mode or "", right.io.merge_mode or ""
    two = left.layers[-1].forward is not None and left.layers[-1].backward is not None
    if two and modes[0] != modes[1] and set(modes) <= _JOINED.keys():
        here, there = (_JOINED[mode] for mode in modes)
        return f"the two directions are {here} in {sides[0]}, {there} in {sides[1]}"
    made = left.io.output_activation, right.io.output_activation
    if None not in made and made[0] != made[1]:
        return f"the output is {made[0]} of the states in {sides[0]}, {made[1]} of them in {sides[1]}"
    return None


def _count(spec: GRUSpec) -> str:
    return f"{len(spec.layers)} layer{'s' * (len(spec.layers) > 1)}"


def _shape(layer: GRULayer) -> str:
    ways = " and ".join(name for name, _ in layer.directions())
    return f"{layer.input_size} -> {layer.hidden_size} {ways}"
