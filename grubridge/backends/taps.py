"""The gates of a fused kernel, observed: the kernel runs once more, wider, on every step of a run at once.

What the spare units are and how a gate is read from them: `reference.taps`. A backend brings its own arrays,
by gate, and its own kernel; gate orders and layouts stay there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from grubridge.reference.taps import TapPlan, plan_taps
from grubridge.spec import CANDIDATE, GATE_NAMES, RESET, UPDATE, Array, Direction, Gate, Gates, GRUDirection
from grubridge.traces import DirectionTrace, previous_state, valid_steps

__all__ = ["Kernel", "Steps", "Tap", "direction_trace", "observed", "wider"]

Kernel = Callable[[GRUDirection], Callable[[Array, Array], Array]]
"""Loads the arrays of a direction into a runtime's own fused kernel. What comes back runs one step of any
number of rows: x [N, I] and h [N, H] to h' [N, H]."""

_LARGEST_WEIGHT = 256 << 20  # bytes of the wider recurrent weight
_LARGEST_BATCH = 64 << 20  # bytes of the three gates of the rows that are run at once
_CHEAPEST_PARTS, _LARGE = 3, 256  # c parts cost c*(1 + 3/c)^2, least at 3; few units are not worth it
_MOST_PARTS = 8  # a model so large that its units need more is replayed: that costs more than running it


@dataclass(frozen=True)
class Steps:
    """What a runtime received and returned in one direction; steps in time order.

    Args:
        x: [B, T, I].
        start: h_0, [B, H].
        hidden: [B, T, H].
        way: the direction of reading.
        lengths: [B], or None.
        gates: whether the gates are wanted.
    """

    x: Array
    start: Array
    hidden: Array
    way: Direction
    lengths: Array | None
    gates: bool

    @property
    def previous(self) -> Array:
        """h_{t-1} of every step, [B, T, H]."""
        return previous_state(self.way, self.hidden, self.start, self.lengths)

    @property
    def valid(self) -> Array:
        """Which steps belong to their sequence, [B, T]."""
        batch, steps, _ = self.hidden.shape
        return valid_steps(batch, steps, self.lengths)


@dataclass(frozen=True)
class Tap:
    """A way into a fused kernel.

    Args:
        direction: the arrays of the model as the runtime loaded them, every bias for all gates or for none,
            and its activations.
        clip: of the kernel's pre-activations, if any.
        kernel: the kernel.
    """

    direction: GRUDirection
    clip: float | None
    kernel: Kernel


def direction_trace(
    steps: Steps, tap: Tap | str, replay: Callable[[], Gates[Array]]
) -> tuple[DirectionTrace, tuple[str, ...]]:
    """Return a trace with gates, observed if that can be, and notes: why they are not.

    Args:
        steps: what happened.
        tap: a way into the kernel, or why there is none.
        replay: computes the gates, each [B, T, H], with the runtime's ordinary operators.
    """
    if not steps.gates:
        return DirectionTrace(steps.x, steps.start, steps.hidden, None, "observed"), ()
    reason = tap if isinstance(tap, str) else _obstacle(tap)
    if isinstance(tap, str) or reason:
        made = DirectionTrace(steps.x, steps.start, steps.hidden, replay(), "replayed")
        return made, (f"the gates are replayed by ordinary operators, not read out of the kernel: {reason}",)
    valid = steps.valid
    gates = observed(tap, steps.x[valid], steps.previous[valid])

    def in_place(rows: Array) -> Array:
        placed = np.zeros(steps.hidden.shape, steps.hidden.dtype)
        placed[valid] = rows
        return placed

    return DirectionTrace(steps.x, steps.start, steps.hidden, gates.map(in_place), "observed"), ()


def _obstacle(tap: Tap) -> str:
    """Return why no gate can be read through `tap`, "" when they can."""
    gate, candidate = tap.direction.gate_activation, tap.direction.candidate_activation
    if plan_taps(gate, candidate, tap.clip) is None:
        clipped = "" if tap.clip is None else f", clipped to {tap.clip:g}"
        return f"a state made by {gate} and {candidate}{clipped} does not show them"
    if not _parts(tap.direction):
        return f"a kernel wider than its {tap.direction.hidden_size} units would take too much memory"
    return ""


