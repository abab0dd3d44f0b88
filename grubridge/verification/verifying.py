"""The story of a check: files opened and paired, run in their own frameworks, compared."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from grubridge.backends.pool import Serve
from grubridge.backends.registry import DEVICE
from grubridge.checker.aim import aimed
from grubridge.checker.carry_out import Conditions, Task, carry_out
from grubridge.checker.executed import Probes
from grubridge.checker.findings import Tolerance
from grubridge.checker.outcome import Outcome
from grubridge.checker.plan import Subject, plan_conversion, plan_group
from grubridge.checker.probe import BATCH, STEPS, designed_probe, given_probe, random_probe
from grubridge.checker.recorded import held
from grubridge.checker.recording import Recording, read_recording
from grubridge.checker.result import CheckReport
from grubridge.checker.verdict import Verdict
from grubridge.errors import BackendError, ProbeError
from grubridge.files.changes import check_sources, watched
from grubridge.files.text import quoted
from grubridge.formats.base import ReadHints

from .asked import options_of_files
from .pairing import open_all, open_file, paired, subjects
from .reporting import plain_causes, report

__all__ = ["verify", "verify_conversion"]

_USUAL = (0, BATCH, STEPS, None, "auto", False, None)
"""The settings of runs where none is given."""


@watched()
def verify(  # noqa: PLR0913 - the options of one command
    *artifacts: object,
    stack: str | None = None,
    mapping: Mapping[str, str] | None = None,
    inputs: object = None,
    seed: int = 0,
    batch: int = BATCH,
    steps: int = STEPS,
    lengths: Sequence[int] | None = None,
    backends: Sequence[str] | None = None,
    device: str = "auto",
    allow_tf32: bool = False,
    tolerance: Tolerance | None = None,
    hints: ReadHints | None = None,
    example: Path | str | None = None,
    serve: Serve | None = None,
    keep_pictures: bool = False,
) -> CheckReport:
    """Run models in their own frameworks on the same inputs and say whether they are one function.

    Args:
        artifacts: two or more; or one, which then runs through every installed runtime; or one and an
            example, for which nothing needs to run. Each is the path of a file, which runs in a process of
            its own; or a model in memory, which its framework runs in this process and which stays as it is:
            what `trace` takes.
        stack: the GRU to check, in every file that has one of that name; a file's only GRU may have another.
        mapping: the first file's GRU -> the others' GRU; only these are checked.
        inputs: an .npy file of x [B, T, I], or an .npz file of x, initial_state [L*D, B, H], lengths [B];
            or these arrays: x, or a mapping.
        seed: of random inputs.
        batch: sequences of random inputs.
        steps: steps of random inputs; 3 at least show every mistake.
        lengths: valid steps of each random sequence; None for unequal ones.
        backends: only these runtimes; None for the files' own.
        device: "auto", "cpu", "cuda" or "cuda:N".
        allow_tf32: whether a GPU may round float32 factors of matrix products to TF32.
        tolerance: the user's own, on the hidden states of the free runs; it then decides, and the report
            says beside it what the rounding bound says.
        hints: what files do not say themselves: a layout, for all files that hold its tensors; what Keras
            weights leave out.
        example: an .npz file of a recorded run of one's own code (`checker.recording`), which is held against
            the first file's equations.
        serve: the processes of runtimes to use (`backends.pool.Pool.serve`), where several checks share them;
            None starts one of each that is needed, and ends it.
        keep_pictures: keep what an HTML page shows beyond the report (`CheckReport.pictures`).

    Raises:
        FileFormatError: when a file cannot be read, or changes while it is read and run.
        InvalidSpecError: when an artifact is neither a path nor a model that grubridge knows.
        LayoutError: when the layout's description is wrong.
        StackSelectionError: when GRUs of the files cannot be paired, or none has the layout.
        ProbeError: when the inputs or the example do not fit.
        BackendError: when a runtime or device is not known, or a runtime does not offer the device.
        MissingDependencyError: when a runtime was named that is not installed.
    """
    if not artifacts:
        raise ProbeError("verify needs at least one model file; received none")
    if DEVICE.fullmatch(device) is None:
        raise BackendError(f"unknown device {quoted(device)}; known: auto, cpu, cuda, cuda:N")
    if inputs is not None and (seed, batch, steps, lengths) != (0, BATCH, STEPS, None):
        raise ProbeError("inputs bring their own sizes: leave out seed, batch, steps and lengths")
    recording = None if example is None else read_recording(Path(example))
    runs = recording is None or len(artifacts) > 1 or backends is not None
    settings = (seed, batch, steps, lengths, device, allow_tf32, tolerance)
    if not runs and (inputs is not None or settings != _USUAL):
        raise ProbeError(
            "one file and an example: nothing runs, so leave out inputs, seed, batch, steps, lengths, "
            "device, allow_tf32 and tolerance, or name a runtime (backends)"
        )
    hints, mapping = hints or ReadHints(), mapping or {}
    options = options_of_files(hints, stack, mapping, example)
    opened = open_all(artifacts, hints)
    groups = subjects(opened, paired(opened, stack, mapping))
    mismatches = [cause for group in groups for cause in plain_causes(group)]
    if mismatches:
        found = [Outcome(diagnosis=mismatches)]
        return report(
            groups,
            found,
            None,
            tolerance=tolerance,
            known=Verdict.DIFFERENT,
            options=options,
            keep_pictures=keep_pictures,
        )
    recorded = None if recording is None else _recorded(recording, groups, keep_pictures=keep_pictures)
    if recording is not None and not runs:
        probe = recording.probe(groups[0][0].spec)
        return report(groups, [], probe, recorded=recorded, options=options, keep_pictures=keep_pictures)

    def probes(group: Sequence[Subject]) -> Probes:
        specs = [subject.spec for subject in group]
        designed = aimed(designed_probe(specs, seed), specs, seed)
        if inputs is not None:
            return Probes(given_probe(inputs, specs), designed)
        return Probes(random_probe(specs, seed=seed, batch=batch, steps=steps, lengths=lengths), designed)

    with tempfile.TemporaryDirectory(prefix="grubridge-") as folder:
        tasks = [Task(plan_group(group, backends, Path(folder)), probes(group)) for group in groups]
        conditions = Conditions(device, allow_tf32, tolerance, serve, keep_pictures)
        outcomes = carry_out(tasks, conditions, Path(folder))
        check_sources([])
    return report(
        groups,
        outcomes,
        tasks[0].probes.inputs,
        tolerance=tolerance,
        recorded=recorded,
        options=options,
        keep_pictures=keep_pictures,
    )


def _recorded(recording: Recording, groups: Sequence[Sequence[Subject]], *, keep_pictures: bool) -> Outcome:
    if len(groups) > 1:
        raise ProbeError("an example is a run of one GRU: choose it with --stack NAME, or --map A=B")
    first = groups[0][0]
    return held(first.label, first.spec, recording, keep_pictures=keep_pictures)


class _Converted(Protocol):
    """What `conversion.Conversion` says of a conversion."""

    @property
    def source(self) -> Path: ...
    @property
    def target(self) -> Path: ...
    @property
    def stack(self) -> str: ...
    @property
    def target_layout(self) -> str | None: ...


@watched()
def verify_conversion(
    conversion: _Converted, *, hints: ReadHints | None = None, seed: int = 0, device: str = "auto"
) -> CheckReport:
    """Run source and target of a conversion in their own frameworks.

    The target must execute the source's equations in the precision it was written in, so a cast that was
    asked for is no difference.

    Args:
        conversion: what `convert` returned.
        hints: what the source does not say itself.
        seed: of the random inputs.
        device: "auto", "cpu" or "cuda".
    """
    of_source = hints or ReadHints()
    of_target = replace(of_source, layout=conversion.target_layout)
    opened = [open_file(conversion.source, of_source), open_file(conversion.target, of_target)]
    entries = [opened[0].select(conversion.stack), opened[1].select()]
    ((source, target),) = subjects(opened, [entries])
    specs = [source.spec, target.spec]
    inputs = random_probe(specs, seed=seed, batch=BATCH, steps=STEPS)
    designed = aimed(designed_probe(specs, seed), specs, seed)
    task = Task(plan_conversion(source, target), Probes(inputs, designed))
    with tempfile.TemporaryDirectory(prefix="grubridge-") as folder:
        outcomes = carry_out([task], Conditions(device), Path(folder))
        check_sources([])
    return report([(source, target)], outcomes, inputs)
