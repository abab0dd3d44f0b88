"""A GRU in float32, float16 or bfloat16, written apart from the reference: every sum in an order of its own.

It is an honest runtime whose rounding can be chosen: the order of each dot product is drawn at random, and
h' is computed in either of its two forms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grubridge.spec import (
    RESET,
    UPDATE,
    Activation,
    Array,
    Gates,
    GRUDirection,
    GRULayer,
    GRUSpec,
    numpy_dtype,
)
from grubridge.traces import DirectionTrace, Place, Probe, Trace, valid_steps

__all__ = ["run_rounded"]


def run_rounded(
    spec: GRUSpec,
    probe: Probe,
    dtype: str = "float32",
    seed: int | None = 0,
    *,
    accumulator: str | None = None,
) -> Trace:
    """Run `spec` on `probe`.

    Args:
        spec: the equations.
        probe: the inputs.
        dtype: of every operation.
        seed: of the orders of summation; an odd one blends as n + z*(h-n). None sums in natural order.
        accumulator: dtype of the sums inside matrix products; None for `dtype`.
    """
    machine = _Machine(dtype, accumulator or dtype, seed)
    places: dict[Place, DirectionTrace] = {}
    x = probe.x.astype(machine.dtype)
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    for index, layer in enumerate(spec.layers):
        outputs = []
        for name, direction in layer.directions():
            start = probe.initial_state.get((index, name), np.zeros((probe.batch, layer.hidden_size)))
            if direction.initial_state is not None:
                start = np.tile(direction.initial_state, (probe.batch, 1))
            made = machine.run(
                layer, direction, x, start.astype(machine.dtype), valid, backward=name == "backward"
            )
            places[index, name] = made
            outputs.append(made.hidden)
        x = np.concatenate(outputs, axis=-1)
    return Trace("numpy", np.__version__, "cpu", dtype, native=True, places=places)


class _Machine:
    def __init__(self, dtype: str, accumulator: str, seed: int | None) -> None:
        self.dtype, self.accumulator = numpy_dtype(dtype), numpy_dtype(accumulator)
        self.rng = None if seed is None else np.random.default_rng(seed)
        self.interpolates = bool(seed and seed % 2)
        self.one = np.ones((), self.dtype)

    def dot(self, rows: Array, weight: Array, bias: Array | None) -> Array:
        """[B, K] by [H, K] plus [H], summed one term after the other."""
        count = weight.shape[1]
        order = np.arange(count) if self.rng is None else self.rng.permutation(count)
        wide = self.accumulator
        terms = rows[:, None, order].astype(wide) * weight[:, order].astype(wide)
        if bias is not None:
            first = np.broadcast_to(bias.astype(wide), terms.shape[:2])[..., None]
            terms = np.concatenate([first, terms], axis=-1)
        return np.add.accumulate(terms, axis=-1, dtype=wide)[..., -1].astype(self.dtype)

    def activate(self, activation: Activation, a: Array, clip: float | None) -> Array:
        if clip is not None:
            a = np.clip(a, -self.one * self.dtype.type(clip), self.dtype.type(clip))
        # transcendental functions are taken in float32 and rounded, as libraries do for half precision
        wide = a.astype(np.promote_types(np.float32, self.dtype) if self.dtype.kind == "f" else np.float32)
        return _FUNCTIONS[activation.name](wide, activation).astype(self.dtype)

    def run(
        self, layer: GRULayer, how: GRUDirection, x: Array, start: Array, valid: Array, *, backward: bool
    ) -> DirectionTrace:
        batch, steps, _ = x.shape
        hidden, z_all, r_all, n_all = (
            np.zeros((batch, steps, layer.hidden_size), self.dtype) for _ in range(4)
        )
        w, u, b, c = how.input_weight, how.recurrent_weight, how.input_bias, how.recurrent_bias
        h = start
        for t in reversed(range(steps)) if backward else range(steps):
            xs = x[:, t]
            part = {gate: self.dot(xs, weight, None if b is None else b[gate]) for gate, weight in w.items()}
            z, r = (
                self.activate(
                    how.activation(gate),
                    part[gate] + self.dot(h, u[gate], None if c is None else c[gate]),
                    layer.clip,
                )
                for gate in (UPDATE, RESET)
            )
            last = None if c is None else c.candidate
            recurrent = (
                r * self.dot(h, u.candidate, last)
                if layer.reset_after
                else self.dot(r * h, u.candidate, last)
            )
            n = self.activate(how.candidate_activation, part["candidate"] + recurrent, layer.clip)
            following = n + z * (h - n) if self.interpolates else z * h + (self.one - z) * n
            keep = valid[:, t, None]
            h = np.where(keep, following, h)
            for made, value in ((hidden, h), (z_all, z), (r_all, r), (n_all, n)):
                made[:, t] = np.where(keep, value, 0)
        return DirectionTrace(x, start, hidden, Gates(z_all, r_all, n_all), "replayed")


_FUNCTIONS: dict[str, Callable[[Array, Activation], Array]] = {
    "sigmoid": lambda a, f: np.where(a >= 0, 1, np.exp(-np.abs(a))) / (1 + np.exp(-np.abs(a))),
    "tanh": lambda a, f: np.tanh(a),
    "relu": lambda a, f: np.maximum(a, 0),
    "hard_sigmoid": lambda a, f: np.clip(a.dtype.type(f.alpha) * a + a.dtype.type(f.beta), 0, 1),
    "scaled_tanh": lambda a, f: a.dtype.type(f.alpha) * np.tanh(a.dtype.type(f.beta) * a),
    "leaky_relu": lambda a, f: np.where(a < 0, a.dtype.type(f.alpha) * a, a),
    "elu": lambda a, f: np.where(a < 0, a.dtype.type(f.alpha) * (np.exp(np.minimum(a, 0)) - 1), a),
    "affine": lambda a, f: a.dtype.type(f.alpha) * a + a.dtype.type(f.beta),
    "softplus": lambda a, f: np.log1p(np.exp(-np.abs(a))) + np.maximum(a, 0),
    "softsign": lambda a, f: a / (1 + np.abs(a)),
    "thresholded_relu": lambda a, f: np.where(a > a.dtype.type(f.alpha), a, 0),
}
