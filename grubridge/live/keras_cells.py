"""Cells of one's own in Keras models in memory: subclasses of GRUCell, as people write to see gates.

They are read as the GRUCell that they derive from, and run as they are: each step calls the class itself and
takes the state that it returns. What else it returns does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from grubridge.backends.keras.half import Half

__all__ = ["as_gru_cells", "is_own_cell", "own_cells", "package_of", "stepwise"]

_PACKAGES = ("keras", "tf_keras")


def package_of(layer: object) -> str:
    """Return "keras" or "tf_keras", whichever a layer's class derives from; else the package of its class."""
    packages = [cls.__module__.partition(".")[0] for cls in type(layer).__mro__]
    return next((package for package in packages if package in _PACKAGES), packages[0])


def is_own_cell(layer: object) -> bool:
    """Whether a layer is of a class that somebody derived from Keras's GRUCell."""
    first, *bases = type(layer).__mro__
    return not _is_kerass(first) and any(_is_kerass(base) and base.__name__ == "GRUCell" for base in bases)


def own_cells(layer: Any) -> Iterator[Any]:  # noqa: ANN401 - untyped library
    """Yield every such cell in a layer or model, itself among them."""
    if is_own_cell(layer):
        yield layer
    parts = [getattr(layer, name, None) for name in ("layer", "cell", "forward_layer", "backward_layer")]
    for part in (*parts, *getattr(layer, "layers", ()), *getattr(layer, "cells", ())):
        if part is not None:
            yield from own_cells(part)


def as_gru_cells(config: Any, layer: Any) -> Any:  # noqa: ANN401 - JSON values, untyped library
    """Return the configuration of `layer` with GRUCells in the place of the cells of one's own."""
    names = {type(cell).__name__ for cell in own_cells(layer)}

    def replaced(value: Any) -> Any:  # noqa: ANN401 - JSON values
        if isinstance(value, list):
            return [replaced(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get("class_name") in names and "config" in value:
            return {"module": "keras.layers", "class_name": "GRUCell", "config": value["config"]}
        return {key: replaced(item) for key, item in value.items()}

    return replaced(config) if names else config


def stepwise(layer: Any, cell: Any) -> Half:  # noqa: ANN401 - untyped library
    """Return one direction of an RNN layer as one that calls `cell` and returns its state of every step.

    Args:
        layer: the RNN.
        cell: its cell, or one of several that are stacked in it.
    """
    package = import_module(package_of(cell))

    class States(package.layers.Layer):  # type: ignore[name-defined, misc]
        """Returns the state of `cell` in the place of its outputs; the model's cell is no part of it."""

        units = state_size = output_size = cell.units

        def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:  # noqa: ANN401, FBT001, FBT002
            _, following = cell(inputs, states, training=training)
            state = following[0] if isinstance(following, (list, tuple)) else following
            return state, [state]

    made = package.layers.RNN(
        States(dtype=cell.dtype_policy),
        return_sequences=True,
        return_state=True,
        go_backwards=layer.go_backwards,
        dtype=cell.dtype_policy,
    )
    return Half(made, cell)


def _is_kerass(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in _PACKAGES
