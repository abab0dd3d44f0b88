"""Are these files the same function? Opened, paired, run in their own frameworks, compared."""

from __future__ import annotations

import platform
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from grubridge.artifacts import OpenArtifact, open_artifact
from grubridge.checker.carry_out import Conditions, Task, carry_out
from grubridge.checker.executed import Probes
from grubridge.checker.findings import Cause, Tolerance
from grubridge.checker.outcome import Outcome
from grubridge.checker.plan import Subject, plan_conversion, plan_group
from grubridge.checker.probe import BATCH, STEPS, designed_probe, probe_from_file, random_probe
from grubridge.checker.result import CheckedArtifact, CheckedProbe, CheckReport
from grubridge.checker.structure import shapes
from grubridge.checker.verdict import Verdict, combined
from grubridge.errors import BackendError, ProbeError, StackSelectionError
from grubridge.files.digest import LARGEST_HASHED, sha256
from grubridge.files.opening import shown
from grubridge.files.text import printable
from grubridge.formats.base import ReadHints, StackEntry
from grubridge.formats.registry import detect
from grubridge.traces import Probe
from grubridge.version import __version__

__all__ = ["verify", "verify_conversion"]

_DEVICE = re.compile("auto|cpu|cuda(:[0-9]+)?")


def verify(  # noqa: PLR0913 - the options of one command
    *artifacts: Path | str,
    stack: str | None = None,
    mapping: Mapping[str, str] | None = None,
    inputs: Path | str | None = None,
    seed: int = 0,
    batch: int = BATCH,
    steps: int = STEPS,
    lengths: Sequence[int] | None = None,
    backends: Sequence[str] | None = None,
    device: str = "auto",
    allow_tf32: bool = False,
    tolerance: Tolerance | None = None,
    hints: ReadHints | None = None,
) -> CheckReport:
    """Run model files in their own frameworks on the same inputs and say whether they are one function.

    Args:
        artifacts: two files or more; or one, which then runs through every installed runtime.
        stack: the GRU to check, in every file that has one of that name; a file's only GRU may have another.
        mapping: the first file's GRU -> the others' GRU; only these are checked.
        inputs: an .npy file of x [B, T, I], or an .npz file of x, initial_state [L*D, B, H], lengths [B].
        seed: of random inputs.
        batch: sequences of random inputs.
        steps: steps of random inputs; 3 at least show every mistake.
        lengths: valid steps of each random sequence; None for unequal ones.
        backends: only these runtimes; None for the files' own.
        device: "auto", "cpu", "cuda" or "cuda:N".
        allow_tf32: whether a GPU may round float32 factors of matrix products to TF32.
        tolerance: the user's own, on the hidden states of the free runs; it then decides, and the report
            says beside it what the rounding bound says.
        hints: what a Keras weights file does not say itself.

    Raises:
        FileFormatError: when a file cannot be read.
        StackSelectionError: when GRUs of the files cannot be paired.
        ProbeError: when the inputs do not fit.
        BackendError: when a runtime or device is not known, or a runtime does not offer the device.
        MissingDependencyError: when a runtime was named that is not installed.
    """
    if not artifacts:
        raise ProbeError("verify needs at least one model file; received none")
    if _DEVICE.fullmatch(device) is None:
        raise BackendError(f"unknown device {device!r}; known: auto, cpu, cuda, cuda:N")
    if inputs is not None and (seed, batch, steps, lengths) != (0, BATCH, STEPS, None):
        raise ProbeError("a file of inputs brings its own sizes: leave out seed, batch, steps and lengths")
    opened = [_opened(Path(path), hints or ReadHints()) for path in artifacts]
    _check_hints(opened, hints or ReadHints())
    groups = _subjects(opened, _paired(opened, stack, mapping or {}))
    mismatches = [cause for group in groups for cause in _shape_causes(group)]
    if mismatches:
        return _report(groups, [Outcome(diagnosis=mismatches)], None, tolerance, Verdict.DIFFERENT)

    def probes(group: Sequence[Subject]) -> Probes:
        specs = [subject.spec for subject in group]
        designed = designed_probe(specs, seed)
        if inputs is not None:
            return Probes(probe_from_file(Path(inputs), specs), designed)
        return Probes(random_probe(specs, seed=seed, batch=batch, steps=steps, lengths=lengths), designed)

    with tempfile.TemporaryDirectory(prefix="grubridge-") as folder:
        tasks = [Task(plan_group(group, backends, Path(folder)), probes(group)) for group in groups]
        outcomes = carry_out(tasks, Conditions(device, allow_tf32, tolerance), Path(folder))
    return _report(groups, outcomes, tasks[0].probes.inputs, tolerance)


class _Converted(Protocol):
    """What `conversion.Conversion` says of a conversion."""

    @property
    def source(self) -> Path: ...
    @property
    def target(self) -> Path: ...
    @property
    def stack(self) -> str: ...


def verify_conversion(
    conversion: _Converted, *, hints: ReadHints | None = None, seed: int = 0, device: str = "auto"
) -> CheckReport:
    """Run source and target of a conversion in their own frameworks.

    The target must execute the source's equations in the precision it was written in, so a cast that was
    asked for is no difference.

    Args:
        conversion: what `convert` returned.
        hints: what a Keras weights file does not say itself.
        seed: of the random inputs.
        device: "auto", "cpu" or "cuda".
    """
    opened = [_opened(path, hints or ReadHints()) for path in (conversion.source, conversion.target)]
    entries = [opened[0].select(conversion.stack), opened[1].select()]
    ((source, target),) = _subjects(opened, [entries])
    specs = [source.spec, target.spec]
    inputs = random_probe(specs, seed=seed, batch=BATCH, steps=STEPS)
    task = Task(plan_conversion(source, target), Probes(inputs, designed_probe(specs, seed)))
    with tempfile.TemporaryDirectory(prefix="grubridge-") as folder:
        outcomes = carry_out([task], Conditions(device), Path(folder))
    return _report([(source, target)], outcomes, inputs)


