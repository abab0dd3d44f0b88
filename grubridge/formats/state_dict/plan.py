"""A spec as the state dict of nn.GRU: its tensors, what was done to each, and what the user must know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from grubridge.files.tensors import TensorPlan
from grubridge.files.text import printable
from grubridge.spec import (
    Fused,
    GRUDirection,
    GRUSpec,
    Layout,
    TensorRecord,
    fuse,
    has_biases,
    record,
    split_biases,
)

from .layout import GATE_ORDER, LAYOUT

__all__ = ["lay_out", "plan", "usage"]


def lay_out(
    spec: GRUSpec, source: Layout, layout: str | None, load: str
) -> tuple[TensorPlan, tuple[str, ...]]:
    """Return the tensors of `spec` and what the user of the file must know.

    Args:
        spec: what to store; the layout can hold it.
        source: how the tensors lay in the file that they come from, for the records.
        layout: a shipped layout's name, or the path of a .toml file; None is nn.GRU's own.
        load: the expression that loads the file's tensors.
    """
    if layout is None:
        planned = plan(spec, source)
        return planned, usage(planned.stored, load)
    from grubridge.layouts import toml, writing

    described = toml.load(layout)
    notes = [
        f"its tensors have the names of layout {printable(described.name)}: module.load_state_dict({load})"
    ]
    output = described.output_activation
    if output != spec.io.output_activation:
        one, other = (
            f"{f} of the states" if f else "the states" for f in (output, spec.io.output_activation)
        )
        notes.append(f"a cell of this layout returns {one}, where the source returned {other}")
    return writing.plan(spec, described, source), tuple(notes)


def plan(spec: GRUSpec, source: Layout) -> TensorPlan:
    """Lay out `spec` as the state dict of an nn.GRU. `CAPABILITIES` must hold it.

    nn.GRU has both biases or none: where any direction has one, all absent biases become zeros.
    """
    filled: set[str] = set()
    if has_biases(spec):
        layers = []
        for index, layer in enumerate(spec.layers):
            with_biases, changes = split_biases(layer)
            layers.append(with_biases)
            filled.update(f"layer {index} {part}" for part in changes)
        spec = replace(spec, layers=tuple(layers))
    tensors: dict[str, Fused] = {}
    records: list[TensorRecord] = []
    for index, name, direction in spec.directions():
        suffix = f"_l{index}" if name == "forward" else f"_l{index}_reverse"
        for key, part, tensor in _parts(direction):
            made_of = f"layer {index} {name} {part}"
            tensors[key + suffix] = tensor
            records.append(record(key + suffix, tensor.shape, (made_of,), source, LAYOUT))
            if made_of in filled:
                records[-1] = replace(records[-1], actions=("zero-filled",))
    return TensorPlan(spec, tensors, tuple(records))


def _parts(direction: GRUDirection) -> list[tuple[str, str, Fused]]:
    parts: list[tuple[str, str, Any]] = [
        ("weight_ih", "input_weight", direction.input_weight),
        ("weight_hh", "recurrent_weight", direction.recurrent_weight),
        ("bias_ih", "input_bias", direction.input_bias),
        ("bias_hh", "recurrent_bias", direction.recurrent_bias),
    ]
    return [(key, part, fuse(gates, GATE_ORDER, axis=0)) for key, part, gates in parts if gates is not None]


def _constructor(spec: GRUSpec) -> str:
    """Return the call of nn.GRU that makes a module for the state dict of `spec`."""
    arguments = [
        str(spec.input_size),
        str(spec.layers[0].hidden_size),
        f"num_layers={len(spec.layers)}",
        f"bidirectional={spec.layers[0].backward is not None}",
        f"bias={has_biases(spec)}",
        f"batch_first={not spec.io.time_major}",
    ]
    if spec.dtype.name != "float32":
        arguments.append(f"dtype=torch.{spec.dtype.name}")
    return f"torch.nn.GRU({', '.join(arguments)})"


def usage(spec: GRUSpec, load: str) -> tuple[str, ...]:
    """Return what the user of the file must know.

    Args:
        spec: what the file holds.
        load: the expression that loads the file's state dict.
    """
    notes = [f"load it with gru = {_constructor(spec)}; gru.load_state_dict({load})"]
    if spec.layers[0].backward is not None and spec.io.merge_mode != "concat":
        apart = spec.io.merge_mode is None
        how = "kept apart" if apart else f"joined by {spec.io.merge_mode}"
        notes.append(
            f"the source's two directions were {how}; nn.GRU returns them side by side, forward first: "
            f"{'split' if apart else 'join'} them in your own code"
        )
    if spec.io.masking:
        notes.append("the source skipped masked steps; nn.GRU has no mask: pass packed sequences")
    if spec.io.stateful:
        notes.append("the source kept its state between batches: pass the last state back in your own code")
    return tuple(notes)
