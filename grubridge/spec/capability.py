"""What a format can say, and every reason why it cannot hold a given spec."""

from __future__ import annotations

from dataclasses import dataclass

from .activation import Activation
from .gru import DTYPES, GRUSpec

__all__ = ["Capabilities", "unsupported"]


@dataclass(frozen=True)
class Capabilities:
    """What a format can hold. `grubridge formats` prints it; `unsupported` applies it.

    Args:
        reset_modes: values of `reset_after` it can hold.
        gate_activations: of update and reset; None stands for any that the spec knows.
        candidate_activations: likewise for the candidate.
        per_direction_activations: the two directions of a layer may differ in their activations.
        clip: it can clip pre-activations.
        initial_state: it can carry a learned initial state.
        backward_only: it has layers that only run backwards.
        mixed_layers: layers of one stack may differ in hidden size, directions and reset mode.
        dtypes: the dtypes that it stores.
    """

    reset_modes: frozenset[bool] = frozenset((True, False))
    gate_activations: frozenset[Activation] | None = None
    candidate_activations: frozenset[Activation] | None = None
    per_direction_activations: bool = True
    clip: bool = True
    initial_state: bool = True
    backward_only: bool = True
    mixed_layers: bool = True
    dtypes: frozenset[str] = frozenset(DTYPES)


def unsupported(spec: GRUSpec, capabilities: Capabilities, target: str) -> tuple[str, ...]:
    """Return every reason why `target` cannot hold `spec`, each with what to do instead; () if it can."""
    can = capabilities
    reasons: list[str] = []
    for index, layer in enumerate(spec.layers):
        where = f"layer {index}: " if len(spec.layers) > 1 else ""
        if layer.reset_after not in can.reset_modes:
            mode = "after" if layer.reset_after else "before"
            reasons.append(
                f"{where}the reset gate is applied {mode} the recurrent product, and {target} has no such GRU; "
                "this is another function, not another layout: write ONNX or Keras, or retrain with reset_after=True"
            )
        if layer.clip is not None and not can.clip:
            reasons.append(
                f"{where}pre-activations are clipped to {layer.clip:g}, and {target} has no clip; write ONNX"
            )
        if layer.forward is None and not can.backward_only:
            reasons.append(
                f"{where}it runs backwards only, and {target} has no such layer; reverse time in your own code "
                "around a forward GRU, or write ONNX or Keras"
            )
        activations = {(d.gate_activation, d.candidate_activation) for _, d in layer.directions()}
        if len(activations) > 1 and not can.per_direction_activations:
            reasons.append(f"{where}the two directions have different activations; write ONNX")
        for gate, candidate in sorted(activations, key=str):
            if can.gate_activations is not None and gate not in can.gate_activations:
                held = _names(can.gate_activations)
                reasons.append(
                    f"{where}the gate activation is {gate}; {target} has {held}; write ONNX, which holds them all"
                )
            if can.candidate_activations is not None and candidate not in can.candidate_activations:
                held = _names(can.candidate_activations)
                reasons.append(
                    f"{where}the candidate activation is {candidate}; {target} has {held}; "
                    "write ONNX, which holds them all"
                )
        if not can.initial_state and any(d.initial_state is not None for _, d in layer.directions()):
            reasons.append(
                f"{where}it carries a learned initial state, and {target} has no place for one; write ONNX, "
                "or pass the state in your own code"
            )
    if not can.mixed_layers and len({_shape_of(spec, i) for i in range(len(spec.layers))}) > 1:
        reasons.append(
            f"the layers differ in hidden size or directions, and a {target} stack has the same for all; "
            "convert each layer by itself with --stack"
        )
    if spec.dtype.name not in can.dtypes:
        held = ", ".join(name for name in DTYPES if name in can.dtypes)
        reasons.append(f"the weights are {spec.dtype.name}; {target} stores {held}; choose one with --dtype")
    return tuple(reasons)


def _shape_of(spec: GRUSpec, index: int) -> tuple[int, tuple[str, ...]]:
    layer = spec.layers[index]
    return layer.hidden_size, tuple(name for name, _ in layer.directions())


def _names(activations: frozenset[Activation]) -> str:
    names = sorted(str(activation) for activation in activations)
    return "only " + names[0] if len(names) == 1 else ", ".join(names)
