"""The formats, as data: name -> module. A module is imported when its format is first used."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from grubridge.errors import UnknownFormatError
from grubridge.files.checkpoint_names import index_of
from grubridge.files.opening import check_openable, shown
from grubridge.files.text import nearest, quoted

from .base import FormatAdapter

__all__ = ["FORMATS", "adapter", "detect", "for_target", "is_model_name", "located"]

FORMATS: dict[str, str] = {
    "keras": "grubridge.formats.keras.adapter",
    "onnx": "grubridge.formats.onnx.adapter",
    "pytorch": "grubridge.formats.pytorch.adapter",
    "safetensors": "grubridge.formats.safetensors",
    "tensorflow": "grubridge.formats.tensorflow.adapter",
}
SUFFIXES: dict[str, str] = {
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".onnx": "onnx",
    ".pt": "pytorch",
    ".pth": "pytorch",
    ".bin": "pytorch",
    ".ckpt": "pytorch",
    ".tar": "pytorch",
    ".safetensors": "safetensors",
    ".index": "tensorflow",
}
"""What a file name's ending says; a test holds it to the adapters' own lists."""

_HEAD = 512


def adapter(name: str) -> FormatAdapter:
    """Return the adapter called `name`.

    Raises:
        UnknownFormatError: when there is none.
    """
    if name not in FORMATS:
        meant = SUFFIXES.get("." + name.lower().lstrip("."))  # an ending in the place of a format
        hint = f" Did you mean {quoted(meant)}?" if meant else nearest(name, FORMATS)
        raise UnknownFormatError(f"unknown format {quoted(name)}.{hint} Known formats: {', '.join(FORMATS)}")
    return cast(FormatAdapter, importlib.import_module(FORMATS[name]))


def located(path: Path) -> Path:
    """Return the file that a name stands for: a TensorFlow checkpoint's index, or `path` itself.

    Raises:
        FileFormatError: when a folder does not say which of its checkpoints is meant.
    """
    try:
        return index_of(path)
    except OSError:  # a folder that may not be entered, a name that is too long: whoever opens it says so
        return path


def detect(path: Path) -> FormatAdapter:
    """Return the adapter for an existing file. Its content decides; the name only says whom to ask first.

    The name may be any for which `located` finds a file.

    Raises:
        FileFormatError: when the file cannot be opened.
        UnknownFormatError: when no format recognises its content.
    """
    path = located(path)
    check_openable(path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    named = SUFFIXES.get(path.suffix.lower())
    for name in sorted(FORMATS, key=lambda name: name != named):
        candidate = adapter(name)
        if candidate.sniff(path, head):
            return candidate
    known = ", ".join(FORMATS)
    found = f"its name says {named}, its content does not" if named else "its content is of none of them"
    raise UnknownFormatError(
        f"{shown(path)}: this is not a model file that grubridge can read ({known}): {found}. "
        "The file may be damaged or truncated"
    )


def is_model_name(path: Path) -> bool:
    """Whether a file is called as models are, or is a part of a TensorFlow checkpoint."""
    return located(path).suffix.lower() in SUFFIXES


def for_target(path: Path) -> FormatAdapter:
    """Return the adapter that a target's name asks for.

    Raises:
        UnknownFormatError: when the ending is not known.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        what = f"the ending {quoted(suffix)} names no format" if suffix else "its name has no ending"
        raise UnknownFormatError(
            f"{shown(path)}: {what}.{nearest(suffix, SUFFIXES)} "
            f"Known endings: {', '.join(SUFFIXES)}; or name the format with --to"
        )
    return adapter(SUFFIXES[suffix])
