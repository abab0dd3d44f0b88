"""The GRU to explain: in a model file, among typed weights, or in a model in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grubridge.artifacts import open_artifact
from grubridge.files.opening import shown
from grubridge.formats.base import ReadHints
from grubridge.layouts.description import CellLayout
from grubridge.live.running import find_gru
from grubridge.spec import GRUSpec

from .storage import layout_of
from .typed import is_typed, typed_weights

__all__ = ["Found", "find"]


@dataclass(frozen=True)
class Found:
    """A GRU to explain.

    Args:
        model: the file, or the kind of the object in memory.
        stack: the name of the GRU in it.
        spec: what it computes.
        layout: how it is stored; None where that is not known.
        notes: what a reader should know.
    """

    model: str
    stack: str
    spec: GRUSpec
    layout: CellLayout | None
    notes: tuple[str, ...] = ()


def find(model: object, stack: str | None, layer: int, hints: ReadHints) -> Found:
    """Return the GRU of a model as `explain` takes it; `layer` is the one whose layout is wanted."""
    if isinstance(model, (str, Path, Mapping)) and is_typed(model):
        typed = typed_weights(model, hints)
        return Found(typed.label, typed.spec.name, typed.spec, typed.layout, typed.notes)
    if isinstance(model, (str, Path)):
        artifact = open_artifact(model, None, hints)
        entry = artifact.select(stack)
        spec = artifact.read(entry)
        layout = layout_of(artifact.format.NAME, spec, layer, entry)
        notes = spec.source.notes if spec.source else ()
        return Found(shown(model), entry.name, spec, layout, notes)
    gru = find_gru(model, stack)
    layout = layout_of(gru.backend, gru.spec, layer)
    return Found(f"{type(model).__name__} in memory", gru.name, gru.spec, layout)
