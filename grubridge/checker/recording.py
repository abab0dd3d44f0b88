"""A run of the user's own code, recorded in an .npz file: what it received, and what it returned.

- x [B, T, I]: the inputs;
- hidden [B, T, D*H]: the outputs of every step of the top layer; or
  last [B, D*H]: only what each direction of it returned last;
- initial_state [L*D, B, H], if wanted: layer by layer, forward first;
- lengths [B], if wanted: valid steps of every sequence;
- update, reset and candidate [B, T, H], if wanted, beside `hidden` of a layer that reads in one direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from grubridge.errors import ProbeError
from grubridge.files.opening import shown
from grubridge.files.text import printable
from grubridge.spec import GATE_NAMES, Array, Gate, GRUSpec
from grubridge.traces import Place, Probe

from .arrays import check_numbers, described, read_arrays, states_by_place

__all__ = ["Recording", "read_recording"]

_DTYPES = ("float16", "float32", "float64")
_OUTPUTS = ("hidden", "last")
_KNOWN = {"x", "initial_state", "lengths", *_OUTPUTS, *GATE_NAMES}


@dataclass(frozen=True)
class Recording:
    """A recorded run; shapes as above. Either `hidden` or `last` is there.

    Args:
        label: what the report calls it: the path.
        x: inputs.
        hidden: outputs of every step, float16, float32 or float64; what is past a sequence's end has no
            meaning.
        last: what each direction returned last: after its last valid step, a backward one after step 0.
        initial_state: None starts from zero, or from the model's learned state.
        lengths: None means that every sequence is T long.
        gates: those that were recorded; the update gate keeps the state: h' = z * h + (1 - z) * n.

    Raises:
        ProbeError: when arrays do not fit each other.
    """

    label: str
    x: Array
    hidden: Array | None = None
    last: Array | None = None
    initial_state: Array | None = None
    lengths: Array | None = None
    gates: Mapping[Gate, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_numbers("x", self.x, ("batch", "time", "input"))
        if (self.hidden is None) == (self.last is None):
            raise ProbeError("a recording holds either hidden, of every step, or last, of the last one alone")
        batch, steps, _ = self.x.shape
        if self.last is not None:
            if self.gates:
                raise ProbeError(
                    "gates are compared beside the states of every step: record hidden, not last"
                )
            check_numbers("last", self.last, (batch, "D*H"), kinds="f")
        if self.hidden is not None:
            check_numbers("hidden", self.hidden, (batch, steps, "D*H"), kinds="f")
            for gate, array in self.gates.items():
                check_numbers(gate, array, self.hidden.shape, kinds="f")
        if self.outputs.dtype.name not in _DTYPES:
            raise ProbeError(f"outputs must be {', '.join(_DTYPES)}; received {described(self.outputs)}")
        self._probe({})  # looks at x and lengths
        if self.initial_state is not None:
            check_numbers("initial_state", self.initial_state, ("L*D", batch, "H"))

    @property
    def outputs(self) -> Array:
        """`hidden` or `last`."""
        return next(array for array in (self.hidden, self.last) if array is not None)

    @property
    def dtype(self) -> str:
        """The precision of the run, of which nothing is known but its numbers.

        float64 numbers that float32 holds without rounding, all of them, were computed in float32.
        """
        outputs = self.outputs
        with np.errstate(over="ignore"):
            narrow = outputs.astype(np.float32)
        if outputs.dtype.name == "float64" and np.array_equal(narrow, outputs, equal_nan=True):
            return "float32"
        return outputs.dtype.name

    def probe(self, spec: GRUSpec) -> Probe:
        """Return the inputs, as the code under test received them in its own precision.

        Raises:
            ProbeError: when the arrays do not fit the spec.
        """
        try:
            self._check(spec)
            states = {}
            if self.initial_state is not None:
                states = states_by_place(self.initial_state, (spec,), len(self.x))
            return self._probe(states)
        except ProbeError as error:
            raise ProbeError(f"{self.label}: {error}") from error

    def _probe(self, states: Mapping[Place, Array]) -> Probe:
        def received(array: Array) -> Array:
            with np.errstate(over="ignore"):
                rounded: Array = array.astype(self.dtype).astype(np.float64)
            if np.isinf(rounded).any() and np.isfinite(array).all():
                raise ProbeError(f"x and initial_state hold numbers larger than {self.dtype} can hold")
            return rounded

        starts = {place: received(state) for place, state in states.items()}
        return Probe(received(self.x), starts, self.lengths, self.label, gates=False)

    def _check(self, spec: GRUSpec) -> None:
        batch, steps, _ = self.x.shape
        top = spec.layers[-1]
        check_numbers("x", self.x, (batch, steps, spec.input_size))
        if self.hidden is not None:
            check_numbers("hidden", self.hidden, (batch, steps, top.output_size), kinds="f")
        if self.last is not None:
            check_numbers("last", self.last, (batch, top.output_size), kinds="f")
        if not self.gates:
            return
        if (len(spec.layers), top.output_size) != (1, top.hidden_size):
            raise ProbeError("gates can be compared of one layer that reads in one direction")


def read_recording(path: Path) -> Recording:
    """Read a recorded run from an .npz file; see the head of this page for its arrays.

    Raises:
        ProbeError: when the file cannot be read, or its arrays do not fit each other.
        FileFormatError: when it cannot be opened, or is too large.
    """
    arrays = read_arrays(path)
    try:
        return _recording(shown(path), arrays)
    except ProbeError as error:
        raise ProbeError(f"{shown(path)}: {error}") from error


def _recording(label: str, arrays: Mapping[str, Array] | Array) -> Recording:
    if isinstance(arrays, np.ndarray):
        raise ProbeError("a recording is an .npz file: numpy.savez(path, x=x, hidden=hidden)")
    if "x" not in arrays or not arrays.keys() <= _KNOWN:
        held = ", ".join(map(printable, sorted(arrays))) or "nothing"
        raise ProbeError(
            "a recording holds x, hidden or last, and may hold initial_state, lengths, update, reset and "
            f"candidate; this file holds {held}"
        )
    hidden, last, state, lengths = (arrays.get(name) for name in (*_OUTPUTS, "initial_state", "lengths"))
    gates = {gate: arrays[gate] for gate in GATE_NAMES if gate in arrays}
    return Recording(label, arrays["x"], hidden, last, state, lengths, gates)
