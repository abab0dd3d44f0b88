"""The plan of a check: which artifact runs where, and what each run is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grubridge.backends.base import Artifact
from grubridge.backends.registry import BACKENDS, available, native_backend, require
from grubridge.formats.base import StackEntry
from grubridge.spec import GRUSpec, unsupported
from grubridge.traces import Probe, Trace

from .findings import Edge, Side
from .result import CheckedArtifact
from .temporary import native_format, written

__all__ = ["Held", "Plan", "PlannedRun", "Subject", "plan_conversion", "plan_group"]


@dataclass(frozen=True)
class Subject:
    """One stack of one file or of a model in memory, read.

    Args:
        about: what the report says of it.
        spec: what was read.
        entry: where it was found.
        run: runs a model in memory in this process, on a probe and a device; None for a file, which its
            runtime opens in a process of its own.
    """

    about: CheckedArtifact
    spec: GRUSpec
    entry: StackEntry
    run: Callable[[Probe, str], Trace] | None = None

    @property
    def label(self) -> str:
        """What the report calls it."""
        return self.about.label

    @property
    def artifact(self) -> Artifact:
        """What a runtime needs to find it."""
        return Artifact(self.about.path, self.about.format, self.entry.address)


@dataclass(frozen=True)
class Held:
    """What a run is held against.

    Args:
        edge: which edge this is.
        subject: whose equations.
        spec: those equations.
    """

    edge: Edge
    subject: Subject
    spec: GRUSpec


@dataclass(frozen=True)
class PlannedRun:
    """One run.

    Args:
        subject: what runs; for a temporary file, what it was made of.
        label: what the report calls the file.
        backend: where it runs.
        artifact: the file.
        held: what the run is held against.
        temporary: whether grubridge wrote the file only to run it.
    """

    subject: Subject
    label: str
    backend: str
    artifact: Artifact
    held: tuple[Held, ...]
    temporary: bool = False

    @property
    def side(self) -> Side:
        """What comparisons call the run."""
        return Side(self.label, self.backend)


@dataclass(frozen=True)
class Plan:
    """The runs of one check.

    Args:
        first: what the others are held against.
        runs: what to run.
        left_out: runtimes that have no part, and why.
        not_run: why files are not run.
    """

    first: Subject
    runs: tuple[PlannedRun, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    not_run: tuple[str, ...] = ()


def plan_group(subjects: Sequence[Subject], backends: Sequence[str] | None, folder: Path) -> Plan:
    """Plan the check that `subjects` are one function.

    Every file runs natively. Further runtimes run the first one's spec, written to a temporary file of their
    own format.

    Args:
        subjects: one or more; the first is what the others are held against.
        backends: the runtimes to use; None for the native ones, and for all that are installed when there
            is one subject.
        folder: for temporary files.

    Raises:
        BackendError: when a name is not a runtime's.
        MissingDependencyError: when the runtime of a file, or one that was named, is not installed.
    """
    first = subjects[0]
    runs: list[PlannedRun] = []
    left_out: list[tuple[str, str]] = []
    not_run: list[str] = []
    for subject in subjects:
        native = native_backend(subject.about.format)
        if backends is not None and native not in backends:
            chosen = ", ".join(backends)
            not_run.append(
                f"{subject.label} runs on {native}, and only {chosen} was to be used: add --backend {native}"
            )
            continue
        held = [Held("read", subject, subject.spec)]
        if subject is not first:
            held.append(Held("end-to-end", first, first.spec))
        runs.append(_native(subject, *held))
    native_ones = {native_backend(subject.about.format) for subject in subjects}
    for name in _further(backends, alone=len(subjects) == 1):
        if name in native_ones:
            continue
        reason = _obstacle(first.spec, name)
        if reason:
            left_out.append((name, reason))
        else:
            runs.append(_written_for(name, first, folder))
    return Plan(first, tuple(runs), tuple(left_out), tuple(not_run))


def plan_conversion(source: Subject, target: Subject) -> Plan:
    """Plan the check that `target`, made of `source`, executes its equations in the target's precision.

    A cast that was asked for makes another function, so end to end is held only where there was none.
    """
    asked_for = source.spec.astype(target.spec.dtype.name)
    held = [Held("write", source, asked_for)]
    if asked_for is source.spec:
        held.append(Held("end-to-end", source, source.spec))
    return Plan(source, (_native(source, Held("read", source, source.spec)), _native(target, *held)))


def _native(subject: Subject, *held: Held) -> PlannedRun:
    backend = native_backend(subject.about.format)
    require(backend)
    return PlannedRun(subject, subject.label, backend, subject.artifact, held)


def _further(backends: Sequence[str] | None, *, alone: bool) -> Iterable[str]:
    if backends is None:
        return BACKENDS if alone else ()
    for name in backends:
        require(name)
    return dict.fromkeys(backends)


def _obstacle(spec: GRUSpec, backend: str) -> str | None:
    """Why a runtime cannot have a part; None when it can."""
    entry = BACKENDS[backend]
    if not available(backend):
        return f"not installed: pip install 'grubridge[{entry.extra}]'"
    target = native_format(backend)
    return "; ".join(unsupported(spec, target.CAPABILITIES, target.NAME)) or None


def _written_for(backend: str, subject: Subject, folder: Path) -> PlannedRun:
    """Write the subject's spec to a temporary file of the runtime's own format."""
    stem = folder / str(len(list(folder.iterdir())))
    artifact = written(subject.spec, backend, stem, subject.entry.layout)
    held = Held("write", subject, subject.spec)
    label = f"{subject.label} as {artifact.format}"
    return PlannedRun(subject, label, backend, artifact, (held,), temporary=True)
