"""What every format adapter offers, and what passes between an adapter and the rest.

An adapter is a module with the names of `FormatAdapter`. It states its layout as a constant, reads files
as data (no framework) and knows no other format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from grubridge.files.tensors import TensorFile
from grubridge.spec import Capabilities, GRUSpec, Layout, TensorRecord

__all__ = [
    "Contents",
    "FormatAdapter",
    "Provenance",
    "ReadHints",
    "StackEntry",
    "TensorAdapter",
    "WriteOptions",
    "Written",
]


@dataclass(frozen=True)
class ReadHints:
    """What the user says about a file that does not say it itself: Keras weights alone, a cell of one's own.

    Args:
        activation: Keras's name of the candidate's activation.
        recurrent_activation: Keras's name of the gates' activation.
        reset_after: needed only where there is no bias to show it.
        layout: of the tensors of a cell that is no framework's own: a shipped layout's name, or a .toml file.
        skip_unsafe: read the GRUs of a Keras model that holds code, or leads to other files, without touching
            that; otherwise it is refused.
        in_manifest: whether a manifest gave these, whose keys messages then name, and not the options.
    """

    activation: str | None = None
    recurrent_activation: str | None = None
    reset_after: bool | None = None
    layout: str | None = None
    skip_unsafe: bool = False
    in_manifest: bool = False

    def called(self, name: str) -> str:
        """What a user calls a hint: the option, or the manifest's key."""
        return name if self.in_manifest else f"--{name.replace('_', '-')}"

    def given(self) -> tuple[str, ...]:
        """The names of the hints that were given; `skip_unsafe`, which says nothing of a file, is none."""
        return tuple(f.name for f in fields(self) if f.default is None and getattr(self, f.name) is not None)


@dataclass(frozen=True)
class WriteOptions:
    """How a target is to be written; the defaults suit every format, most of the rest is ONNX's.

    Args:
        opset: the ONNX opset.
        with_state: an `initial_state` input [L*D, B, H].
        with_gates: the gates of every layer as further outputs.
        time_major: x and y are [T, B, *].
        layout: of the tensors, instead of nn.GRU's own: a shipped layout's name, or a .toml file.
    """

    opset: int | None = None
    with_state: bool = False
    with_gates: bool = False
    time_major: bool = False
    layout: str | None = None

    def given(self) -> tuple[str, ...]:
        """The names of the options that differ from their defaults."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != f.default)


@dataclass(frozen=True)
class StackEntry:
    """One stack in a file, found but not yet read.

    Args:
        name: unique in the file; a chain of layers is called "first:last".
        address: where it is, for a runtime that opens the file itself; JSON values only.
        layout: how its tensors lie in this file.
        read: read it.
        members: the layers of a chain, each selectable by itself.
    """

    name: str
    address: Mapping[str, Any]
    layout: Layout
    read: Callable[[], GRUSpec]
    members: tuple[StackEntry, ...] = ()


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Args:
        stacks: its GRUs, in natural order.
        others: what else in it is recurrent, e.g. "LSTM 'lstm_1'", for the message when there is no GRU.
        framework: who wrote the file, as far as it says.
        advice: what to do when there is no GRU, for the message.
    """

    stacks: tuple[StackEntry, ...]
    others: tuple[str, ...] = ()
    framework: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Provenance:
    """What a target says about where it came from; every value is a string."""

    entries: Mapping[str, str]


@dataclass(frozen=True)
class Written:
    """What a writer did.

    Args:
        stored: the spec exactly as the file now holds it, biases brought to the format's kind; reading
            the file must give these bits.
        records: one per tensor of the file.
        notes: what the user must know to use the file, e.g. that a merge of two halves is theirs to do.
    """

    stored: GRUSpec
    records: tuple[TensorRecord, ...]
    notes: tuple[str, ...] = ()


class FormatAdapter(Protocol):
    """The names a format's module has."""

    NAME: str
    """What the user calls it."""
    SUFFIXES: tuple[str, ...]
    """File name endings, lower case, the first one the default."""
    CAPABILITIES: Capabilities
    HINTS: frozenset[str]
    """The names of `ReadHints` that can matter to it."""
    OPTIONS: frozenset[str]
    """The names of `WriteOptions` that it takes."""

    def sniff(self, path: Path, head: bytes) -> bool:
        """Whether the file at `path`, which starts with the bytes `head`, is of this format."""

    def contents(self, path: Path, hints: ReadHints) -> Contents:
        """List the GRUs in the file. Raises FileFormatError."""

    def write(
        self, spec: GRUSpec, path: Path, options: WriteOptions, provenance: Provenance, source: Layout
    ) -> Written:
        """Write `spec` to the new file `path`; `source` is the layout that it came from, for the records.

        The caller has made sure that the format can hold the spec (`unsupported` found no reason).
        """


@runtime_checkable
class TensorAdapter(FormatAdapter, Protocol):
    """An adapter of files that are tensors with names, whose cells a layout may describe."""

    def tensors(self, path: Path) -> TensorFile:
        """List the tensors in the file. Raises FileFormatError."""
