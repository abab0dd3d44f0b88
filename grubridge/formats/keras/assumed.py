"""What Keras weights without a configuration do not say: taken from the user, or assumed and noted.

Defaults of keras.layers.GRU, by version: until 2.2 and in the GRU of TensorFlow 1, recurrent_activation is
hard_sigmoid and reset_after is False; from 2.3 on, sigmoid and True. `activation` always was tanh.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from grubridge.errors import FileFormatError
from grubridge.formats.base import ReadHints

from .bare import BareLayer
from .config import RecurrentLayer, recurrent_layer
from .layout import CellForm

__all__ = ["check_hints", "described", "meaning"]

_KERAS_2_HARD_SIGMOID = "hard_sigmoid(0.2)"
"""How a user names the hard_sigmoid of Keras 2 where the file does not tell its version."""

_LATEST = 3


def check_hints(hints: ReadHints, layers: Iterable[BareLayer], where: str) -> None:
    """Refuse hints about what the file itself says; `layers` are those that no configuration describes.

    Raises:
        FileFormatError: when a hint would have no effect.
    """
    forms = [cell.form for layer in layers for cell in layer.cells]
    open_questions = {
        "activation": any(form.kind != "cudnn" for form in forms),
        "recurrent_activation": any(form.kind != "cudnn" for form in forms),
        "reset_after": any(form.reset_after is None for form in forms),
    }
    answered = [hints.called(name) for name in hints.given() if not open_questions[name]]
    if answered:
        raise FileFormatError(
            f"{where}: the file says itself what {' and '.join(answered)} would say; leave it out"
        )


def meaning(hints: ReadHints, major: int | None) -> tuple[ReadHints, int]:
    """Return the hints as Keras names, and the major version of Keras whose meaning they have."""
    if major is None and _KERAS_2_HARD_SIGMOID in (hints.activation, hints.recurrent_activation):
        names = [
            "hard_sigmoid" if name == _KERAS_2_HARD_SIGMOID else name
            for name in (hints.activation, hints.recurrent_activation)
        ]
        return replace(hints, activation=names[0], recurrent_activation=names[1]), 2
    return hints, _LATEST if major is None else major


def described(
    layer: BareLayer, hints: ReadHints, version: str, where: str
) -> tuple[RecurrentLayer, tuple[str, ...]]:
    """Return `layer` with the configuration that it most likely had, and notes on what was assumed.

    Args:
        layer: a GRU layer.
        hints: what the user said, as from `meaning`.
        version: of Keras, "" where the file does not tell it.
        where: the file, for messages.
    """
    cells = [_cell(cell.form, hints, version, layer.path[-1]) for cell in layer.cells]
    entries = [
        {"class_name": "CuDNNGRU" if cell.form.kind == "cudnn" else "GRU", "config": config}
        for cell, config in zip(layer.cells, cells, strict=True)
    ]
    entry: dict[str, Any] = entries[0]
    if layer.bidirectional:
        halves = {"layer": entries[0], "backward_layer": entries[1], "merge_mode": "concat"}
        entry = {"class_name": "Bidirectional", "config": {"name": layer.path[-1], **halves}}
    elif layer.stacked:
        stack = [{"class_name": "GRUCell", "config": cell} for cell in cells]
        cell = {"class_name": "StackedRNNCells", "config": {"cells": stack}}
        config = {"name": layer.path[-1], "return_sequences": True, "cell": cell}
        entry = {"class_name": "RNN", "config": config}
    made = recurrent_layer(entry, layer.path, "/".join(layer.path), where)
    if not isinstance(made, RecurrentLayer):
        raise TypeError(f"{where}: {made!r} is no GRU")
    return made, tuple(_notes(layer, cells, hints, version))


def _cell(form: CellForm, hints: ReadHints, version: str, name: str) -> dict[str, Any]:
    config: dict[str, Any] = {"name": name, "units": form.hidden_size, "return_sequences": True}
    if form.kind == "cudnn":
        return config
    reset_after = form.reset_after
    if reset_after is None:
        reset_after = not _is_old(version) if hints.reset_after is None else hints.reset_after
    gate = "hard_sigmoid" if _is_old(version, v2_layer=reset_after) else "sigmoid"
    return {
        **config,
        "activation": hints.activation or "tanh",
        "recurrent_activation": hints.recurrent_activation or gate,
        "use_bias": form.reset_after is not None,
        "reset_after": reset_after,
    }


def _is_old(version: str, *, v2_layer: bool = False) -> bool:
    """Whether GRU's defaults were those of old. TensorFlow 1.13 to 2.0 ("2.2.4-tf") had both layers."""
    numbers = re.match(r"(\d{1,3})(?:\.(\d{1,3}))?", version)
    if numbers is None or (version.endswith("-tf") and v2_layer):
        return False
    return (int(numbers[1]), int(numbers[2] or 0)) < (2, 3)


def _notes(layer: BareLayer, cells: list[dict[str, Any]], hints: ReadHints, version: str) -> Iterable[str]:
    writer = f"Keras {version or _LATEST}"
    assumed = [key for key in ("activation", "recurrent_activation") if key in cells[0]]
    named = [key for key in assumed if getattr(hints, key) is None]
    if named:
        values = " and ".join(f"{key}={cells[0][key]}" for key in named)
        flags = " and ".join(map(hints.called, named))
        yield f"weights alone do not say activations: assumed {values}, as in {writer}; or say {flags}"
    if any(cell.form.reset_after is None for cell in layer.cells) and hints.reset_after is None:
        value = cells[0]["reset_after"]
        called = hints.called("reset_after")
        yield f"no bias shows reset_after: assumed {value}, as in {writer}; or say {called}"
    if not version and any("hard_sigmoid" in cell.values() for cell in cells):
        yield (
            "hard_sigmoid is read as Keras 3's, x/6 + 0.5, for the file does not tell its version; Keras 2's "
            f"is {_KERAS_2_HARD_SIGMOID!r}"
        )
    how = "its halves concatenated" if layer.bidirectional else "reading forwards"
    yield f"weights alone do not say how a layer is used: assumed {how}, every step returned"
