"""Traces held against equations by tests: the numpy runtime's, of one spec, on random inputs."""

from __future__ import annotations

from dataclasses import replace

from grubridge.checker.compare import compare
from grubridge.checker.findings import Comparison, Side
from grubridge.checker.probe import random_probe
from grubridge.checker.verdict import Verdict, combined
from grubridge.reference.arithmetic import arithmetic_of
from grubridge.spec import GRUSpec
from grubridge.traces import Place, Probe, Trace

__all__ = ["FORWARD", "changed_at", "held", "inputs_for", "verdict_of"]

SIDES = (Side("model", None), Side("model", "numpy"))
FORWARD: Place = (0, "forward")


def inputs_for(spec: GRUSpec, *, batch: int = 3, steps: int = 8, seed: int = 1) -> Probe:
    """Return random inputs for `spec`."""
    return random_probe([spec], seed=seed, batch=batch, steps=steps)


def held(spec: GRUSpec, trace: Trace, probe: Probe) -> tuple[Comparison, ...]:
    """Return how `trace` compares with the equations of `spec`."""
    how = arithmetic_of(trace.backend, trace.dtype, trace.device)
    return compare(spec, trace, probe, "read", SIDES, how)


def verdict_of(found: tuple[Comparison, ...]) -> Verdict:
    """Return the verdict of all of them together."""
    return combined(comparison.verdict for comparison in found)


def changed_at(trace: Trace, place: Place, **changes: object) -> Trace:
    """Return `trace` with other arrays at one place."""
    changed = replace(trace.places[place], **changes)  # type: ignore[arg-type]
    return replace(trace, places={**trace.places, place: changed})
