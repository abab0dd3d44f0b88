"""Which file the name of a TensorFlow checkpoint stands for: its index, `prefix.index`.

Users name the prefix, the folder or any of the files.
"""

from __future__ import annotations

import re
from pathlib import Path

from grubridge.errors import CorruptFileError, UnsafeFileError

from .opening import shown
from .text import quoted

__all__ = ["INDEX", "index_of", "shards"]

INDEX = ".index"

_STATE = "checkpoint"
"""The text file with which TensorFlow notes the latest checkpoint of a folder."""
_LATEST = re.compile(rb'^model_checkpoint_path:\s*"((?:[^"\\\n]|\\.)*)"', re.MULTILINE)
_ESCAPED = re.compile(rb"\\(?:([0-7]{1,3})|(.))", re.DOTALL)
_LONGEST_STATE = 1 << 16
_SHARD = re.compile(r"\.data-\d{5}-of-\d{5}")


def index_of(path: Path) -> Path:
    """Return the index of the checkpoint that `path` stands for; `path` itself where it stands for none.

    Raises:
        CorruptFileError: when a folder's `checkpoint` does not name one.
        UnsafeFileError: when it names one outside the folder.
    """
    if path.is_dir() and (path / _STATE).is_file():
        return _latest(path / _STATE)
    if path.name == _STATE and path.is_file():
        return _latest(path)
    prefix = path.with_name(_SHARD.sub("", path.name)) if path.name else path
    index = prefix.with_name(prefix.name + INDEX) if path.name else path
    if (prefix != path or not path.exists()) and index.is_file():
        return index
    return path


def shards(index: Path) -> list[Path]:
    """Return the files with the tensors of a checkpoint."""
    prefix = index.name.removesuffix(INDEX)
    return sorted(
        file
        for file in index.parent.iterdir()
        if file.name.startswith(prefix) and _SHARD.fullmatch(file.name, len(prefix))
    )


def _latest(state: Path) -> Path:
    """Return the index of the checkpoint that the file `checkpoint` calls the latest."""
    with state.open("rb") as file:
        match = _LATEST.search(file.read(_LONGEST_STATE))
    if match is None:
        raise CorruptFileError(
            f'{shown(state)}: it should say model_checkpoint_path: "..."; name the checkpoint itself'
        )
    name = _ESCAPED.sub(_unescaped, match[1]).decode("utf-8", "replace")
    named = Path(name)
    if named.is_absolute():
        named = Path(named.name)  # the folder may have moved since
    if ".." in named.parts or "\0" in name:
        raise UnsafeFileError(
            f"{shown(state)}: it names a checkpoint outside its folder, {quoted(name)}; "
            "name the checkpoint itself"
        )
    return state.parent / named.with_name(named.name + INDEX) if named.name else state


def _unescaped(escape: re.Match[bytes]) -> bytes:
    """Return the byte for an escape of protobuf's text format: what is not ASCII is an octal number there."""
    octal, itself = escape.groups()
    return itself if octal is None else bytes([int(octal, 8) % 256])
