"""Files that are tensors with names: what is known of them before a tensor is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grubridge.spec import Array, Fused, GRUSpec, TensorRecord

from .text import listed, printable

__all__ = ["StoredTensor", "TensorFile", "TensorPlan", "is_shape", "left_alone", "stack_name"]

_MOST_DIMENSIONS = 32


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file, not yet read.

    Args:
        shape: its shape.
        dtype: the name of its dtype.
        read: read it, as a view where the file allows it.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Array]


@dataclass(frozen=True)
class TensorFile:
    """A file with one or more groups of tensors, a checkpoint's state dicts for example.

    Args:
        path: the file.
        format: the adapter's name.
        groups: the tensors of each, by the keys that lead to it from the file's root; () is the root.
        framework: who wrote the file, as far as it says.
    """

    path: Path
    format: str
    groups: Mapping[tuple[str, ...], Mapping[str, StoredTensor]]
    framework: str


@dataclass(frozen=True)
class TensorPlan:
    """What a file of named tensors will hold.

    Args:
        stored: the spec exactly as it will be stored.
        tensors: by name, in the order of the framework or layout.
        records: one per tensor.
    """

    stored: GRUSpec
    tensors: Mapping[str, Fused]
    records: tuple[TensorRecord, ...]


def is_shape(sizes: Sequence[int]) -> bool:
    """Whether an array can have these sizes; NumPy refuses some that hold a 0, and so no number, too."""
    fitting = len(sizes) <= _MOST_DIMENSIONS and min(sizes, default=0) >= 0
    return fitting and math.prod(max(size, 1) for size in sizes) < 1 << 56


def left_alone(names: Iterable[str], claimed: Iterable[str]) -> tuple[str, ...]:
    """Return a note of the tensors that belong to no GRU; () where all of them do."""
    own = set(claimed)
    left = [name for name in names if name not in own]
    return (f"not part of a GRU and left alone: {listed(left)}",) if left else ()


def stack_name(keys: tuple[str, ...], prefix: str) -> str:
    """Return the name of the GRU whose tensors begin with `prefix`, in the group at `keys`."""
    return printable(".".join((*keys, prefix)).strip("./") or "gru")
