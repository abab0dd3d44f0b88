"""Whole layouts tried by running them: for stacks, and where only the last state of a run is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from grubridge.checker.free_run import FreeRun, free_run
from grubridge.checker.recording import Recording
from grubridge.errors import InvalidSpecError, ProbeError, UnsupportedFeatureError
from grubridge.files.tensors import StoredTensor
from grubridge.layouts.description import CellLayout
from grubridge.layouts.finding import of_place
from grubridge.layouts.reading import read_direction
from grubridge.reference import run
from grubridge.reference.activations import evaluate
from grubridge.spec import Activation, Array, Direction, GRUDirection, GRULayer, GRUSpec

from .structures import Structure

__all__ = ["FreeRuns"]

_SEQUENCES = 2
_FIRST_STEPS = 6  # where every step is recorded, and read forward


class FreeRuns:
    """Runs layouts of one structure on the shortest sequences of a recording.

    Args:
        recording: the run.
        tensors: of the checkpoint.
        structure: which of them the cells are made of.
    """

    def __init__(
        self, recording: Recording, tensors: Mapping[str, StoredTensor], structure: Structure
    ) -> None:
        self._recording, self._tensors, self._structure = recording, tensors, structure
        self._read: dict[str, Array] = {}
        self._seen: FreeRun | None = None
        self.cost = 0.0
        """What the runs took so far, about in steps of a small layer."""

    def error(self, layout: CellLayout) -> float | None:
        """Return the largest |error| of the outputs; None where the tensors do not fit the layout."""
        try:
            spec = self._spec(layout)
            if self._seen is None:
                self._seen = free_run(_shortened(self._recording, self._structure), spec)
        except (InvalidSpecError, ProbeError, UnsupportedFeatureError, KeyError):
            return None
        sizes = [layer.hidden_size * (layer.hidden_size + layer.input_size) for layer in spec.layers]
        self.cost += self._seen.probe.steps * sum(1 + size / 20_000 for size in sizes)
        return _largest(spec, self._seen, layout.output_activation)

    def _spec(self, layout: CellLayout) -> GRUSpec:
        return GRUSpec(tuple(self._layer(layout, number) for number in self._structure.numbers))

    def _layer(self, layout: CellLayout, number: int) -> GRULayer:
        found: dict[Direction, tuple[GRUDirection, bool]] = {}
        for name in self._structure.directions:
            place = of_place(layout, number, name) if self._structure.counted else layout
            arrays = {one.name: self._array(one.name) for one in place.tensors}
            found[name] = read_direction(place, arrays)
        forward, reset_after = found["forward"]
        return GRULayer(forward, found["backward"][0] if "backward" in found else None, reset_after)

    def _array(self, name: str) -> Array:
        if name not in self._read:
            self._read[name] = self._tensors[name].read().astype(np.float64)
        return self._read[name]


def _shortened(recording: Recording, structure: Structure) -> Recording:
    lengths = recording.lengths
    batch, steps, _ = recording.x.shape
    ends = np.full(batch, steps) if lengths is None else np.asarray(lengths)
    chosen = np.argsort(ends, kind="stable")[:_SEQUENCES]
    count = int(ends[chosen].max())
    if recording.hidden is not None and len(structure.directions) == 1:
        count = min(count, _FIRST_STEPS)
    state = recording.initial_state
    return replace(
        recording,
        x=recording.x[chosen, :count],
        hidden=None if recording.hidden is None else recording.hidden[chosen, :count],
        last=None if recording.last is None else recording.last[chosen],
        initial_state=None if state is None else state[:, chosen],
        lengths=None if lengths is None else np.minimum(ends[chosen], count),
        gates={},
    )


def _largest(spec: GRUSpec, seen: FreeRun, output: Activation | None) -> float:
    largest = 0.0
    with np.errstate(all="ignore"):
        trace = run(spec, seen.probe)
        for name, received in seen.outputs.items():
            value = trace[len(spec.layers) - 1, name].hidden
            made = value if output is None else evaluate(output, value)
            error = np.abs(made - received)[seen.seen[name]]
            largest = max(largest, float(np.nan_to_num(error, nan=np.inf).max()))
    return largest
