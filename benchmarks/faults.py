"""What goes wrong when a GRU changes its home, from a dropped state down to one weight in its sixth digit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.runtimes import run_natively
from grubridge.spec import GATE_NAMES, Array, Gates, GRUDirection, GRUSpec, hard_sigmoid, numpy_dtype
from grubridge.traces import DirectionTrace, Probe, Trace

__all__ = ["FAULTS", "Fault"]

Change = Callable[[GRUDirection, np.random.Generator], GRUDirection]
Runtime = Literal["keras", "onnxruntime", "pytorch", "tf32"]

_PARTS = ("input_weight", "recurrent_weight", "input_bias", "recurrent_bias")


def _unchanged(direction: GRUDirection, _: np.random.Generator) -> GRUDirection:
    return direction


@dataclass(frozen=True)
class Fault:
    """A way for a GRU of one layer to go wrong.

    Args:
        name: in a few words.
        size: how large it is; empty where there is no more than one.
        wrong: from the right direction to the wrong one.
        right: from a random direction to the right one, where the fault shows in some only.
        runtime: where the wrong one runs; "tf32" is numpy with factors of products rounded so.
        other_reset_mode: whether the reset gate comes before the product rather than after it.
        ignores_state: whether the initial state is dropped.
        input_scale: of the inputs.
        state_scale: of the initial states.
    """

    name: str
    size: str
    wrong: Change = _unchanged
    right: Change = _unchanged
    runtime: Runtime = "pytorch"
    other_reset_mode: bool = False
    ignores_state: bool = False
    input_scale: float = 1.0
    state_scale: float = 1.0

    def prepared(self, spec: GRUSpec, rng: np.random.Generator) -> GRUSpec:
        """The right GRU."""
        return _changed(spec, self.right, rng)

    def inputs(self, probe: Probe) -> Probe:
        """The right inputs."""

        def scaled(values: Array, scale: float) -> Array:
            return (values * scale).astype(np.float32).astype(np.float64)

        states = {place: scaled(state, self.state_scale) for place, state in probe.initial_state.items()}
        return replace(probe, x=scaled(probe.x, self.input_scale), initial_state=states)

    def broken(self, right: GRUSpec, rng: np.random.Generator) -> GRUSpec:
        """The wrong GRU."""
        wrong = _changed(right, self.wrong, rng)
        if not self.other_reset_mode:
            return wrong
        return replace(wrong, layers=(replace(wrong.layers[0], reset_after=False),))

    def run(self, wrong: GRUSpec, probe: Probe) -> Trace:
        """Run the wrong GRU."""
        given = replace(probe, initial_state={}) if self.ignores_state else probe
        return (
            _run_in_tf32(wrong, given)
            if self.runtime == "tf32"
            else run_natively(wrong, self.runtime, given)[1]
        )


def _changed(spec: GRUSpec, change: Change, rng: np.random.Generator) -> GRUSpec:
    (layer,) = spec.layers
    assert layer.forward is not None  # noqa: S101 - for the type checker
    return replace(spec, layers=(replace(layer, forward=change(layer.forward, rng)),))


def _one(part: str, change: Callable[[float], float]) -> Change:
    """Change one number of a part, of any gate."""

    def wrong(direction: GRUDirection, rng: np.random.Generator) -> GRUDirection:
        gates: Gates[Array] = getattr(direction, part)
        gate = GATE_NAMES[rng.integers(3)]
        array = gates[gate].copy()
        place = tuple(rng.integers(size) for size in array.shape)
        array[place] = change(float(array[place]))
        return replace(direction, **{part: replace(gates, **{gate: array})})  # type: ignore[arg-type]

    return wrong


def _all(parts: Iterable[str], change: Callable[[Array, np.random.Generator], Array]) -> Change:
    """Change all numbers of some parts."""

    def wrong(direction: GRUDirection, rng: np.random.Generator) -> GRUDirection:
        made: dict[str, Gates[Array]] = {
            part: getattr(direction, part).map(lambda a: change(a, rng).astype(np.float32)) for part in parts
        }
        return replace(direction, **made)  # type: ignore[arg-type]

    return wrong


def _scaled(scales: Mapping[str, float]) -> Change:
    """Multiply parts; "part.gate" names a single gate of one."""

    def right(direction: GRUDirection, _: np.random.Generator) -> GRUDirection:
        for name, scale in scales.items():
            part, only = (*name.split("."), "")[:2]
            gates: Gates[Array] = getattr(direction, part)
            made = Gates(*(a * np.float32(scale) if only in {"", gate} else a for gate, a in gates.items()))
            direction = replace(direction, **{part: made})  # type: ignore[arg-type]
        return direction

    return right


def _two_exchanged(part: str) -> Change:
    """Exchange two numbers of one gate: of two units' biases, or of one row of weights."""

    def wrong(direction: GRUDirection, rng: np.random.Generator) -> GRUDirection:
        gates: Gates[Array] = getattr(direction, part)
        gate = GATE_NAMES[rng.integers(3)]
        array = gates[gate].copy()
        row = array if array.ndim == 1 else array[rng.integers(len(array))]
        one, other = rng.choice(len(row), 2, replace=False)
        row[[one, other]] = row[[other, one]]
        return replace(direction, **{part: replace(gates, **{gate: array})})  # type: ignore[arg-type]

    return wrong


