"""Random specs, what they compute in float64 by equations written out here, and which are the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from grubridge.spec import (
    CANDIDATE,
    GATE_NAMES,
    RESET,
    UPDATE,
    Activation,
    Array,
    Gate,
    Gates,
    GRUDirection,
    GRULayer,
    GRUSpec,
)
from tests.zoo import make_spec

__all__ = ["SPECS", "difference", "equations"]

_SMOOTH = ((Activation("sigmoid"), Activation("tanh")),)

SPECS = st.builds(
    make_spec,
    st.sampled_from(["gru", "rnn.encoder", "GRU_1"]),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple),
    directions=st.sampled_from(["forward", "backward", "both"]),
    reset_after=st.booleans(),
    biases=st.sampled_from(["none", "input", "split", "candidate"]),
    dtype=st.sampled_from(["float16", "float32", "float64", "bfloat16"]),
    initial_state=st.booleans(),
    activations=st.just(_SMOOTH),
    seed=st.integers(0, 9),
)


def _sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def equations(spec: GRUSpec, x: Array, *, takes: bool = False) -> Array:
    """Return the outputs, [T, D*H], of the top layer for one sequence.

    z = sigmoid(W_z x + b_z + U_z h + c_z), r likewise, n = tanh(W_n x + b_n + r * (U_n h + c_n)), or
    n = tanh(W_n x + b_n + U_n (r * h) + c_n) with the reset before the product, h' = z * h + (1 - z) * n.
    Without an update gate h' = n, without a reset gate r = 1.

    Args:
        spec: with sigmoid and tanh.
        x: [T, I].
        takes: whether z takes the candidate instead.
    """
    for layer in spec.layers:
        outputs = []
        for way, direction in layer.directions():
            ordered = x if way == "forward" else x[::-1]
            hidden = _run(layer, direction, ordered, takes=takes)
            outputs.append(hidden if way == "forward" else hidden[::-1])
        x = np.concatenate(outputs, axis=1)
    return x


def _run(layer: GRULayer, direction: GRUDirection, x: Array, *, takes: bool) -> Array:
    def wide(gates: Gates[Array] | Gates[Array | None] | None, gate: Gate) -> Array:
        held = None if gates is None else gates[gate]
        return np.zeros(direction.hidden_size) if held is None else held.astype(np.float64)

    w, u, b, c = (
        {gate: wide(gates, gate) for gate in GATE_NAMES}
        for gates in (
            direction.input_weight,
            direction.recurrent_weight,
            direction.input_bias,
            direction.recurrent_bias,
        )
    )
    h = np.zeros(direction.hidden_size)
    if direction.initial_state is not None:
        h = direction.initial_state.astype(np.float64)
    states = []
    for row in x.astype(np.float64):
        z, r = (_sigmoid(w[g] @ row + b[g] + u[g] @ h + c[g]) for g in (UPDATE, RESET))
        z = 1 - z if takes else z
        z = np.zeros_like(z) if UPDATE in direction.absent_gates else z
        r = np.ones_like(r) if RESET in direction.absent_gates else r
        inner = r * (u[CANDIDATE] @ h + c[CANDIDATE])
        if not layer.reset_after:
            inner = u[CANDIDATE] @ (r * h) + c[CANDIDATE]
        n = np.tanh(w[CANDIDATE] @ row + b[CANDIDATE] + inner)
        h = z * h + (1 - z) * n
        states.append(h)
    return np.array(states)


def difference(one: GRUSpec, other: GRUSpec, *, summed: bool = False) -> str:
    """Return where the numbers of two specs are not bit for bit the same; "" where they are.

    A bias of zeros is as good as none.

    Args:
        one: a spec.
        other: another.
        summed: whether two biases may have become their sum.
    """
    here, there = dict(one.arrays()), dict(other.arrays())
    same: Callable[[str], bool] = lambda name: here[name].tobytes() == there[name].tobytes()  # noqa: E731
    if one.dtype != other.dtype:
        return f"dtype {one.dtype} {other.dtype}"
    for name in here.keys() | there.keys():
        if "bias" in name and summed:
            continue
        if name in here and name in there:
            if here[name].shape != there[name].shape or not same(name):
                return name
        elif "bias" not in name or np.any((here | there)[name]):
            return name
    return ""
