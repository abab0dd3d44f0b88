"""A gate that is absent as one that a bias holds shut or open, for formats that know full GRUs only."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from grubridge.errors import UnsupportedFeatureError

from .fused import Array
from .gates import RESET, UPDATE, Gate, Gates
from .gru import GRUDirection, GRULayer, GRUSpec

__all__ = ["saturated"]

BIAS = 100.0
"""Of a gate that is held. Every dtype holds it exactly; sigmoid(-100) = 3.7e-44 is next to nothing."""

_NEGLIGIBLE = 2.0**-53  # no runtime computes finer than float64


def saturated(spec: GRUSpec) -> tuple[GRUSpec, tuple[str, ...]]:
    """Give `spec` the gates that it lacks: weights of zero, and a bias of -100 (update) or 100 (reset).

    Returns:
        The spec, and for every kind of held gate a note that says what it costs. sigmoid(-100) is 0 in
        float32 and below (a test measures it in PyTorch, Keras and ONNX Runtime), and 3.7e-44 in float64;
        sigmoid(100) is 1 in all of them.

    Raises:
        UnsupportedFeatureError: when it lacks no gate, or a gate's activation, or the clip of its argument,
            keeps the gate from its end; `features` has a reason for each.
    """
    notes: list[str] = []
    refused: list[str] = []
    layers: list[GRULayer] = []
    for layer in spec.layers:
        made = {name: _held(direction) for name, direction in layer.directions()}
        ungated = all(RESET in direction.absent_gates for _, direction in layer.directions())
        layers.append(
            replace(
                layer,
                forward=made.get("forward"),
                backward=made.get("backward"),
                reset_after=layer.reset_after or ungated,  # the same at r = 1, and what most formats hold
            )
        )
        for _, direction in layer.directions():
            for gate in sorted(direction.absent_gates):
                reason = _refusal(direction, gate, layer.clip)
                if reason is None:
                    notes.append(_note(direction, gate))
                else:
                    refused.append(reason)
    if refused:
        reasons = list(dict.fromkeys(refused))
        raise UnsupportedFeatureError(f"a gate cannot be held: {'; '.join(reasons)}", reasons)
    if not notes:
        reason = "there is nothing to saturate: the GRU has both gates"
        raise UnsupportedFeatureError(f"{reason}; leave --saturate out", [reason])
    return replace(spec, layers=tuple(layers)), tuple(dict.fromkeys(notes))


def _held(direction: GRUDirection) -> GRUDirection:
    zeros = np.zeros(direction.hidden_size, direction.input_weight.update.dtype)
    biases: Gates[Array] = direction.input_bias or Gates(zeros, zeros, zeros)
    for gate in direction.absent_gates:
        biases = replace(biases, **{gate: np.full_like(zeros, _bias(gate))})
    return replace(direction, input_bias=biases, absent_gates=frozenset())


def _bias(gate: Gate) -> float:
    return -BIAS if gate == UPDATE else BIAS


def _distance(direction: GRUDirection, gate: Gate, clip: float | None) -> float:
    """How far from 0 or 1 the held gate stays, in exact arithmetic."""
    activation, argument = direction.gate_activation, BIAS if clip is None else min(clip, BIAS)
    if activation.name == "sigmoid":
        return math.exp(-argument) / (1 + math.exp(-argument))
    if activation.name == "hard_sigmoid" and activation.alpha is not None and activation.beta is not None:
        end = activation.alpha * argument
        return max(0.0, activation.beta - end if gate == UPDATE else 1 - activation.beta - end)
    return math.inf


def _refusal(direction: GRUDirection, gate: Gate, clip: float | None) -> str | None:
    distance = _distance(direction, gate, clip)
    if distance <= _NEGLIGIBLE:
        return None
    end = "0" if gate == UPDATE else "1"
    if math.isinf(distance):
        return f"no bias brings the {gate} gate to {end} under {direction.gate_activation}"
    clipped = clip is not None and clip < BIAS
    why = f"clipped to {clip:g}" if clipped else f"with a bias of {_bias(gate):g}"
    return f"{why}, the {gate} gate stays {distance:.2g} from {end}"


def _note(direction: GRUDirection, gate: Gate) -> str:
    distance, dtype = _distance(direction, gate, None), direction.input_weight.update.dtype.name
    if gate == RESET:
        cost = "r is exactly 1 in every runtime"
    elif distance == 0 or dtype != "float64":
        cost = f"z is exactly 0 in {dtype} in PyTorch, Keras and ONNX Runtime"
    else:
        cost = f"z is {distance:.2g} instead of 0"
    return f"the source has no {gate} gate: a bias of {_bias(gate):g} holds it, so that {cost}"
