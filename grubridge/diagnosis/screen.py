"""A quick look at many hypotheses: the largest error of a few steps and units, matrix products shared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grubridge.reference.activations import evaluate
from grubridge.spec import (
    GATE_NAMES,
    ONE,
    RESET,
    SIGMOID,
    UPDATE,
    ZERO,
    Activation,
    Array,
    Gate,
    Gates,
    GRUDirection,
)

from .edits import DATA_AXES, Axis, Edit, Hypothesis, Site, edited, parse_activation, parse_order
from .precision import Precision
from .steps import Rows, Seen, gather

__all__ = ["Orders", "Screen", "Variants"]

_Said = dict[Axis, Edit]
_Key = tuple[Edit | None, ...]

_KEPT_BYTES = 2**27


class Variants:
    """The weights of one place under every mistake that rearranges or drops numbers, the last ones kept."""

    def __init__(self, at: Site) -> None:
        self.at = at
        self._kernels: dict[tuple[str, _Key], Array] = {}

    def direction(self, key: _Key) -> GRUDirection:
        """Return the direction after the edits of `key`."""
        return edited(self.at, tuple(edit for edit in key if edit is not None)).direction

    def kernel(self, part: str, key: _Key) -> Array:
        """Return "input_weight" or "recurrent_weight", [3, H, K], float64."""
        found = self._kernels.pop((part, key), None)
        if found is None:
            gates: Gates[Array] = getattr(self.direction(key), part)
            found = np.stack([array.astype(np.float64) for _, array in gates.items()])
            while self._kernels and len(self._kernels) * found.nbytes > _KEPT_BYTES:
                self._kernels.pop(next(iter(self._kernels)))  # the one that was used longest ago
        self._kernels[part, key] = found
        return found

    def biases(self, key: _Key) -> tuple[Array, Array]:
        """Return b and c, [3, 1, H] each, float64; zeros where there are none."""
        direction = self.direction(key)
        zeros = np.zeros(direction.hidden_size)
        given: list[Array] = []
        for biases in (direction.input_bias, direction.recurrent_bias):
            arrays = (None, None, None) if biases is None else [array for _, array in biases.items()]
            given.append(np.stack([zeros if array is None else array.astype(np.float64) for array in arrays]))
        return given[0][:, None], given[1][:, None]


class Orders:
    """Gate orders that are tried at once: which block stands for update, reset and candidate, [3, O] each.

    Args:
        edits: of the axis "gate_order"; None for the right order.
    """

    def __init__(self, edits: Sequence[Edit | None]) -> None:
        self.edits = tuple(edits)
        parsed = [("", GATE_NAMES) if edit is None else parse_order(edit.value) for edit in edits]
        self.kernel = _blocks(parsed, {"all", "weights", "kernel"})
        self.recurrent_kernel = _blocks(parsed, {"all", "weights", "recurrent_kernel"})
        self.biases = _blocks(parsed, {"all", "biases"})


def _blocks(parsed: Sequence[tuple[str, tuple[Gate, ...]]], targets: set[str]) -> Array:
    orders = (order if target in targets else GATE_NAMES for target, order in parsed)
    return np.array([[GATE_NAMES.index(gate) for gate in order] for order in orders]).T


class Screen:
    """Some steps and units of one place, and what was computed of them so far.

    Args:
        variants: what should have been computed, and what may have been.
        seen: what was received and returned.
        steps: the first `count` of these that a hypothesis leaves are compared, [N, 2] of (batch, time).
        count: how many.
        units: those that are compared, [J].
        precision: what is rounded on the way.
    """

    def __init__(
        self,
        variants: Variants,
        seen: Seen,
        steps: Array,
        count: int,
        units: Array,
        precision: Precision | None = None,
    ) -> None:
        self._variants, self._seen, self._steps, self._count = variants, seen, steps, count
        self._units, self._precision = units, precision
        self._rows: dict[_Key, tuple[Rows, Array, Array]] = {}
        self._sums: dict[tuple[str, _Key], tuple[Array, Array]] = {}
        self._columns: dict[_Key, Array] = {}
        self._added: dict[_Key, tuple[Array, Array, Array, Array]] = {}

    def error(self, hypothesis: Hypothesis) -> float:
        """Return the largest |h' - returned| under `hypothesis`; infinite where no step is left."""
        order = tuple(edit for edit in hypothesis if edit.axis == "gate_order")
        rest = tuple(edit for edit in hypothesis if edit.axis != "gate_order")
        return float(self.errors(rest, Orders(order or (None,)))[0])

    def errors(self, hypothesis: Hypothesis, orders: Orders) -> Array:
        """Return the error of `hypothesis` joined with each of `orders`, [O]; it has none of its own."""
        said: _Said = {edit.axis: edit for edit in hypothesis}
        at, opposite = self._variants.at, said.get("directions")
        direction = at.opposite if opposite is not None and at.opposite is not None else at.direction
        gate = _activation(said.get("gate_activation"), direction.gate_activation)
        left_out = said.get("absent_gate")
        absent = direction.absent_gates | ({left_out.value} if left_out is not None else set())
        reset = ONE if RESET in absent else gate
        flipped = "update_gate" in said
        data = (opposite, *(said.get(axis) for axis in DATA_AXES))
        rows, previous, hidden = self._gathered(data, hypothesis)
        if len(rows) == 0 or (flipped and (UPDATE in absent or not gate.complements)):
            return np.full(len(orders.edits), np.inf)
        clip = None if "clip" in said else at.layer.clip
        # a gate that is left out has no share in the scale that a fused kernel is quantised with
        whose = (opposite,) if self._precision is None else (opposite, left_out)
        kernel, recurrent = (*whose, said.get("kernel")), (*whose, said.get("recurrent_kernel"))
        x_all, x = self._products("input_weight", data, kernel, rows.x)
        h_all, h = self._products("recurrent_weight", data, recurrent, rows.previous)
        both_all, both, b, c = self._biases((opposite, said.get("biases")))
        w, u, o = (
            orders.kernel,
            orders.recurrent_kernel,
            orders.biases,
        )  # of update, reset, candidate; [O] each

        z = _evaluate(ZERO if UPDATE in absent else gate, x[w[0]] + h[u[0]] + both[o[0]], clip)
        if at.layer.reset_after != ("reset_after" in said):
            r = _evaluate(reset, x[w[1]] + h[u[1]] + both[o[1]], clip)
            gated = r * (h[u[2]] + c[o[2]])
        else:
            r = _evaluate(reset, x_all[w[1]] + h_all[u[1]] + both_all[o[1]], clip)
            gated = self._factor(r * rows.previous) @ self._chosen(recurrent)[u[2]] + c[o[2]]
        candidate = _activation(said.get("candidate_activation"), direction.candidate_activation)
        n = _evaluate(candidate, x[w[2]] + b[o[2]] + gated, clip)
        if flipped:
            z = 1 - z
        error: Array = np.abs(n + z * (previous - n) - hidden).max(axis=(1, 2))
        error[np.isnan(error)] = np.inf
        return error

    def _gathered(self, data: _Key, hypothesis: Hypothesis) -> tuple[Rows, Array, Array]:
        if data not in self._rows:
            rows = gather(self._seen, self._steps, hypothesis).first(self._count)
            self._rows[data] = rows, rows.previous[:, self._units], rows.hidden[:, self._units]
        return self._rows[data]

    def _products(self, part: str, data: _Key, key: _Key, factor: Array) -> tuple[Array, Array]:
        """Products of all gates, [3, N, H], and of the chosen units, [3, N, J]."""
        found = self._sums.get((part, data + key))
        if found is None:
            product = self._factor(factor) @ np.swapaxes(self._kernel(part, key), 1, 2)
            found = self._sums[part, data + key] = product, product[:, :, self._units]
        return found

    def _chosen(self, key: _Key) -> Array:
        """The columns of the recurrent kernels that lead to the chosen units, [3, H, J]."""
        if key not in self._columns:
            kernel = self._kernel("recurrent_weight", key)
            self._columns[key] = np.ascontiguousarray(np.swapaxes(kernel[:, self._units], 1, 2))
        return self._columns[key]

    def _kernel(self, part: str, key: _Key) -> Array:
        kernel = self._variants.kernel(part, key)
        return kernel if self._precision is None else self._precision.on_kernel(kernel)

    def _biases(self, key: _Key) -> tuple[Array, Array, Array, Array]:
        """Return b + c of all units, and of the chosen units b + c, b and c."""
        if key not in self._added:
            b, c = self._variants.biases(key)
            if self._precision is not None:
                b, c = self._precision.on_bias(b), self._precision.on_bias(c)
            units = self._units
            self._added[key] = b + c, (b + c)[:, :, units], b[:, :, units], c[:, :, units]
        return self._added[key]

    def _factor(self, factor: Array) -> Array:
        return factor if self._precision is None else self._precision.on_factor(factor)


def _activation(edit: Edit | None, own: Activation) -> Activation:
    return own if edit is None else parse_activation(edit.value)


def _evaluate(function: Activation, a: Array, clip: float | None) -> Array:
    if clip is not None:
        a = np.clip(a, -clip, clip)
    if function == SIGMOID:  # to a rounding of float64, in a third of the time
        logistic: Array = 0.5 + 0.5 * np.tanh(0.5 * a)
        return logistic
    return evaluate(function, a)
