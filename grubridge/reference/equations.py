"""The GRU equations in float64, every gate visible: the executable definition of a spec.

    z = g(W_z x + b_z + U_z h + c_z)                    update gate
    r = g(W_r x + b_r + U_r h + c_r)                    reset gate
    n = f(W_n x + b_n + r * (U_n h + c_n))              candidate, reset after the product
    n = f(W_n x + b_n + U_n (r * h) + c_n)              candidate, reset before the product
    h' = z * h + (1 - z) * n

Sources: Cho et al., arXiv:1406.1078, v1 for "after" and v3 for "before"; the pages of torch.nn.GRU,
keras.layers.GRU and the ONNX GRU operator. With `clip`, ONNX Runtime clips the whole argument of g
and of f to [-clip, clip]; nothing else is clipped. A cell without an update gate has z = 0, one without
a reset gate r = 1 (`GRUDirection.absent_gates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grubridge.errors import ProbeError
from grubridge.spec import CANDIDATE, RESET, UPDATE, Array, Direction, Gates, GRUDirection, GRULayer, GRUSpec
from grubridge.traces import DirectionTrace, Place, Probe, Trace, valid_steps

from .activations import evaluate
from .inputs import initial_state

__all__ = ["Cell", "cell", "one_step", "run"]


@dataclass(frozen=True)
class Cell:
    """One direction's numbers in float64, ready to compute with; absent biases are zeros here.

    Args:
        input_weight: each gate [H, I].
        recurrent_weight: each gate [H, H].
        input_bias: each gate [H].
        recurrent_bias: each gate [H].
        direction: the direction that it was made from (activations).
        layer: the layer that it was made from (reset mode, clip).
    """

    input_weight: Gates[Array]
    recurrent_weight: Gates[Array]
    input_bias: Gates[Array]
    recurrent_bias: Gates[Array]
    direction: GRUDirection
    layer: GRULayer

    def clipped(self, pre_activation: Array) -> Array:
        """Apply the layer's clip, if it has one."""
        clip = self.layer.clip
        return pre_activation if clip is None else np.clip(pre_activation, -clip, clip)


def cell(layer: GRULayer, direction: GRUDirection) -> Cell:
    """Return `direction` of `layer` in float64."""
    zeros = np.zeros(direction.hidden_size)

    def bias(gates: Gates[Array] | Gates[Array | None] | None) -> Gates[Array]:
        if gates is None:
            return Gates(zeros, zeros, zeros)
        return Gates(*(zeros if b is None else b.astype(np.float64) for _, b in gates.items()))

    def weight(gates: Gates[Array]) -> Gates[Array]:
        return gates.map(lambda w: w.astype(np.float64))

    return Cell(
        weight(direction.input_weight),
        weight(direction.recurrent_weight),
        bias(direction.input_bias),
        bias(direction.recurrent_bias),
        direction,
        layer,
    )


def one_step(cell: Cell, x: Array, h: Array) -> tuple[Gates[Array], Array]:
    """Compute one step for any number of rows.

    Args:
        cell: the direction's numbers.
        x: inputs, [..., I], float64.
        h: previous hidden states, [..., H], float64.

    Returns:
        The gates (z, r, n), each [..., H], and h', [..., H].
    """
    return _step(cell, _project(cell, x), h)


def _project(cell: Cell, x: Array) -> Gates[Array]:
    """W x + b for each gate, [..., H]: independent of h, so one product serves all steps."""
    w, b = cell.input_weight, cell.input_bias
    return Gates(x @ w.update.T + b.update, x @ w.reset.T + b.reset, x @ w.candidate.T + b.candidate)


def _step(cell: Cell, projected: Gates[Array], h: Array) -> tuple[Gates[Array], Array]:
    u, c, how = cell.recurrent_weight, cell.recurrent_bias, cell.direction
    z = evaluate(how.activation(UPDATE), cell.clipped(projected.update + h @ u.update.T + c.update))
    r = evaluate(how.activation(RESET), cell.clipped(projected.reset + h @ u.reset.T + c.reset))
    if cell.layer.reset_after:
        recurrent = r * (h @ u.candidate.T + c.candidate)
    else:
        recurrent = (r * h) @ u.candidate.T + c.candidate
    n = evaluate(how.activation(CANDIDATE), cell.clipped(projected.candidate + recurrent))
    return Gates(z, r, n), z * h + (1 - z) * n


def run(spec: GRUSpec, probe: Probe) -> Trace:
    """Run `spec` on `probe` in float64.

    Returns:
        A trace with hidden states and gates, [B, T, H] each, of every layer and direction. Past a
        sequence's end everything is zero.

    Raises:
        ProbeError: when the probe's sizes are not the spec's.
    """
    if probe.x.shape[2] != spec.input_size:
        raise ProbeError(f"x must be [batch, time, {spec.input_size}]; received {list(probe.x.shape)}")
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    places: dict[Place, DirectionTrace] = {}
    x = probe.x.astype(np.float64)
    for index, layer in enumerate(spec.layers):
        outputs: list[Array] = []
        for name, direction in layer.directions():
            start = initial_state(direction, probe, (index, name))
            made = _run_direction(cell(layer, direction), name, x, start, valid)
            places[index, name] = made
            outputs.append(made.hidden)
        x = np.concatenate(outputs, axis=-1)
    return Trace("reference", f"numpy {np.__version__}", "cpu", "float64", native=True, places=places)


def _run_direction(cell: Cell, name: Direction, x: Array, start: Array, valid: Array) -> DirectionTrace:
    batch, steps, _ = x.shape
    hidden_size = cell.direction.hidden_size
    hidden, update, reset, candidate = (np.zeros((batch, steps, hidden_size)) for _ in range(4))
    projected = _project(cell, x)
    order: Sequence[int] = range(steps) if name == "forward" else range(steps - 1, -1, -1)
    h = start
    for t in order:
        gates, following = _step(cell, projected.map(lambda a, t=t: a[:, t]), h)  # type: ignore[misc]
        keep = valid[:, t, None]
        h = np.where(keep, following, h)
        hidden[:, t] = np.where(keep, following, 0)
        for made, gate in ((update, gates.update), (reset, gates.reset), (candidate, gates.candidate)):
            made[:, t] = np.where(keep, gate, 0)
    return DirectionTrace(x, start, hidden, Gates(update, reset, candidate), "reference")
