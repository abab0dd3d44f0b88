"""The files and models in memory of a check: opened, their GRUs paired, and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from grubridge.artifacts import OpenArtifact, open_artifact
from grubridge.checker.plan import Subject
from grubridge.checker.result import CheckedArtifact
from grubridge.errors import StackSelectionError, UnknownFormatError
from grubridge.files.digest import LARGEST_HASHED, sha256
from grubridge.files.text import printable
from grubridge.formats.base import ReadHints, StackEntry
from grubridge.formats.registry import detect

from .in_memory import ModelInMemory, models_in_memory

__all__ = ["Opened", "open_all", "open_file", "open_files", "open_with_hints", "paired", "subjects"]

Opened = OpenArtifact | ModelInMemory


def open_all(artifacts: Sequence[object], hints: ReadHints) -> list[Opened]:
    """Open every path, and look into every model in memory.

    Raises:
        InvalidSpecError: when something is neither the path of a file nor a model.
        UnknownFormatError: when a hint is for none of them; and what `open_files` raises.
    """
    paths = [Path(one) for one in artifacts if isinstance(one, (str, Path))]
    models = models_in_memory([one for one in artifacts if not isinstance(one, (str, Path))], hints.layout)
    of_files = hints
    if any(model.layout is not None for model in models):
        described = [
            _by_layout(path, hints).contents.stacks for path in paths if "layout" in detect(path).HINTS
        ]
        of_files = hints if any(described) else replace(hints, layout=None)
    if of_files.given() and not paths:
        raise UnknownFormatError(
            f"{', '.join(of_files.given())}: for what a file does not say, and there is no file; a model in "
            "memory says all itself, but for the layout of cells in a torch module"
        )
    files, in_memory = iter(open_files(paths, of_files)), iter(models)
    return [next(files) if isinstance(one, (str, Path)) else next(in_memory) for one in artifacts]


def open_files(paths: Sequence[Path], hints: ReadHints) -> list[OpenArtifact]:
    """Open every file with those hints that are for it: a layout is for the files that hold its tensors.

    Raises:
        FileFormatError: when a file cannot be read.
        UnknownFormatError: when a hint is for none of the files.
        StackSelectionError: when no file holds the tensors of the layout.
    """
    for name in hints.given():
        if not any(name in detect(path).HINTS for path in paths):
            open_artifact(paths[0], None, hints)  # says so
    if hints.layout is not None:
        described = [path for path in paths if "layout" in detect(path).HINTS]
        if not any(_by_layout(path, hints).contents.stacks for path in described):
            _by_layout(described[0], hints).select()  # says what it holds instead
    return [open_file(path, hints) for path in paths]


def open_file(path: Path, hints: ReadHints) -> OpenArtifact:
    """Open a file with those hints that are for it."""
    return open_with_hints(path, hints)[0]


def open_with_hints(path: Path, hints: ReadHints) -> tuple[OpenArtifact, ReadHints]:
    """Open a file, and return the hints that are for it: the layout only where its tensors are there."""
    found = detect(path).HINTS
    if hints.layout is not None and "layout" in found:
        artifact = _by_layout(path, hints)
        if artifact.contents.stacks:
            return artifact, _of_layout(hints)
    foreign: dict[str, Any] = {name: None for name in hints.given() if name not in found or name == "layout"}
    own = replace(hints, **foreign)
    return open_artifact(path, None, own), own


def _by_layout(path: Path, hints: ReadHints) -> OpenArtifact:
    return open_artifact(path, None, _of_layout(hints))


def _of_layout(hints: ReadHints) -> ReadHints:
    return replace(hints, activation=None, recurrent_activation=None, reset_after=None)


def paired(opened: Sequence[Opened], stack: str | None, mapping: Mapping[str, str]) -> list[list[StackEntry]]:
    """Return one group per function to check, with an entry of every file in each."""
    first, others = opened[0], opened[1:]
    if mapping and (stack is not None or not others):
        raise StackSelectionError("--map A=B pairs GRUs of two files or more, and takes the place of --stack")
    if mapping:
        return [
            [first.select(one), *(artifact.select(other) for artifact in others)]
            for one, other in mapping.items()
        ]
    if stack is not None:
        return [[_named_or_only(artifact, stack, opened) for artifact in opened]]
    names = [artifact.names for artifact in opened]
    if all(len(found) <= 1 for found in names):
        return [[artifact.select() for artifact in opened]]
    if all(found and sorted(found) == sorted(names[0]) for found in names):
        return [[artifact.select(name) for artifact in opened] for name in names[0]]
    listed = "; ".join(
        f"{artifact.label} holds {', '.join(map(printable, found)) or 'none'}"
        for artifact, found in zip(opened, names, strict=True)
    )
    raise StackSelectionError(
        f"the GRUs of these files cannot be paired by name: {listed}. "
        "Say which belong together with --map A=B, or choose one with --stack NAME",
        [name for found in names for name in found],
    )


def _named_or_only(artifact: Opened, stack: str, opened: Sequence[Opened]) -> StackEntry:
    """The GRU of that name; where another file has one of that name, a file's only GRU may have another."""

    def has(one: Opened) -> bool:
        return one.holds(stack)

    elsewhere = any(has(other) for other in opened if other is not artifact)
    only = len(artifact.names) == 1 and elsewhere and not has(artifact)
    return artifact.select(None if only else stack)


def subjects(opened: Sequence[Opened], groups: Sequence[Sequence[StackEntry]]) -> list[tuple[Subject, ...]]:
    """Read every stack of every group."""
    places = [
        (artifact.label, entry.name)
        for group in groups
        for artifact, entry in zip(opened, group, strict=True)
    ]
    labels = [label for label, _ in dict.fromkeys(places)]
    digests = [None if isinstance(one, ModelInMemory) else _digest(one.path) for one in opened]
    made: list[tuple[Subject, ...]] = []
    for group in groups:
        own: list[Subject] = []
        for artifact, entry, digest in zip(opened, group, digests, strict=True):
            label = artifact.label
            if labels.count(label) > 1:
                label = f"{label}#{printable(entry.name)}"
            if isinstance(artifact, ModelInMemory):
                own.append(artifact.subject(entry, label))
                continue
            spec, path = artifact.read(entry), str(artifact.path)
            about = CheckedArtifact(label, path, artifact.format.NAME, entry.name, spec.dtype.name, digest)
            own.append(Subject(about, spec, entry))
        made.append(tuple(own))
    return made


def _digest(path: Path) -> str | None:
    return sha256(path) if path.stat().st_size <= LARGEST_HASHED else None
