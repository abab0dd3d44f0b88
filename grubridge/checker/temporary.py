"""A spec as a temporary file that a runtime opens itself: the same path as for a user's own file."""

from __future__ import annotations

from pathlib import Path

from grubridge.backends.base import Artifact
from grubridge.backends.registry import find
from grubridge.formats.base import FormatAdapter, Provenance, ReadHints, WriteOptions
from grubridge.formats.registry import adapter
from grubridge.layouts.description import CellLayout
from grubridge.layouts.toml import to_toml
from grubridge.spec import GRUSpec, Layout

__all__ = ["native_format", "written"]


def native_format(backend: str) -> FormatAdapter:
    """Return the format that a runtime's temporary files have."""
    return adapter(find(backend).formats[0])


def written(
    spec: GRUSpec, backend: str, stem: Path, layout: Layout, described: CellLayout | None = None
) -> Artifact:
    """Write a spec that the runtime's format can hold.

    Args:
        spec: what to write.
        backend: the runtime.
        stem: the new file, without its ending.
        layout: that of the spec's own arrays.
        described: the layout that the file's tensors are to have, instead of the framework's own. The runtime
            then runs the cell as that describes it.
    """
    target = native_format(backend)
    options = WriteOptions()
    if described is not None:
        description = stem.with_name(f"{stem.name}.toml")
        description.write_text(to_toml(described), encoding="utf-8")
        options = WriteOptions(layout=str(description))
    path = stem.with_name(stem.name + target.SUFFIXES[0])
    target.write(spec, path, options, Provenance({}), layout)
    (entry,) = target.contents(path, ReadHints(layout=options.layout)).stacks
    return Artifact(str(path), target.NAME, entry.address)