def _folded(direction: GRUDirection, _: np.random.Generator) -> GRUDirection:
    b, c = direction.input_bias, direction.recurrent_bias
    assert b is not None and c is not None and c.candidate is not None  # noqa: S101, PT018 - for the type checker
    return replace(
        direction,
        input_bias=replace(b, candidate=b.candidate + c.candidate),
        recurrent_bias=replace(c, candidate=np.zeros_like(c.candidate)),
    )


def _hard(slope: float) -> Change:
    return lambda direction, _: replace(direction, gate_activation=hard_sigmoid(slope))


def _small_and_hard(scale: float) -> Change:
    def right(direction: GRUDirection, rng: np.random.Generator) -> GRUDirection:
        return _hard(0.2)(_scaled(dict.fromkeys(_PARTS, scale))(direction, rng), rng)

    return right


def _cast(dtype: str) -> Change:
    return _all(_PARTS, lambda a, _: a.astype(numpy_dtype(dtype)))


def _run_in_tf32(spec: GRUSpec, probe: Probe) -> Trace:
    """Run in float32, the factors of matrix products rounded to TF32 (10 bits), to nearest even."""

    def tf32(a: Array) -> Array:
        bits = a.astype(np.float32).view(np.int32)
        rounded: Array = ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(np.float32)
        return rounded

    (_, name, d), one = next(spec.directions()), np.float32(1)
    w, u, b, c = d.input_weight.map(tf32), d.recurrent_weight.map(tf32), d.input_bias, d.recurrent_bias
    assert b is not None and c is not None  # noqa: S101, PT018 - for the type checker
    x, h = tf32(probe.x), probe.initial_state[0, name].astype(np.float32)
    start, states = h, []
    for t in range(probe.steps):
        before = tf32(h)
        inner = {gate: x[:, t] @ weight.T + b[gate] for gate, weight in w.items()}
        outer = {gate: before @ weight.T + c[gate] for gate, weight in u.items()}
        z, r = (one / (one + np.exp(-(inner[gate] + outer[gate]))) for gate in ("update", "reset"))
        h = z * h + (one - z) * np.tanh(inner["candidate"] + r * outer["candidate"])
        states.append(h)
    made = DirectionTrace(probe.x, start, np.stack(states, 1), None, "replayed")
    return Trace("numpy", np.__version__, "cpu", "float32", native=True, places={(0, name): made})


def _of_sizes(name: str, sizes: Iterable[float], change: Callable[[float], Change]) -> Iterable[Fault]:
    return (Fault(name, f"{size:.0e}".replace("e-0", "e-"), change(size)) for size in sizes)


def _noise(size: float) -> Change:
    weights = ("input_weight", "recurrent_weight")
    return _all(weights, lambda a, rng: a * (1 + size * rng.standard_normal(a.shape)))


FAULTS: tuple[Fault, ...] = (
    Fault("none, PyTorch", ""),
    Fault("none, Keras", "", runtime="keras"),
    Fault("none, ONNX Runtime", "", runtime="onnxruntime"),
    *_of_sizes(
        "one input weight, relative",
        (1e-4, 1e-3, 1e-2),
        lambda s: _one("input_weight", lambda w: w * (1 + s)),
    ),
    *_of_sizes(
        "one recurrent weight, relative",
        (1e-4, 1e-3, 1e-2),
        lambda s: _one("recurrent_weight", lambda w: w * (1 + s)),
    ),
    *_of_sizes("one bias, absolute", (1e-6, 1e-5, 1e-4), lambda s: _one("input_bias", lambda b: b + s)),
    *_of_sizes(
        "all input biases, absolute", (1e-7, 1e-6, 1e-5), lambda s: _all(("input_bias",), lambda b, _: b + s)
    ),
    *_of_sizes("noise on all weights, relative", (1e-7, 1e-6, 1e-5), _noise),
    Fault(
        "reset before, not after",
        "U_n, c_n ~1e-4",
        right=_scaled({"recurrent_weight.candidate": 1e-4, "recurrent_bias.candidate": 0}),
        runtime="onnxruntime",
        other_reset_mode=True,
    ),
    Fault(
        "update gate takes, not keeps",
        "x, h, b ~1e-4",
        wrong=lambda direction, _: direction.complement_update(),
        right=_scaled({"input_bias": 1e-4, "recurrent_bias": 1e-4}),
        input_scale=1e-4,
        state_scale=1e-4,
    ),
    Fault("initial state ignored", "h ~1e-5", ignores_state=True, state_scale=2e-5),
    Fault("TF32", "", runtime="tf32"),
    Fault("weights rounded to float16", "", _cast("float16")),
    Fault("weights rounded to bfloat16", "", _cast("bfloat16")),
    Fault("biases of two units exchanged", "", _two_exchanged("input_bias")),
    Fault("two recurrent weights exchanged", "", _two_exchanged("recurrent_weight")),
    Fault("recurrent bias of n folded into the other", "", _folded),
    *(
        Fault("hard sigmoid 1/6, not 0.2", size, _hard(1 / 6), _small_and_hard(scale), "onnxruntime")
        for size, scale in (("weights ~1e-4", 1e-4), ("weights ~1e-5", 1e-5))
    ),
)
"""The catalogue; "none" are right runs, in which nothing may be found."""
