"""How well each runtime evaluates its activation functions, measured inside its own GRU and kept.

A calibration is one more job for the runtime's process: a GRU that shows its activations (see
`activation_taps`), written to a file of the runtime's own format. It is done once for every version, device,
machine, dtype and pair of activations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from grubridge.backends.base import Artifact
from grubridge.backends.launch import Job
from grubridge.backends.registry import available, find
from grubridge.checker.plan import PlannedRun
from grubridge.checker.temporary import native_format, written
from grubridge.errors import GRUBridgeError
from grubridge.files.cache import keep, kept
from grubridge.files.machine import machine
from grubridge.files.opening import shown
from grubridge.layouts.description import CellLayout, TensorLayout
from grubridge.reference.arithmetic import ActivationErrors, dtype_inside, generic_errors
from grubridge.spec import GATE_NAMES, SIGMOID, TANH, Activation, Layout, unsupported
from grubridge.traces import Trace

from .activation_errors import MARGIN, Measured, largest_error, measure
from .activation_taps import is_approximated, tapped_probe, tapped_spec

__all__ = ["Calibration", "Constants"]

_SCHEMA = 1  # of what is kept: a change of the taps or of what they show is a new number

Origin = Literal["measured here", "cached", "generic", "not needed"]


@dataclass(frozen=True)
class Constants:
    """The activation errors to allow for in one run.

    Args:
        errors: in units of the unit roundoff of the dtype that the runtime computes in.
        origin: "measured here" (in this check), "cached" (in an earlier one), "generic" (not measured), or
            "not needed": activations made of straight pieces only.
        remarks: why a measurement was not used, e.g. that its sigmoid is another function.
    """

    errors: ActivationErrors
    origin: Origin
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """One calibration.

    Args:
        backend: the runtime.
        dtype: that it computes in.
        gate: the gates' function.
        candidate: the candidate's.
        reset_after: the reset mode.
        described: how the update gate blends in a cell that the runtime runs by its description, with its
            ordinary operators; None for its own GRU.
    """

    backend: str
    dtype: str
    gate: Activation
    candidate: Activation
    reset_after: bool
    described: Literal["keeps", "takes"] | None


@dataclass(frozen=True)
class _Known:
    """Its result, and the device that it ran on; "" where it told nothing."""

    device: str
    constants: Constants


class Calibration:
    """The calibrations of one check: asked for jobs before the runs, and for constants after them."""

    def __init__(self, device: str, folder: Path) -> None:
        """Prepare.

        Args:
            device: what the runs will ask for.
            folder: for the temporary files, which must outlast the jobs.
        """
        self._device = device
        self._folder = folder
        self._known: dict[_Wanted, _Known] = {}
        self._asked: list[tuple[_Wanted, Job]] = []

    def jobs(self, runs: Iterable[PlannedRun]) -> list[Job]:
        """Return the calibrations that runs need and that are not kept from an earlier check."""
        # "auto" may turn out to be a GPU, whose kernel is then not the one that was measured
        device = "cpu" if self._device == "auto" else self._device
        wanted = (
            one
            for run in runs
            if available(run.backend)
            for one in _wanted(run, dtype_inside(run.backend, run.subject.spec.dtype.name, device))
        )
        jobs: list[Job] = []
        for one in dict.fromkeys(wanted):
            known = _from_cache(kept(self._key(one)), one.dtype)
            if known is not None:
                self._known[one] = known
                continue
            artifact = _written(one, self._folder / f"calibration-{len(self._asked)}")
            if artifact is not None:
                jobs.append(Job(one.backend, artifact, tapped_probe(one.dtype), self._device))
                self._asked.append((one, jobs[-1]))
        return jobs

    def learn(self, outcomes: Sequence[Trace | GRUBridgeError]) -> None:
        """Take in what became of the jobs, in their order."""
        for (one, job), outcome in zip(self._asked, outcomes, strict=True):
            found = _measured(one, job, outcome)
            if found.errors is None or isinstance(outcome, GRUBridgeError):
                constants = Constants(generic_errors(one.dtype), "generic", found.remarks)
                self._known[one] = _Known("", constants)
            else:
                self._known[one] = _Known(outcome.device, Constants(found.errors, "measured here"))
                keep(self._key(one), {"device": outcome.device, "errors": asdict(found.errors)})

    def constants(self, run: PlannedRun, dtype: str, device: str) -> Constants:
        """Return the constants of a run, the largest of all layers and directions.

        Args:
            run: what was planned.
            dtype: that of the run.
            device: the one that it ran on.
        """
        inside = dtype_inside(run.backend, dtype, device)
        generic = Constants(generic_errors(inside), "generic")
        known = [self._known.get(one) for one in _wanted(run, inside)]
        found = [one.constants if one and one.device in {"", device} else generic for one in known]
        return _largest(found) if found else Constants(generic.errors, "not needed")

    def _key(self, one: _Wanted) -> dict[str, Any]:
        backend: Any = import_module(find(one.backend).module)
        about = {"version": backend.version(), "device": self._device, "machine": machine()}
        return {"calibration": _SCHEMA, **asdict(one), **about}


def _wanted(run: PlannedRun, dtype: str) -> Iterator[_Wanted]:
    """The calibrations for a run in `dtype`; a function that needs no constant is replaced by a usual one."""
    spec, described = run.subject.spec, run.artifact.blend
    for index, _, direction in spec.directions():
        gate, candidate = direction.gate_activation, direction.candidate_activation
        if is_approximated(gate) or is_approximated(candidate):
            gate = gate if is_approximated(gate) else SIGMOID
            candidate = candidate if is_approximated(candidate) else TANH
            yield _Wanted(run.backend, dtype, gate, candidate, spec.layers[index].reset_after, described)


def _written(one: _Wanted, stem: Path) -> Artifact | None:
    """Write the GRU to a file of the runtime's own format; None when that cannot hold it."""
    target, own = native_format(one.backend), Layout(GATE_NAMES, "output")
    spec = tapped_spec(one.gate, one.candidate, reset_after=one.reset_after, dtype=one.dtype)
    if one.described is not None:
        return written(spec, one.backend, stem, own, _layout(one)) if "layout" in target.OPTIONS else None
    if unsupported(spec, target.CAPABILITIES, target.NAME):
        return None
    return written(spec, one.backend, stem, own)


