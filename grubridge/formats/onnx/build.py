"""A spec as an ONNX graph: one GRU node per layer, batch-first outside, every size but the weights' open.

    x [batch, time, I], initial_state [L*D, batch, H]? -> y [batch, time, D*H], final_state [L*D, batch, H]

With `time_major`, x and y are [time, batch, *]. Layers of different H have states of their own:
`initial_state_0`, `final_state_0` and so on. Transpose nodes do what the attribute `layout` would, because
ONNX Runtime refuses that. With gates: see `gate_outputs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from grubridge.formats.base import WriteOptions
from grubridge.spec import Array, Fused, GRULayer, GRUSpec
from grubridge.version import __version__

from .activations import attributes
from .gate_outputs import add_gates
from .gru_node import GATE_ORDER
from .messages import ModelProto, OperatorSetIdProto
from .nodes import Builder, Model, Place, Side, Weight, make_node
from .opsets import ir_version

__all__ = ["build"]

_DIRECTIONS = {("forward",): "forward", ("backward",): "reverse", ("forward", "backward"): "bidirectional"}


def build(spec: GRUSpec, options: WriteOptions, opset: int, metadata: Mapping[str, str]) -> Model:
    """Return the model of a spec in which every layer's biases are split or absent."""
    builder = Builder(spec, options, opset)
    builder.declare("input", "x", *builder.sequence(spec.input_size))
    builder.declare("output", "y", *builder.sequence(spec.layers[-1].output_size))
    for kind in ("input", "output") if options.with_state else ("output",):
        for name, shape in _states(spec, kind):
            builder.declare(kind, name, *shape)
    weights: list[Weight] = []
    x = builder.turned("x", "x_by_time")
    for index, layer in enumerate(spec.layers):
        own = _weights(index, layer)
        weights += own.values()
        names = {kind: weight.name for kind, weight in own.items()}
        state = builder.for_batch(names["state"]) if "state" in names else ""
        if options.with_state:
            state = _initial_state(builder, spec, index)
        place = Place(index, layer, x, f"gru_{index}_Y", state, names)
        _add_gru(builder, place, _final_state(spec, index))
        if options.with_gates:
            add_gates(builder, place)
        x = _side_by_side(builder, place)
    builder.turned(x, "y")
    if len(spec.layers) > 1 and _joined(spec):
        finals = [_final_state(spec, index) for index in range(len(spec.layers))]
        builder.add("Concat", finals, "final_state", axis=0)
    opsets = [OperatorSetIdProto(domain="", version=opset)]
    proto = ModelProto(ir_version=ir_version(opset), opset_import=opsets, graph=builder.graph)
    proto.producer_name, proto.producer_version = "grubridge", __version__
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    return Model(proto, tuple(weights))


def _joined(spec: GRUSpec) -> bool:
    """Whether one tensor can hold the states of all layers."""
    return len({layer.hidden_size for layer in spec.layers}) == 1


def _states(spec: GRUSpec, kind: Side) -> Iterator[tuple[str, tuple[int | str, ...]]]:
    """Yield (name, (D, "batch", H)) of the graph's initial or final states."""
    name = "initial_state" if kind == "input" else "final_state"
    directions = [len(list(layer.directions())) for layer in spec.layers]
    if _joined(spec):
        yield name, (sum(directions), "batch", spec.layers[0].hidden_size)
        return
    for index, layer in enumerate(spec.layers):
        yield f"{name}_{index}", (directions[index], "batch", layer.hidden_size)


def _initial_state(builder: Builder, spec: GRUSpec, index: int) -> str:
    """Return the name of a layer's part of the input `initial_state`."""
    if not _joined(spec):
        return f"initial_state_{index}"
    if len(spec.layers) == 1:
        return "initial_state"
    first = sum(len(list(layer.directions())) for layer in spec.layers[:index])
    rows = range(first, first + len(list(spec.layers[index].directions())))
    places = builder.integers(f"gru_{index}_places", *rows)
    return builder.add("Gather", ["initial_state", places], f"gru_{index}_initial_state", axis=0)


def _final_state(spec: GRUSpec, index: int) -> str:
    """Return the name of a layer's Y_h: an output of the graph, or a part of one."""
    if not _joined(spec):
        return f"final_state_{index}"
    return "final_state" if len(spec.layers) == 1 else f"gru_{index}_Y_h"


def _add_gru(builder: Builder, place: Place, final_state: str) -> None:
    names = tuple(name for name, _ in place.layer.directions())
    activations = [
        activation
        for _, direction in place.layer.directions()
        for activation in (direction.gate_activation, direction.candidate_activation)
    ]
    how = attributes(activations)
    if place.layer.clip is not None:
        how["clip"] = float(place.layer.clip)
    weights = place.weights
    builder.graph.node.append(
        make_node(
            "GRU",
            [place.x, weights["W"], weights["R"], weights.get("B", ""), "", place.state],
            [place.y, final_state],
            f"gru_{place.index}",
            direction=_DIRECTIONS[names],
            hidden_size=place.layer.hidden_size,
            linear_before_reset=int(place.layer.reset_after),
            **how,
        )
    )


def _side_by_side(builder: Builder, place: Place) -> str:
    """Put the directions of Y side by side: [time, D, batch, H] -> [time, batch, D*H]."""
    apart = builder.add("Transpose", [place.y], f"gru_{place.index}_Y_by_batch", perm=[0, 2, 1, 3])
    shape = builder.integers(f"gru_{place.index}_output_shape", 0, 0, place.layer.output_size)
    return builder.add("Reshape", [apart, shape], f"gru_{place.index}_output")


def _weights(index: int, layer: GRULayer) -> dict[str, Weight]:
    """Return the tensors of a layer's node: "W", "R", and "B" and "state" where the layer has them."""
    directions = list(layer.directions())
    parts = {"W": "input_weight", "R": "recurrent_weight"}
    made: dict[str, Weight] = {}
    for kind, part in parts.items():
        gates = [getattr(direction, part)[gate] for _, direction in directions for gate in GATE_ORDER]
        shape: tuple[int, ...] = (len(directions), 3 * layer.hidden_size, gates[0].shape[1])
        made[kind] = _weight(index, kind, shape, gates, [f"{name} {part}" for name, _ in directions])
    biases = [
        (f"{name} {part}", getattr(direction, part))
        for name, direction in directions
        for part in ("input_bias", "recurrent_bias")
    ]
    if biases[0][1] is not None:
        gates = [bias[gate] for _, bias in biases for gate in GATE_ORDER]
        shape = (len(directions), 6 * layer.hidden_size)
        made["B"] = _weight(index, "B", shape, gates, [part for part, _ in biases])
    states = {name: direction.initial_state for name, direction in directions}
    if any(state is not None for state in states.values()):
        zeros = np.zeros(layer.hidden_size, gates[0].dtype)
        rows = [zeros if state is None else state for state in states.values()]
        shape = (len(directions), 1, layer.hidden_size)
        learned = [f"{name} initial_state" for name, state in states.items() if state is not None]
        made["state"] = _weight(index, "state", shape, rows, learned)
    return made


def _weight(
    index: int, kind: str, shape: tuple[int, ...], parts: Sequence[Array], made_of: Sequence[str]
) -> Weight:
    named = tuple(f"layer {index} {part}" for part in made_of)
    return Weight(f"gru_{index}_{kind}", shape, Fused(tuple(parts), 0), named)
