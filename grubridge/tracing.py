"""What a trained model's gates do: update, reset, candidate and hidden state of every step, unit by unit."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from grubridge import notebooks
from grubridge.artifacts import open_artifact
from grubridge.backends.launch import Job, run_jobs
from grubridge.backends.registry import BACKENDS, native_backend
from grubridge.checker.plan import Subject, plan_group
from grubridge.checker.probe import BATCH, STEPS, given_probe, random_probe
from grubridge.checker.result import CheckedArtifact
from grubridge.diagnosis.recomposition import recomposition
from grubridge.diagnosis.statistics import DirectionStatistics, statistics
from grubridge.errors import (
    BackendError,
    CannotRunError,
    DeviceError,
    GRUBridgeError,
    MissingDependencyError,
    ProbeError,
    TargetError,
    UnknownFormatError,
)
from grubridge.files.changes import check_sources, watched
from grubridge.files.opening import shown
from grubridge.files.staging import check_target, staged
from grubridge.files.text import nearest, quoted
from grubridge.formats.base import ReadHints
from grubridge.live.running import find_gru
from grubridge.reference import run as run_reference
from grubridge.reference.tapped import Recomposition
from grubridge.spec import Array, GRUSpec
from grubridge.traces import DirectionTrace, Place, Probe, Trace

__all__ = ["TracedModel", "trace"]

REFERENCE = "reference"
"""The float64 equations in the place of a runtime."""


@dataclass(frozen=True)
class TracedModel:
    """What a model did: `traced[0, "forward"].gates.update` is z of the first layer, [B, T, H].

    Args:
        model: the file, or the kind of the object in memory.
        stack: the name of the GRU in it.
        spec: what it computes.
        probe: its inputs.
        trace: its run.
        unit: the only hidden unit that statistics and reports show; None for all.
    """

    model: str
    stack: str
    spec: GRUSpec
    probe: Probe
    trace: Trace
    unit: int | None = None

    def __getitem__(self, place: Place) -> DirectionTrace:
        return self.trace[place]

    def _repr_html_(self) -> str | None:
        return notebooks.html(self, "trace_fragment")

    def of_unit(self, unit: int) -> TracedModel:
        """Return the same trace, of which statistics and reports show one hidden unit.

        Raises:
            ProbeError: when a layer has no such unit.
        """
        smallest = min(layer.hidden_size for layer in self.spec.layers)
        if not 0 <= unit < smallest:
            raise ProbeError(f"unit must be 0 to {smallest - 1}, which every layer has; received {unit}")
        return replace(self, unit=unit)

    def statistics(self, place: Place) -> DirectionStatistics:
        """Return what the gates of a layer's direction do over time."""
        return statistics(self[place], self.probe.lengths, self.unit)

    def recomposition(self, place: Place) -> Recomposition | None:
        """Return how well the gates of a layer's direction give back its states; None without gates."""
        return recomposition(self.spec, self.trace, place, self.probe.lengths)

    def arrays(self) -> dict[str, Array]:
        """Return all arrays by the names that they have in an .npz file.

        These are x [B, T, I]; lengths [B], unless all sequences are T long; for every layer and direction
        "layer0.forward.x" [B, T, I], which it received, "layer0.forward.initial_state" [B, H], and
        "layer0.forward.hidden", ".update", ".reset" and ".candidate" [B, T, H]; and about, a JSON text: the
        model, its runtime, how the gates were obtained. Steps are in time order in both directions and mean
        nothing past a sequence's end. Arrays are of the runtime's own dtype, bfloat16 as float32.
        """
        about = {"model": self.model, "stack": self.stack, "inputs": self.probe.origin, **self.trace.about()}
        lengths = {} if self.probe.lengths is None else {"lengths": self.probe.lengths}
        return {"x": self.probe.x, **lengths, **self.trace.arrays(), "about": np.array(json.dumps(about))}


