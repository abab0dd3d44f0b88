"""A model file, opened: which format it is in, which GRUs it holds, and the one that was asked for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from grubridge.errors import GRUBridgeError, StackSelectionError, UnknownFormatError
from grubridge.files.opening import shown
from grubridge.files.strips import all_finite
from grubridge.files.text import listed, nearest, printable, quoted
from grubridge.files.written import WrittenArrays
from grubridge.formats.base import Contents, FormatAdapter, ReadHints, StackEntry
from grubridge.formats.registry import adapter, detect, located
from grubridge.spec import GRUSpec

__all__ = ["NonFiniteWeightWarning", "OpenArtifact", "open_artifact"]


class NonFiniteWeightWarning(UserWarning):
    """A file's weights hold NaN or infinity; the model cannot work, but the file can be read."""


@dataclass(frozen=True)
class OpenArtifact:
    """A model file whose contents are known.

    Args:
        path: the file.
        format: the adapter that reads it.
        contents: the stacks in it.
    """

    path: Path
    format: FormatAdapter
    contents: Contents

    @property
    def label(self) -> str:
        """What messages call it."""
        return shown(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """What its GRUs are called, chains of layers by one name."""
        return tuple(entry.name for entry in self.contents.stacks)

    def holds(self, name: str) -> bool:
        """Whether `select` finds a GRU of that name."""
        return any(entry.name == name for entry in self._selectable())

    def select(self, name: str | None = None) -> StackEntry:
        """Return the stack called `name`, or the only one.

        A chain's layers can be named too.

        Raises:
            StackSelectionError: when there is none, or several and no name.
        """
        stacks = self.contents.stacks
        if not stacks:
            raise StackSelectionError(f"{shown(self.path)}: no GRU in it; {self._instead()}")
        if name is None:
            if len(stacks) == 1:
                return stacks[0]
            names = [entry.name for entry in stacks]
            raise StackSelectionError(
                f"{shown(self.path)}: it holds {len(stacks)} GRUs: {listed(names)}; "
                "choose one with --stack NAME, or convert --all",
                names,
            )
        known = {entry.name: entry for entry in self._selectable()}
        if name not in known:
            raise StackSelectionError(
                f"{shown(self.path)}: no GRU is called {quoted(name)}.{nearest(name, known)} "
                f"It holds: {listed(list(known))}",
                list(known),
            )
        return known[name]

    def read(self, entry: StackEntry) -> GRUSpec:
        """Read a stack; `load` and `warn_of_non_finite` in one."""
        spec = self.load(entry)
        self.warn_of_non_finite(entry, spec)
        return spec

    def load(self, entry: StackEntry) -> GRUSpec:
        """Read a stack.

        Raises:
            FileFormatError: when the file is damaged.
            InvalidSpecError: when what it holds is no GRU; the message names file and stack.
        """
        try:
            return entry.read()
        except GRUBridgeError as error:
            if shown(self.path) in str(error):
                raise
            raise type(error)(f"{shown(self.path)}, {printable(entry.name)}: {error}") from error

    def warn_of_non_finite(
        self, entry: StackEntry, spec: GRUSpec, written: WrittenArrays | None = None
    ) -> None:
        """Look for NaN and infinity in every array of a stack that was not written and seen without them.

        Warns:
            NonFiniteWeightWarning: when weights hold NaN or infinity.
        """
        for name, array in spec.arrays():
            if not (written and written.is_finite(array)) and not all_finite(array):
                warnings.warn(
                    f"{shown(self.path)}, {printable(entry.name)}: {name} holds NaN or infinity; the file "
                    "was probably saved after training had diverged",
                    NonFiniteWeightWarning,
                    stacklevel=2,
                )
                break

    def _selectable(self) -> list[StackEntry]:
        stacks = self.contents.stacks
        return [*stacks, *(member for entry in stacks for member in entry.members)]

    def _instead(self) -> str:
        others, advice = self.contents.others, self.contents.advice
        if others:
            told = f"it holds {listed(others)}, which grubridge does not convert"
            return f"{told}; {advice}" if advice else told
        return advice or "it holds no recurrent layer that grubridge knows"


def open_artifact(
    path: Path | str, from_format: str | None = None, hints: ReadHints | None = None
) -> OpenArtifact:
    """Open a model file.

    Args:
        path: the file; of a TensorFlow checkpoint the prefix, any of its files, or its folder.
        from_format: the format's name; None lets the content decide.
        hints: what the file does not say itself.

    Raises:
        FileFormatError: when it cannot be read.
        UnknownFormatError: when no format recognises it.
    """
    path = located(Path(path))
    hints = hints or ReadHints()
    found = detect(path)
    if from_format is not None and adapter(from_format).NAME != found.NAME:
        raise UnknownFormatError(f"{shown(path)}: --from says {from_format}, but the file is {found.NAME}")
    foreign = [name for name in hints.given() if name not in found.HINTS]
    if "layout" in foreign:
        raise UnknownFormatError(
            f"{shown(path)}: {hints.called('layout')} is for files of named tensors; this file is "
            f"{found.NAME}, which says these things itself"
        )
    if foreign:
        raise UnknownFormatError(
            f"{shown(path)}: {', '.join(map(hints.called, foreign))} is for Keras weights without a model; "
            f"this file is {found.NAME} and says these things itself"
        )
    return OpenArtifact(path, found, found.contents(path, hints))