def _opened(path: Path, hints: ReadHints) -> OpenArtifact:
    """Open a file with those hints that are for its format."""
    foreign = {name: None for name in hints.given() if name not in detect(path).HINTS}
    return open_artifact(path, None, replace(hints, **foreign))


def _check_hints(opened: Sequence[OpenArtifact], hints: ReadHints) -> None:
    """Refuse hints that no file has a use for."""
    for name in hints.given():
        if not any(name in artifact.format.HINTS for artifact in opened):
            open_artifact(opened[0].path, None, hints)  # says so


def _paired(
    opened: Sequence[OpenArtifact], stack: str | None, mapping: Mapping[str, str]
) -> list[list[StackEntry]]:
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
    names = [[entry.name for entry in artifact.contents.stacks] for artifact in opened]
    if all(len(found) <= 1 for found in names):
        return [[artifact.select() for artifact in opened]]
    if all(found and sorted(found) == sorted(names[0]) for found in names):
        return [[artifact.select(name) for artifact in opened] for name in names[0]]
    listed = "; ".join(
        f"{shown(artifact.path)} holds {', '.join(map(printable, found)) or 'none'}"
        for artifact, found in zip(opened, names, strict=True)
    )
    raise StackSelectionError(
        f"the GRUs of these files cannot be paired by name: {listed}. "
        "Say which belong together with --map A=B, or choose one with --stack NAME",
        [name for found in names for name in found],
    )


def _named_or_only(artifact: OpenArtifact, stack: str, opened: Sequence[OpenArtifact]) -> StackEntry:
    """The GRU of that name; where another file has one of that name, a file's only GRU may have another."""

    def has(one: OpenArtifact) -> bool:
        stacks = one.contents.stacks
        return any(stack in (entry.name, *(m.name for m in entry.members)) for entry in stacks)

    elsewhere = any(has(other) for other in opened if other is not artifact)
    only = len(artifact.contents.stacks) == 1 and elsewhere and not has(artifact)
    return artifact.select(None if only else stack)


def _subjects(
    opened: Sequence[OpenArtifact], groups: Sequence[Sequence[StackEntry]]
) -> list[tuple[Subject, ...]]:
    """Read every stack of every group."""
    places = [
        (str(artifact.path), entry.name)
        for group in groups
        for artifact, entry in zip(opened, group, strict=True)
    ]
    paths = [path for path, _ in dict.fromkeys(places)]
    digests = [_digest(artifact.path) for artifact in opened]
    made: list[tuple[Subject, ...]] = []
    for group in groups:
        subjects: list[Subject] = []
        for artifact, entry, digest in zip(opened, group, digests, strict=True):
            spec = artifact.read(entry)
            path = str(artifact.path)
            label = shown(path) if paths.count(path) == 1 else f"{shown(path)}#{printable(entry.name)}"
            about = CheckedArtifact(label, path, artifact.format.NAME, entry.name, spec.dtype.name, digest)
            subjects.append(Subject(about, spec, entry))
        made.append(tuple(subjects))
    return made


def _digest(path: Path) -> str | None:
    return sha256(path) if path.stat().st_size <= LARGEST_HASHED else None


def _shape_causes(group: Sequence[Subject]) -> list[Cause]:
    first = group[0]
    causes = (shapes(first.spec, other.spec, (first.label, other.label)) for other in group[1:])
    return [Cause("structure", cause) for cause in causes if cause is not None]


def _report(
    groups: Sequence[Sequence[Subject]],
    outcomes: Sequence[Outcome],
    probe: Probe | None,
    tolerance: Tolerance | None = None,
    mismatch: Verdict | None = None,
) -> CheckReport:
    by_the_bound, by_tolerance = (
        mismatch if mismatch is not None else combined(verdicts)
        for verdicts in (
            [outcome.by_the_bound for outcome in outcomes],
            [outcome.by_tolerance for outcome in outcomes],
        )
    )
    return CheckReport(
        verdict=by_the_bound if tolerance is None else by_tolerance,
        by_the_bound=by_the_bound,
        artifacts=tuple(subject.about for group in groups for subject in group),
        runs=tuple(run for outcome in outcomes for run in outcome.runs),
        proofs=tuple(one for outcome in outcomes for one in outcome.proofs),
        sensitivity=tuple(one for outcome in outcomes for one in outcome.sensitivity),
        comparisons=tuple(one for outcome in outcomes for one in outcome.comparisons),
        diagnosis=tuple(dict.fromkeys(cause for outcome in outcomes for cause in outcome.diagnosis)),
        drift=tuple(one for outcome in outcomes for one in outcome.drift),
        lyapunov_exponent=max(
            (one.lyapunov_exponent for one in outcomes if one.lyapunov_exponent is not None), default=None
        ),
        tolerance=tolerance,
        tolerated=tuple(one for outcome in outcomes for one in outcome.tolerated),
        probe=None if probe is None else _checked(probe, groups[0][0]),
        environment={
            "grubridge": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": f"{platform.system()} {platform.machine()}".lower(),
        },
        left_out=dict(entry for outcome in outcomes for entry in outcome.left_out),
    )


def _checked(probe: Probe, first: Subject) -> CheckedProbe:
    learned = any(direction.initial_state is not None for _, _, direction in first.spec.directions())
    lengths = None if probe.lengths is None else tuple(int(length) for length in probe.lengths)
    start = "given" if probe.initial_state else "learned" if learned else "zero"
    return CheckedProbe(probe.origin, probe.batch, probe.steps, lengths, start)  # type: ignore[arg-type]
