"""The tensors of a spec by a layout, and every reason why a layout cannot hold a spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from grubridge.files.tensors import TensorPlan
from grubridge.files.text import printable
from grubridge.spec import (
    UPDATE,
    Array,
    BiasChange,
    Capabilities,
    Direction,
    Fused,
    Gate,
    GRUDirection,
    GRULayer,
    GRUSpec,
    Layout,
    TensorRecord,
    has_biases,
    record,
    unsupported,
)

from .biases import BiasPlace, bias_places, brought, in_the_way
from .description import CellLayout, Part, TensorLayout
from .finding import of_place

__all__ = ["plan", "reasons_against"]


def reasons_against(spec: GRUSpec, layout: CellLayout) -> tuple[str, ...]:
    """Return every reason why no tensors of `layout` hold `spec`; () if they can."""
    target = f"the layout {printable(layout.name)}"
    holds_state = any(tensor.holds == ("initial_state",) for tensor in layout.tensors)
    modes = {"after": (True,), "before": (False,), "absent": (True, False)}[layout.reset]
    gated = len(layout.absent_gates) < 2
    can = Capabilities(
        reset_modes=frozenset(modes),
        gate_activations=frozenset((layout.gate_activation,)) if gated else None,
        candidate_activations=frozenset((layout.candidate_activation,)),
        clip=False,
        initial_state=holds_state,
        backward_only=False,
        absent_gates=True,
    )
    reasons = list(unsupported(spec, can, target))
    if len(spec.layers) > 1 and not layout.has_layers:
        reasons.append(f"it has {len(spec.layers)} layers, and the names of {target} do not count any")
    if len(spec.layers) > 1 and layout.output_activation is not None:
        reasons.append(
            f"{target} gives {layout.output_activation} of a layer's states to the next, not the states"
        )
    if any(layer.backward is not None for layer in spec.layers) and not layout.has_directions:
        reasons.append(f"it runs backwards too, and the names of {target} tell no directions apart")
    if layout.update == "takes" and not layout.gate_activation.complements:
        reasons.append(f"negated weights do not turn z into 1 - z under {layout.gate_activation}")
    places = bias_places(layout.tensors)
    for index, way, direction in spec.directions():
        reset_after = spec.layers[index].reset_after
        found = tuple(_of_gates(direction, layout, target))
        found = found or tuple(in_the_way(direction, places, reset_after=reset_after))
        reasons += [f"layer {index} {way}: {reason}" for reason in found]
    return tuple(dict.fromkeys(reasons))


def _of_gates(direction: GRUDirection, layout: CellLayout, target: str) -> Iterator[str]:
    for gate in sorted(direction.absent_gates - layout.absent_gates):
        yield f"it has no {gate} gate, and cells of {target} have one; a bias can hold it: ask for --saturate"
    for gate in sorted(layout.absent_gates - direction.absent_gates):
        yield f"it has a {gate} gate, and cells of {target} have none"


def plan(spec: GRUSpec, layout: CellLayout, source: Layout) -> TensorPlan:
    """Lay out `spec`; `reasons_against` must have found none.

    Where the spec has any bias, every bias tensor is written, with zeros for an absent bias; otherwise the
    optional ones are left out.

    Args:
        spec: what to store.
        layout: how.
        source: how the tensors lay in the file that they come from, for the records.
    """
    biased = has_biases(spec)
    tensors: dict[str, Fused] = {}
    records: list[TensorRecord] = []
    layers: list[GRULayer] = []
    for index, layer in enumerate(spec.layers):
        made: dict[Direction, GRUDirection] = {}
        for way, given in layer.directions():
            place = of_place(layout, index, way)
            kept = [tensor for tensor in place.tensors if _is_written(tensor, given, biased=biased)]
            made[way], changes = _brought(given, kept)
            stored = made[way].complement_update() if layout.update == "takes" else made[way]
            for tensor in kept:
                fused = tensors[tensor.name] = _fused(tensor, stored)
                where = f"layer {index} {way}"
                records.append(
                    _record(tensor, fused.shape, where, (source, layout.update == "takes"), changes)
                )
        reset_after = layer.reset_after or layout.reset == "absent"
        layers.append(GRULayer(made.get("forward"), made.get("backward"), reset_after))
    wiring = replace(spec.io, time_major=layout.time_major, output_activation=layout.output_activation)
    return TensorPlan(replace(spec, layers=tuple(layers), io=wiring), tensors, tuple(records))


def _is_written(tensor: TensorLayout, direction: GRUDirection, *, biased: bool) -> bool:
    if not tensor.optional:
        return True
    return biased if tensor.gates else direction.initial_state is not None


def _brought(
    direction: GRUDirection, tensors: Sequence[TensorLayout]
) -> tuple[GRUDirection, Mapping[BiasPlace, BiasChange]]:
    """Return the direction as `tensors` hold it; an initial state that it lacks is zeros."""
    cell, changes = brought(direction, bias_places(tensors))
    if cell.initial_state is None and any(not tensor.gates for tensor in tensors):
        cell = replace(cell, initial_state=np.zeros(cell.hidden_size, cell.input_weight.candidate.dtype))
    return cell, changes


def _fused(tensor: TensorLayout, direction: GRUDirection) -> Fused:
    """Return what `tensor` holds of a direction; products with [x, h] and rows of biases alone are copied."""
    if not tensor.gates:
        return Fused((_array(direction, "initial_state"),), 0)
    held = [[_array(direction, part, gate) for gate in tensor.gates] for part in tensor.holds]
    if not tensor.is_weight:
        if len(held) == 1 or tensor.flat:
            return Fused(tuple(bias for biases in held for bias in biases), 0)
        return Fused(tuple(np.concatenate(biases)[np.newaxis] for biases in held), 0)
    gates = [
        weights[0] if len(weights) == 1 else np.concatenate(weights, 1) for weights in zip(*held, strict=True)
    ]
    return Fused(tuple(gates), 0) if tensor.rows == "output" else Fused(tuple(gate.T for gate in gates), 1)


def _array(direction: GRUDirection, part: Part, gate: Gate | None = None) -> Array:
    value = getattr(direction, part)
    array: Array = value if gate is None else value[gate]
    return array


def _record(
    tensor: TensorLayout,
    shape: tuple[int, ...],
    where: str,
    layouts: tuple[Layout, bool],
    changes: Mapping[BiasPlace, BiasChange],
) -> TensorRecord:
    """Return what was done to make a tensor; `layouts` are the source's and whether the target's z takes."""
    source, takes = layouts
    has_update = UPDATE in tensor.gates
    order = tuple(gate for gate in source.gate_order if gate in tensor.gates)
    moved = record(
        tensor.name,
        shape,
        tuple(f"{where} {part}" for part in tensor.holds),
        Layout(order, source.rows, source.takes and has_update),
        Layout(tensor.gates, tensor.rows, takes and has_update),
    )
    places = bias_places([tensor])
    done = [changes[place] for place in sorted(places) if place in changes]
    if done and len(done) == len(places) and all(change.action == "zero-filled" for change in done):
        return replace(moved, actions=("zero-filled",))
    for action in dict.fromkeys(change.action for change in done):
        moved = moved.also(action, max(change.largest_change for change in done if change.action == action))
    return moved