@watched()
def trace(  # noqa: PLR0913 - the options of one command
    model: object,
    inputs: object = None,
    *,
    stack: str | None = None,
    backend: str | None = None,
    device: str = "auto",
    seed: int = 0,
    batch: int = BATCH,
    steps: int = STEPS,
    lengths: Sequence[int] | None = None,
    hints: ReadHints | None = None,
    layout: str | None = None,
    out: Path | str | None = None,
    force: bool = False,
) -> TracedModel:
    """Run a trained model, unchanged, and return its gates and hidden states of every step.

    Args:
        model: the path of a model file, which runs in its own framework in a process of its own; or an object
            in memory, which its framework runs in this process and which stays as it is: torch.nn.GRU,
            nn.GRUCell or a module with one in it, a Keras GRU, GRUCell, RNN, Bidirectional or a model with
            one in it, an ONNX ModelProto; with a layout, a torch module with a hand-written cell in it.
        inputs: what the GRU receives: x [B, T, I]; a mapping with x and, if wanted, lengths [B] and
            initial_state [L*D, B, H]; or the path of an .npy or .npz file of these. None for random x, every
            sequence `steps` long, from the state that the model itself starts from.
        stack: which GRU of the model; None when there is one.
        backend: another runtime than the model's own (files only), or "reference": the float64 equations,
            which need no framework.
        device: "auto", "cpu" or "cuda".
        seed: of random inputs.
        batch: sequences of random inputs.
        steps: steps of random inputs.
        lengths: valid steps of each random sequence.
        hints: what a Keras weights file does not say itself.
        layout: short for `hints.layout`, of a hand-written cell: a shipped layout's name, or a .toml file.
            The cell is computed as that says, with its framework's operators; its own code is not called.
        out: an .npz file to write, atomically; `TracedModel.arrays` says what it holds.
        force: replace that file if it exists.

    Raises:
        FileFormatError: when the file cannot be read.
        InvalidSpecError: when the object in memory is no such model.
        StackSelectionError: when there is no GRU, or several and none was chosen.
        LayoutError: when there is no such layout.
        ProbeError: when the inputs do not fit.
        BackendError: when the runtime is not known or fails, or does not offer the device.
        MissingDependencyError: when the runtime is not installed.
        TargetError: when `out` cannot be written.
    """
    if inputs is not None and (seed, batch, steps, lengths) != (0, BATCH, STEPS, None):
        raise ProbeError("inputs bring their own sizes: leave out seed, batch, steps and lengths")
    if out is not None:
        _check_npz(Path(out), force=force)
    hints = hints or ReadHints()
    if layout is not None:
        hints = replace(hints, layout=layout)
    if isinstance(model, (str, Path)):
        found = _in_file(Path(model), stack, backend, hints)
    else:
        found = _in_memory(model, stack, backend, hints)
    if inputs is None:
        # Random initial states, with which a check shows mistakes, would be an artefact here.
        whole = [steps] * batch if lengths is None else lengths
        drawn = random_probe([found.spec], seed=seed, batch=batch, steps=steps, lengths=whole)
        probe = replace(drawn, initial_state={})
    else:
        probe = given_probe(inputs, [found.spec])
    made = _equations(found.spec, probe, device) if backend == REFERENCE else found.run(probe, device)
    traced = TracedModel(found.model, found.stack, found.spec, probe, made)
    if out is not None:
        with staged(Path(out), force=force) as new:
            np.savez(new, **traced.arrays())  # type: ignore[arg-type]  # numpy takes a name for a flag
    return traced


def _check_npz(out: Path, *, force: bool) -> None:
    if out.suffix != ".npz":
        raise TargetError(f"{shown(out)}: a trace is written as .npz; expected a name that ends so")
    check_target(out, force=force)


@dataclass(frozen=True)
class _Found:
    """A GRU to run: the model's label, the GRU's name in it, its spec, and its run on a device."""

    model: str
    stack: str
    spec: GRUSpec
    run: Callable[[Probe, str], Trace]


def _in_memory(model: object, stack: str | None, backend: str | None, hints: ReadHints) -> _Found:
    if replace(hints, layout=None).given():
        raise UnknownFormatError("hints are for Keras weights files; a model in memory says all itself")
    gru = find_gru(model, stack, hints.layout)
    if backend not in (None, gru.backend, REFERENCE):
        raise BackendError(
            f"a model in memory runs in its own framework, {gru.backend}, or by the float64 equations "
            f"({REFERENCE}); received backend {quoted(backend)}: write it to a file first"
        )
    return _Found(f"{type(model).__name__} in memory", gru.name, gru.spec, gru.run)


def _in_file(path: Path, stack: str | None, backend: str | None, hints: ReadHints) -> _Found:
    artifact = open_artifact(path, None, hints)
    entry = artifact.select(stack)
    name = backend or native_backend(artifact.format.NAME)
    known = [*BACKENDS, REFERENCE]
    if name not in known:
        raise BackendError(f"unknown backend {quoted(name)}.{nearest(name, known)} Known: {', '.join(known)}")
    spec = artifact.read(entry)
    about = CheckedArtifact(
        shown(path), str(path), artifact.format.NAME, entry.name, spec.dtype.name, sha256=None
    )
    subject = Subject(about, spec, entry)
    return _Found(shown(path), entry.name, spec, lambda probe, device: _run(subject, name, probe, device))


def _run(subject: Subject, backend: str, probe: Probe, device: str) -> Trace:
    """Run a file in a process of its own; a runtime that does not open it gets a file written for it."""
    with tempfile.TemporaryDirectory(prefix="grubridge-") as folder:
        try:
            plan = plan_group([subject], [backend], Path(folder))
        except MissingDependencyError as error:
            hint = f"or let the float64 equations compute it: backend {REFERENCE}"
            raise MissingDependencyError(f"{error}; {hint}", error.extra) from None
        if not plan.runs:
            reason = dict(plan.left_out)[backend]
            raise CannotRunError(f"{subject.label}: {backend} cannot run it: {reason}", reason)
        (planned,) = plan.runs
        (outcome,) = run_jobs([Job(backend, planned.artifact, probe, device)])
        check_sources([])
    if isinstance(outcome, GRUBridgeError):
        raise outcome
    if planned.temporary:
        note = f"the weights were written into a temporary {planned.artifact.format} file, which was run"
        return replace(outcome, native=False, notes=(note, *outcome.notes))
    return outcome


def _equations(spec: GRUSpec, probe: Probe, device: str) -> Trace:
    if device not in ("auto", "cpu"):
        reason = "the float64 equations run on the CPU"
        raise DeviceError(f"{reason}; received device {quoted(device)}", reason)
    with np.errstate(all="ignore"):  # weights may hold NaN, of which the user has been warned
        return replace(run_reference(spec, probe), native=False)
