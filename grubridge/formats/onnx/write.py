"""A spec written as an ONNX model: what the options ask for, what was done to each tensor, what to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from grubridge.errors import UnsupportedFeatureError
from grubridge.formats.base import Provenance, WriteOptions, Written
from grubridge.spec import GRUDirection, GRULayer, GRUSpec, Layout, TensorRecord, record, split_biases

from . import opsets
from .build import build
from .gru_node import LAYOUT
from .nodes import Model, Weight
from .store import EXTERNAL_SUFFIX, store

__all__ = ["Prepared", "prepare", "write_model"]

_OPSET = 17
_BFLOAT16_OPSET = 22
_RUN_BY_ONNX_RUNTIME = {"float16", "float32"}


@dataclass(frozen=True)
class Prepared:
    """A model ready to be stored.

    Args:
        stored: the spec as the model holds it.
        model: the model.
        zeros: the canonical parts of it that the spec does not have, e.g. "layer 0 forward recurrent_bias".
    """

    stored: GRUSpec
    model: Model
    zeros: frozenset[str]


def prepare(spec: GRUSpec, options: WriteOptions, metadata: Mapping[str, str]) -> Prepared:
    """Turn a spec into a model.

    Raises:
        UnsupportedFeatureError: when the options and the spec cannot go together.
    """
    bfloat16 = spec.dtype.name == "bfloat16"
    opset = options.opset or (_BFLOAT16_OPSET if bfloat16 else _OPSET)
    reasons = []
    if not opsets.writable(opset):
        reasons.append(
            f"opset {opset}: grubridge writes opset {opsets.OLDEST} to {opsets.newest()}, the newest of the "
            "installed onnx"
        )
    if bfloat16 and opset < _BFLOAT16_OPSET:
        reasons.append(
            f"opset {opset}: its GRU has no bfloat16; choose --opset {_BFLOAT16_OPSET} or newer, or "
            "--dtype float32"
        )
    layers = [_stored(layer) for layer in spec.layers]
    stored = replace(spec, layers=tuple(layer for layer, _ in layers))
    if options.with_state and any(d.initial_state is not None for _, _, d in stored.directions()):
        reasons.append(
            "--with-state: the GRU carries a learned initial state, which an input would replace; leave the "
            "option out"
        )
    if reasons:
        raise UnsupportedFeatureError("this ONNX model cannot be written: " + "; ".join(reasons), reasons)
    zeros = frozenset(f"layer {index} {part}" for index, (_, parts) in enumerate(layers) for part in parts)
    return Prepared(stored, build(stored, options, opset, metadata), zeros)


def write_model(
    spec: GRUSpec, path: Path, options: WriteOptions, provenance: Provenance, source: Layout
) -> Written:
    """Write `spec` to the new file `path`."""
    prepared = prepare(spec, options, provenance.entries)
    together = store(prepared.model, path)
    notes = [*_usage(spec, options), *_dropped(spec, prepared.stored)]
    if not together:
        notes.append(
            "the weights are too large for one protobuf file: they are in "
            f"{path.name}{EXTERNAL_SUFFIX}, which must stay beside the model"
        )
    records = tuple(_record(weight, source, prepared.zeros) for weight in prepared.model.weights)
    return Written(prepared.stored, records, tuple(notes))


def _stored(layer: GRULayer) -> tuple[GRULayer, frozenset[str]]:
    """Return a layer as a GRU node holds it, and the parts that are zeros there: B is whole or absent."""

    def without_zero_state(direction: GRUDirection | None) -> GRUDirection | None:
        if direction is None or direction.initial_state is None or direction.initial_state.any():
            return direction
        return replace(direction, initial_state=None)

    layer = replace(
        layer, forward=without_zero_state(layer.forward), backward=without_zero_state(layer.backward)
    )
    if not any(direction.has_bias for _, direction in layer.directions()):
        return layer, frozenset()
    layer, changes = split_biases(layer)
    return layer, frozenset(changes)


def _record(weight: Weight, source: Layout, zeros: frozenset[str]) -> TensorRecord:
    made = record(weight.name, weight.shape, weight.made_of, source, LAYOUT)
    if weight.name.endswith("_state"):
        filled = len(weight.made_of) < weight.shape[0]
    else:
        filled = not zeros.isdisjoint(weight.made_of)
    return made.also("zero-filled") if filled else made


def _dropped(spec: GRUSpec, stored: GRUSpec) -> Iterator[str]:
    for (index, name, before), (_, _, after) in zip(spec.directions(), stored.directions(), strict=True):
        if before.initial_state is not None and after.initial_state is None:
            yield f"layer {index} {name}: its initial state, all zero, is left out; the result is the same"


def _usage(spec: GRUSpec, options: WriteOptions) -> Iterator[str]:
    """Say what the source did around its GRU, which the graph leaves to its user."""
    io = spec.io
    order = "[time, batch, D*H]" if options.time_major else "[batch, time, D*H]"
    if io.merge_mode is None:
        yield f"the source kept the two directions apart; y {order} has them side by side, forward first"
    elif io.merge_mode != "concat":
        yield (
            f"the source joined the two directions by {io.merge_mode}; y {order} has them side by side, "
            f"forward first: take their {_MERGES[io.merge_mode]} in your own code"
        )
    if io.processing_order:
        yield "the source gave its steps last first (go_backwards); y is in the order of time"
    if not io.return_sequences:
        yield "the source gave the last state only: use final_state, not y"
    if io.masking:
        yield "the source skipped masked steps; the graph has no mask: pass sequences of one length at a time"
    if io.stateful and not options.with_state:
        yield "the source kept its state between batches: write with --with-state and feed final_state back"
    if options.with_gates:
        yield f"the gates are the outputs update_0, reset_0 and candidate_0 {order} of layer 0, and so on"
    if spec.dtype.name not in _RUN_BY_ONNX_RUNTIME:
        yield (
            f"ONNX Runtime has no {spec.dtype.name} GRU, so it loads the file and refuses to run it; "
            "--dtype float32 writes one that it runs"
        )


_MERGES = {"sum": "sum", "mul": "product", "ave": "mean"}
