"""A float32 GRU in numpy that makes the mistakes of data and precision that the search for causes knows.

It shares no code with the library: mistakes of weights and equations are in the spec that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from grubridge.spec import Activation, Array, Direction, Gates, GRUDirection, GRULayer, GRUSpec
from grubridge.traces import DirectionTrace, Place, Probe, Trace

__all__ = ["PRECISIONS", "run_wrongly"]

Rounding = Callable[[Array], Array]


def run_wrongly(spec: GRUSpec, probe: Probe, mistakes: Mapping[str, str]) -> Trace:
    """Run `spec` on `probe` in float32.

    Args:
        spec: the equations.
        probe: the inputs.
        mistakes: axis -> value, of the axes initial_state, lengths, time and precision; those of time are
            made in one layer only.
    """
    time, rounds = mistakes.get("time", ""), PRECISIONS.get(mistakes.get("precision", ""), _EXACT)
    batch, steps, _ = probe.x.shape
    whole = probe.lengths is None or "lengths" in mistakes
    ends = np.full(batch, steps) if whole or probe.lengths is None else np.asarray(probe.lengths)
    x = probe.x.astype(np.float32)
    places: dict[Place, DirectionTrace] = {}
    for index, layer in enumerate(spec.layers):
        states: dict[Direction, Array] = {}
        for name, direction in layer.directions():
            start = np.zeros((batch, direction.hidden_size), np.float32)
            if "initial_state" not in mistakes:
                start = probe.initial_state.get((index, name), start).astype(np.float32)
            received, lengths = _mistaken_input(x, ends, time, name)
            if time == "batch_and_time_exchanged":
                start = np.zeros((steps, direction.hidden_size), np.float32)
            backward = (name == "backward") != (time == "read_other_way")
            hidden = _run(layer, direction, received, start, lengths, rounds, backward=backward)
            states[name] = _mistaken_output(hidden, ends, time)
        if time == "halves_exchanged":
            states = {"forward": states["backward"], "backward": states["forward"]}
        for name, hidden in states.items():
            given = probe.initial_state.get((index, name), hidden[:, 0])
            places[index, name] = DirectionTrace(x, given, hidden, None, "observed")
        x = np.concatenate(list(states.values()), axis=-1)
    return Trace("numpy", np.__version__, "cpu", "float32", native=True, places=places)


def _reversed(a: Array, ends: Array) -> Array:
    """Reverse every sequence over its valid steps."""
    made = a.copy()
    for b, end in enumerate(ends):
        made[b, :end] = a[b, :end][::-1]
    return made


def _mistaken_input(x: Array, ends: Array, time: str, name: Direction) -> tuple[Array, Array]:
    if time == "input_reversed":
        return _reversed(x, ends), ends
    if time == "batch_and_time_exchanged":
        return np.swapaxes(x, 0, 1), np.full(x.shape[1], x.shape[0])
    late = {"input_late": 1, "input_early": -1}.get(time, 0) * (1 if name == "forward" else -1)
    return np.roll(x, late, axis=1), ends


def _mistaken_output(hidden: Array, ends: Array, time: str) -> Array:
    if time == "stored_reversed":
        return _reversed(hidden, ends)
    return np.swapaxes(hidden, 0, 1) if time == "batch_and_time_exchanged" else hidden


def _run(
    layer: GRULayer,
    how: GRUDirection,
    x: Array,
    h: Array,
    ends: Array,
    rounds: tuple[Rounding, Rounding, Rounding],
    *,
    backward: bool,
) -> Array:
    factors, kernels, biases = rounds
    (wz, wr, wn), (uz, ur, un) = (
        [
            factors(kernel).T
            for kernel in kernels(np.stack([one.astype(np.float32) for _, one in gates.items()]))
        ]
        for gates in (how.input_weight, how.recurrent_weight)
    )
    (bz, br, bn), (cz, cr, cn) = (
        _biases(gates, how, biases) for gates in (how.input_bias, how.recurrent_bias)
    )
    update, reset, candidate = how.activation("update"), how.activation("reset"), how.activation("candidate")
    made = np.zeros((*x.shape[:2], how.hidden_size), np.float32)
    for t in reversed(range(x.shape[1])) if backward else range(x.shape[1]):
        xt, ht = factors(x[:, t]), factors(h)
        z = _activate(update, xt @ wz + bz + (ht @ uz + cz), layer.clip)
        r = _activate(reset, xt @ wr + br + (ht @ ur + cr), layer.clip)
        recurrent = r * (ht @ un + cn) if layer.reset_after else factors(r * h) @ un + cn
        n = _activate(candidate, xt @ wn + bn + recurrent, layer.clip)
        h = np.where((t < ends)[:, None], n + z * (h - n), h)
        made[:, t] = h
    return made


def _biases(
    gates: Gates[Array] | Gates[Array | None] | None, how: GRUDirection, rounds: Rounding
) -> list[Array]:
    zeros = np.zeros(how.hidden_size, np.float32)
    arrays = [None] * 3 if gates is None else [array for _, array in gates.items()]
    return [zeros if array is None else rounds(array.astype(np.float32)) for array in arrays]


def _activate(activation: Activation, a: Array, clip: float | None) -> Array:
    if clip is not None:
        a = np.clip(a, np.float32(-clip), np.float32(clip))
    alpha, beta = (np.float32(value or 0) for value in (activation.alpha, activation.beta))
    with np.errstate(over="ignore"):
        made: Array = _ACTIVATIONS[activation.name](a, alpha, beta)
    return made


_ONE = np.float32(1)
_ACTIVATIONS: dict[str, Callable[[Array, np.float32, np.float32], Array]] = {
    "sigmoid": lambda a, alpha, beta: _ONE / (_ONE + np.exp(-a)),
    "tanh": lambda a, alpha, beta: np.tanh(a),
    "relu": lambda a, alpha, beta: np.maximum(a, 0),
    "softsign": lambda a, alpha, beta: a / (_ONE + np.abs(a)),
    "affine": lambda a, alpha, beta: alpha * a + beta,
    "scaled_tanh": lambda a, alpha, beta: alpha * np.tanh(beta * a),
    "hard_sigmoid": lambda a, alpha, beta: np.clip(alpha * a + beta, 0, 1),
}


def _tf32(add: int, *, even: bool) -> Rounding:
    def rounded(a: Array) -> Array:
        bits = np.ascontiguousarray(a, np.float32).view(np.uint32).astype(np.uint64)
        last = (bits >> np.uint64(13)) & np.uint64(even)
        kept = (bits + np.uint64(add) + last) & np.uint64(0xFFFFE000)
        return kept.astype(np.uint32).view(np.float32)

    return rounded


def _cast(name: str) -> Rounding:
    import ml_dtypes

    dtype = np.dtype(getattr(ml_dtypes, name, name))

    def cast(a: Array) -> Array:
        made: Array = a.astype(dtype).astype(np.float32)
        return made

    return cast


def _int8(kernels: Array) -> Array:
    scale = np.abs(kernels).max() / np.float32(127)
    made: Array = (np.rint(kernels / scale) * scale).astype(np.float32)
    return made


def _same(a: Array) -> Array:
    return a


_EXACT = (_same, _same, _same)
PRECISIONS: dict[str, tuple[Rounding, Rounding, Rounding]] = {
    "tf32_nearest_even": (_tf32(0xFFF, even=True), _same, _same),
    "tf32_nearest_away": (_tf32(0x1000, even=False), _same, _same),
    "tf32_truncated": (_tf32(0, even=False), _same, _same),
    "float16_products": (_cast("float16"), _same, _same),
    "bfloat16_products": (_cast("bfloat16"), _same, _same),
    "float16_weights": (_same, _cast("float16"), _cast("float16")),
    "bfloat16_weights": (_same, _cast("bfloat16"), _cast("bfloat16")),
    "float16_kernels": (_same, _cast("float16"), _same),
    "bfloat16_kernels": (_same, _cast("bfloat16"), _same),
    "tf32_kernels": (_same, _tf32(0xFFF, even=True), _same),
    "int8_kernels": (_same, _int8, _same),
}
"""Roundings of factors, of kernels and of biases."""