def observed(tap: Tap, x: Array, previous: Array) -> Gates[Array]:
    """Read the gates of rows out of the kernel.

    Args:
        tap: a way into the kernel whose activations show the gates (`plan_taps`).
        x: [N, I].
        previous: h, [N, H].

    Returns:
        Each gate [N, H], of the dtype of `previous`.
    """
    plan = plan_taps(tap.direction.gate_activation, tap.direction.candidate_activation, tap.clip)
    if plan is None:
        raise ValueError("these activations do not show their gates")
    size = tap.direction.hidden_size
    gates = Gates(*(np.empty_like(previous) for _ in GATE_NAMES))
    with_one = np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1)
    for part in _parts(tap.direction):
        step = tap.kernel(wider(tap.direction, plan, part))
        spare = part.stop - part.start
        ends = size, size + spare, size + 2 * spare
        for rows in _batches(len(x), size + 3 * spare, previous.itemsize):
            state = np.zeros((rows.stop - rows.start, size + 3 * spare), previous.dtype)
            state[:, :size] = previous[rows]
            state[:, ends[0] : ends[1]] = 1
            _, z, n, r = np.split(step(with_one[rows], state), ends, axis=1)
            with np.errstate(invalid="ignore", over="ignore"):  # a state may be NaN or infinite
                gates.update[rows, part] = plan.update(z)
                gates.candidate[rows, part] = plan.new(n)
                gates.reset[rows, part] = plan.reset(r)
    return gates


def wider(direction: GRUDirection, plan: TapPlan, part: slice) -> GRUDirection:
    """Return a direction of the units of `direction` and the spare units Z, N and R of those in `part`.

    Its input has one number more, which is always 1: constants come in through it, so that a model without
    biases stays one without biases.
    """
    size, spare, inputs = direction.hidden_size, part.stop - part.start, direction.input_size
    whole = size + 3 * spare
    own, z, n, r = (slice(0, size), *(slice(size + k * spare, size + (k + 1) * spare) for k in range(3)))
    copied: list[tuple[Gate, slice, slice]] = [(gate, own, slice(0, size)) for gate in GATE_NAMES]
    copied += [(UPDATE, z, part), (RESET, z, part), (RESET, n, part), (CANDIDATE, n, part), (RESET, r, part)]

    def widened(part_of_direction: Gates[Array], *columns: int) -> Gates[Array]:
        made = part_of_direction.map(lambda array: np.zeros((whole, *columns), array.dtype))
        for gate, to, source in copied:
            array = part_of_direction[gate]
            made[gate][(to, *(slice(0, length) for length in array.shape[1:]))] = array[source]
        return made

    weights, recurrent = (
        widened(direction.input_weight, inputs + 1),
        widened(direction.recurrent_weight, whole),
    )
    weights.candidate[z, inputs] = plan.rest_argument
    weights.update[n, inputs] = weights.update[r, inputs] = plan.off_argument
    weights.candidate[r, inputs] = plan.offset
    recurrent.candidate[r, z] = plan.scale * np.eye(spare)
    input_bias, recurrent_bias = direction.input_bias, direction.recurrent_bias
    return replace(
        direction,
        input_weight=weights,
        recurrent_weight=recurrent,
        input_bias=None if input_bias is None else widened(input_bias),
        recurrent_bias=None if recurrent_bias is None else widened(recurrent_bias),  # type: ignore[arg-type]
    )


def _parts(direction: GRUDirection) -> list[slice]:
    """Return parts of the units, each of which is tapped at once; none when they would be too many."""
    size = direction.hidden_size
    itemsize = direction.recurrent_weight.update.itemsize
    spare = (math.isqrt(_LARGEST_WEIGHT // (3 * itemsize)) - size) // 3
    if spare * _MOST_PARTS < size:
        return []
    count = max(math.ceil(size / spare), _CHEAPEST_PARTS if size >= _LARGE else 1)
    return [slice(k * size // count, (k + 1) * size // count) for k in range(count)]


def _batches(rows: int, units: int, itemsize: int) -> Iterator[slice]:
    most = max(1, _LARGEST_BATCH // (3 * units * itemsize))
    return (slice(first, min(first + most, rows)) for first in range(0, rows, most))
