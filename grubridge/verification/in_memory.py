"""A model in memory, in the place of a file: its GRUs by name, each ready to be run in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grubridge.checker.plan import Subject
from grubridge.checker.result import CheckedArtifact
from grubridge.checker.temporary import native_format
from grubridge.errors import StackSelectionError
from grubridge.formats.base import StackEntry
from grubridge.live.running import LiveGRU, find_gru, gru_names

__all__ = ["ModelInMemory", "models_in_memory"]


@dataclass(frozen=True)
class ModelInMemory:
    """A model in memory.

    Args:
        label: what the report calls it.
        model: what `live.running.find_gru` takes.
        layout: of hand-written cells in it; None for what its framework itself calls a GRU.
        names: of its GRUs.
    """

    label: str
    model: object
    layout: str | None
    names: tuple[str, ...]

    def find(self, name: str | None = None) -> LiveGRU:
        """Return the GRU called `name`, or the only one.

        Raises:
            StackSelectionError: when there is none, or several and no name.
        """
        return find_gru(self.model, name, self.layout)

    def holds(self, name: str) -> bool:
        """Whether it has a GRU, or a layer of a chain, of that name."""
        try:
            self.find(name)
        except StackSelectionError:
            return False
        return True

    def select(self, name: str | None = None) -> StackEntry:
        """Return where it is, as `OpenArtifact.select` does of a file."""
        gru = self.find(name)
        return StackEntry(gru.name, gru.address, gru.layout, lambda: gru.spec)

    def subject(self, entry: StackEntry, label: str) -> Subject:
        """Return what `select` found as a subject of a check."""
        gru = self.find(entry.name)
        about = CheckedArtifact(
            label, "", native_format(gru.backend).NAME, gru.name, gru.spec.dtype.name, sha256=None
        )
        return Subject(about, gru.spec, entry, gru.run)


def models_in_memory(models: Sequence[object], layout: str | None) -> list[ModelInMemory]:
    """Return models with labels that differ; the layout is for the torch modules that hold its tensors.

    Raises:
        InvalidSpecError: when one is no model that grubridge knows.
        LayoutError: when there is no such layout.
    """
    made: list[ModelInMemory] = []
    kinds: list[str] = []
    for model in models:
        kind = type(model).__name__
        kinds.append(kind)
        count = kinds.count(kind)
        label = f"{kind} in memory" if count == 1 else f"{kind} in memory ({count})"
        cells = _cells(model, layout)
        names = cells or gru_names(model)
        made.append(ModelInMemory(label, model, layout if cells else None, tuple(names)))
    return made


def _cells(model: object, layout: str | None) -> list[str]:
    """The hand-written cells of that layout; none in a model that says itself what it computes."""
    is_module = any(cls.__module__.partition(".")[0] == "torch" for cls in type(model).__mro__)
    return gru_names(model, layout) if layout is not None and is_module else []