def _layout(one: _Wanted) -> CellLayout:
    """A layout for the GRU of a calibration: where its numbers lie does not matter."""
    return CellLayout(
        "calibration",
        "A GRU that shows its activation functions.",
        one.described or "keeps",
        "after" if one.reset_after else "before",
        (
            TensorLayout("input_weight", ("input_weight",), GATE_NAMES),
            TensorLayout("recurrent_weight", ("recurrent_weight",), GATE_NAMES),
            TensorLayout("bias", ("input_bias",), GATE_NAMES),
        ),
        one.gate,
        one.candidate,
    )


def _measured(one: _Wanted, job: Job, outcome: Trace | GRUBridgeError) -> Measured:
    if isinstance(outcome, GRUBridgeError):
        why = str(outcome).removeprefix(f"{shown(job.artifact.path)}: ")  # a temporary path
        return Measured(None, (f"its activations could not be measured: {why}",))
    return measure(outcome.places[0, "forward"], one.gate, one.candidate, one.dtype)


def _from_cache(value: object, dtype: str) -> _Known | None:
    """Return what was kept; None when it is not what `learn` keeps."""
    try:
        device, errors = str(value["device"]), ActivationErrors(**value["errors"])  # type: ignore[index]
        sound = all(1 <= error <= MARGIN * largest_error(dtype) for error in asdict(errors).values())
    except (KeyError, TypeError):
        return None
    return _Known(device, Constants(errors, "cached")) if sound else None


def _largest(found: Sequence[Constants]) -> Constants:
    errors = ActivationErrors(*(max(getattr(one.errors, gate) for one in found) for gate in GATE_NAMES))
    order: tuple[Origin, ...] = ("generic", "measured here", "cached")
    origin = min((one.origin for one in found), key=order.index)
    return Constants(errors, origin, tuple(dict.fromkeys(remark for one in found for remark in one.remarks)))
