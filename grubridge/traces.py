"""Probe: the inputs of a check. Trace: what one runtime did with them, layer by layer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .errors import ProbeError
from .spec import GATE_NAMES, UPDATE, Array, Direction, Gates

__all__ = ["DirectionTrace", "GateSource", "Place", "Probe", "Trace", "previous_state", "valid_steps"]

Place = tuple[int, Direction]
"""(layer index, direction): where in a stack."""

GateSource = Literal["reference", "observed", "replayed", "recorded"]


@dataclass(frozen=True)
class Probe:
    """The inputs that every runtime of a check receives.

    Args:
        x: [B, T, I], float64 or narrower; its values are representable in every dtype under test.
        initial_state: h_0 per (layer, direction), each [B, H]; a missing place starts from zero (or
            from the model's learned initial state).
        lengths: [B] integers, 1 to T; None means that every sequence is T long.
        origin: what made it, for the report: "random, seed 0" or the name of a file.
        gates: whether the gates of the run are wanted as well; to read them costs more than the run.

    Raises:
        ProbeError: when shapes do not fit, a length is out of range or a value is not finite.
    """

    x: Array
    initial_state: Mapping[Place, Array] = field(default_factory=dict)
    lengths: Array | None = None
    origin: str = ""
    gates: bool = True

    def __post_init__(self) -> None:
        if self.x.ndim != 3 or 0 in self.x.shape:
            raise ProbeError(f"x must be [batch, time, input]; received {list(self.x.shape)}")
        if not np.isfinite(self.x).all():
            raise ProbeError("x must be finite; it holds NaN or infinity")
        for place, state in self.initial_state.items():
            if state.ndim != 2 or state.shape[0] != self.x.shape[0] or not np.isfinite(state).all():
                raise ProbeError(
                    f"the initial state of layer {place[0]} {place[1]} must be finite, "
                    f"[{self.x.shape[0]}, H]; received {list(state.shape)}"
                )
        if self.lengths is not None:
            fits = self.lengths.shape == (self.x.shape[0],) and self.lengths.dtype.kind in "iu"
            if not fits or self.lengths.min() < 1 or self.lengths.max() > self.x.shape[1]:
                raise ProbeError(
                    f"lengths must be {self.x.shape[0]} integers from 1 to {self.x.shape[1]}; "
                    f"received {self.lengths}"
                )

    @property
    def batch(self) -> int:
        """B."""
        return int(self.x.shape[0])

    @property
    def steps(self) -> int:
        """T."""
        return int(self.x.shape[1])

    def save(self, path: Path) -> None:
        """Write the probe to an .npz file that `load` reads back."""
        arrays: dict[str, Any] = {"x": self.x, "origin": np.array(self.origin), "gates": np.array(self.gates)}
        if self.lengths is not None:
            arrays["lengths"] = self.lengths
        for (layer, direction), state in self.initial_state.items():
            arrays[f"initial_state.{layer}.{direction}"] = state
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> Probe:
        """Read a probe that `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            states: dict[Place, Array] = {}
            for name in stored.files:
                if name.startswith("initial_state."):
                    _, layer, direction = name.split(".")
                    states[int(layer), direction] = stored[name]
            lengths = stored["lengths"] if "lengths" in stored.files else None
            return cls(stored["x"], states, lengths, str(stored["origin"]), bool(stored["gates"]))


@dataclass(frozen=True)
class DirectionTrace:
    """What one runtime did in one layer and direction. Steps are in time order in both directions.

    Args:
        x: what the layer received, [B, T, I], as the runtime itself produced it.
        initial_state: h_0 that was used, [B, H].
        hidden: h_t, [B, T, H], in the runtime's own dtype; steps past a sequence's end have no meaning.
        gates: z, r and n, each [B, T, H]; None where the runtime could not be made to tell.
        gate_source: how the gates were obtained: "reference" (the float64 equations), "observed" (read out
            of the runtime's own kernel, from its own previous states), "replayed" (by its ordinary
            operators, from the same) or "recorded" (by the user's own code, beside its states).
    """

    x: Array
    initial_state: Array
    hidden: Array
    gates: Gates[Array] | None
    gate_source: GateSource

    def arrays(self) -> dict[str, Array]:
        """Return x, initial_state, hidden and, where there are any, the gates by their names."""
        arrays = {"x": self.x, "initial_state": self.initial_state, "hidden": self.hidden}
        arrays.update(self.gates.items() if self.gates is not None else ())
        return arrays


@dataclass(frozen=True)
class Trace:
    """What one runtime did on a probe.

    Args:
        backend: the runtime's name, e.g. "pytorch".
        version: its version, e.g. "torch 2.13.0".
        device: "cpu", "cuda" or e.g. "cuda:0".
        dtype: of weights and states in the run.
        native: whether the runtime opened the file with its own loader (otherwise see `notes`).
        places: what happened in each (layer, direction).
        seconds: wall time of loading and running.
        notes: what a reader should know: what was rebuilt, padding rules, why gates are replayed.
        kernel: what computed, in a few words, e.g. "nn.GRU, cuDNN"; "" when nobody said.
        precision: of the computation, e.g. "float32" or "float32, TF32 allowed"; "" when nobody said.
    """

    backend: str
    version: str
    device: str
    dtype: str
    native: bool
    places: Mapping[Place, DirectionTrace]
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    kernel: str = ""
    precision: str = ""

    def __iter__(self) -> Iterator[Place]:
        return iter(self.places)

    def __getitem__(self, place: Place) -> DirectionTrace:
        return self.places[place]

    def arrays(self) -> dict[str, Array]:
        """Return every array by the name that it has in a file, e.g. "layer0.forward.update"."""
        return {
            f"layer{layer}.{direction}.{part}": array
            for (layer, direction), made in self.places.items()
            for part, array in made.arrays().items()
        }

    def about(self) -> dict[str, Any]:
        """Return everything but the arrays and the time it took, which no two runs share, as JSON values."""
        names = [field.name for field in fields(self) if field.name not in {"places", "seconds"}]
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        values["gate_sources"] = [[*place, made.gate_source] for place, made in self.places.items()]
        return values

    def save(self, path: Path) -> None:
        """Write the trace to an .npz file that `load` reads back; arrays are of dtypes that numpy has."""
        about = json.dumps({**self.about(), "seconds": self.seconds})
        arrays: dict[str, Any] = {"about": np.array(about), **self.arrays()}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> Trace:
        """Read a trace that `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            places: dict[Place, DirectionTrace] = {}
            for layer, direction, gate_source in about.pop("gate_sources"):
                start = f"layer{layer}.{direction}."
                x, initial_state, hidden = (stored[start + part] for part in ("x", "initial_state", "hidden"))
                has_gates = start + UPDATE in stored.files
                gates = Gates(*(stored[start + gate] for gate in GATE_NAMES)) if has_gates else None
                places[layer, direction] = DirectionTrace(x, initial_state, hidden, gates, gate_source)
        return cls(**{**about, "notes": tuple(about["notes"])}, places=places)


def valid_steps(batch: int, steps: int, lengths: Array | None) -> Array:
    """Return [B, T] booleans: which steps belong to their sequence."""
    if lengths is None:
        return np.ones((batch, steps), bool)
    valid: Array = np.arange(steps) < np.asarray(lengths)[:, None]
    return valid


def previous_state(direction: Direction, hidden: Array, initial_state: Array, lengths: Array | None) -> Array:
    """Return h_{t-1} of every step, [B, T, H], where "previous" follows the direction of reading.

    A backward direction starts at each sequence's own last valid step.
    """
    start = initial_state[:, None, :].astype(hidden.dtype, copy=False)
    if direction == "forward":
        return np.concatenate([start, hidden[:, :-1]], axis=1)
    previous = np.concatenate([hidden[:, 1:], start], axis=1)
    if lengths is not None:
        previous[np.arange(len(hidden)), np.asarray(lengths) - 1] = initial_state
    return previous
