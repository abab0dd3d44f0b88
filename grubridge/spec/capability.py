"""What a format can say, and every reason why it cannot hold a given spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .activation import Activation
from .dtypes import DTYPES
from .gru import GRULayer, GRUSpec

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
        absent_gates: a cell may lack its update or reset gate.
        mixed_layers: layers of one stack may differ in hidden size and directions.
        dtypes: the dtypes that it stores.
        writes: grubridge writes it; a format that is only read holds no spec.
    """

    reset_modes: frozenset[bool] = frozenset((True, False))
    gate_activations: frozenset[Activation] | None = None
    candidate_activations: frozenset[Activation] | None = None
    per_direction_activations: bool = True
    clip: bool = True
    initial_state: bool = True
    backward_only: bool = True
    absent_gates: bool = False
    mixed_layers: bool = True
    dtypes: frozenset[str] = frozenset(DTYPES)
    writes: bool = True


def unsupported(spec: GRUSpec, capabilities: Capabilities, target: str) -> tuple[str, ...]:
    """Return every reason why `target` cannot hold `spec`, each with what to do instead; () if it can."""
    if not capabilities.writes:
        return (f"grubridge reads {target} and does not write it; write keras, onnx, pytorch or safetensors",)
    found: dict[str, list[int]] = {}
    for index, layer in enumerate(spec.layers):
        for reason in (
            *_of_wiring(layer, capabilities, target),
            *_of_activations(layer, capabilities, target),
        ):
            found.setdefault(reason, []).append(index)
    reasons = [_where(indices, len(spec.layers)) + reason for reason, indices in found.items()]
    shapes = {(layer.hidden_size, tuple(name for name, _ in layer.directions())) for layer in spec.layers}
    if len(shapes) > 1 and not capabilities.mixed_layers:
        reasons.append(
            f"the layers differ in hidden size or directions, and {target} has one for a whole stack; "
            "convert each layer by itself with --stack"
        )
    if spec.dtype.name not in capabilities.dtypes:
        held = ", ".join(name for name in DTYPES if name in capabilities.dtypes)
        reasons.append(
            f"the weights are {spec.dtype.name}; {target} stores {held}; choose one of them with --dtype"
        )
    return tuple(reasons)


def _where(indices: list[int], layers: int) -> str:
    if layers == 1:
        return ""
    if len(indices) == layers:
        return "every layer: "
    return f"layer{'s' * (len(indices) > 1)} {', '.join(map(str, indices))}: "


def _of_wiring(layer: GRULayer, can: Capabilities, target: str) -> Iterator[str]:
    if layer.reset_after not in can.reset_modes:
        mode, other = ("after", False) if layer.reset_after else ("before", True)
        yield (
            f"the reset gate is applied {mode} the recurrent product, and {target} has no such GRU; this is "
            f"another function, not another layout: write ONNX or Keras, or retrain with reset_after={other}"
        )
    if layer.clip is not None and not can.clip:
        yield f"pre-activations are clipped to {layer.clip:g}, and {target} has no clip; write ONNX"
    if layer.forward is None and not can.backward_only:
        yield (
            f"it runs backwards only, and {target} has no such layer; reverse time in your own code around a "
            "forward GRU, or write ONNX or Keras"
        )
    lacking = sorted({gate for _, d in layer.directions() for gate in d.absent_gates})
    if lacking and not can.absent_gates:
        yield (
            f"it has no {' and no '.join(lacking)} gate, and {target} knows full GRUs only; a bias can hold "
            "the gate: ask for that with --saturate"
        )
    if not can.initial_state and any(d.initial_state is not None for _, d in layer.directions()):
        yield (
            f"it carries a learned initial state, and {target} has no place for one; write ONNX, or pass the "
            "state in your own code"
        )


def _of_activations(layer: GRULayer, can: Capabilities, target: str) -> Iterator[str]:
    used = {(d.gate_activation, d.candidate_activation) for _, d in layer.directions()}
    if len(used) > 1 and not can.per_direction_activations:
        yield f"the two directions have different activations, and {target} has one pair for both; write ONNX"
    for gate, candidate in sorted(used, key=str):
        for part, activation, held in (
            ("gate", gate, can.gate_activations),
            ("candidate", candidate, can.candidate_activations),
        ):
            if held is not None and activation not in held:
                kin = [known for known in held if known.name == activation.name] or held
                names = ", ".join(sorted(map(str, kin)))
                yield f"the {part} activation is {activation}; {target} has {names}; write ONNX, which has it"
