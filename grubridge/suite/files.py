"""Every file that the result of a pair depends on, those beside its artifacts among them."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from grubridge.files.checkpoint_names import INDEX, shards
from grubridge.files.digest import sha256
from grubridge.formats.registry import detect, located

from .manifest import Pair

__all__ = ["digests"]

_STATE = "checkpoint"


def digests(pair: Pair) -> dict[str, str]:
    """Return the sha256 of every file of a pair, by its path from the manifest's folder.

    An artifact may lie in several files: the external data of an ONNX model, the parts of a TensorFlow
    checkpoint.

    Raises:
        OSError: when one cannot be read.
        FileFormatError: when an artifact is no model file.
    """
    paths = [pair.path(name) for name in pair.files() if name not in pair.artifacts]
    for artifact in pair.artifacts:
        paths += _parts(pair.path(artifact))
    named = {PurePath(os.path.relpath(path, pair.folder)).as_posix(): path for path in paths}
    return {name: sha256(named[name]) for name in sorted(named)}


def _parts(path: Path) -> list[Path]:
    """Return the files of an artifact."""
    main = located(path)
    choice = [path / _STATE] if path.is_dir() else []
    if main.suffix == INDEX:
        return [*choice, main, *shards(main)]
    if detect(main).NAME != "onnx":
        return [main]
    from grubridge.formats.onnx.adapter import external_files

    return [main, *external_files(main)]
