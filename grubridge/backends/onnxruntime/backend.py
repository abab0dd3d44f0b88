"""ONNX Runtime: every GRU node of a stack, cut out of its graph and run by itself, layer after layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grubridge.backends.base import Artifact, initial_state, installed, layer_output
from grubridge.spec import Array
from grubridge.traces import DirectionTrace, Place, Probe, Trace, previous_state, valid_steps

if TYPE_CHECKING:
    from onnx import ModelProto

    from .node import GRUNode

__all__ = ["NAME", "devices", "run", "run_model", "version"]

NAME = "onnxruntime"


def version() -> str:
    """Return ONNX Runtime and its version."""
    return installed("onnxruntime", "onnxruntime-gpu")


def devices() -> tuple[str, ...]:
    """Return "cpu", and "cuda" where this build of ONNX Runtime has it."""
    import onnxruntime

    return ("cpu", "cuda") if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else ("cpu",)


def run(artifact: Artifact, probe: Probe, device: str) -> Trace:
    """Load the model and run its GRU nodes; see `Backend.run`."""
    import onnx

    model = onnx.load(artifact.path, load_external_data=False)
    return run_model(model, artifact.address, Path(artifact.path).resolve().parent, probe, device)


def run_model(
    model: ModelProto, address: Mapping[str, Any], folder: Path, probe: Probe, device: str
) -> Trace:
    """Run the GRU nodes of a model whose external data, if it has any, is in `folder`; see `Backend.run`."""
    from .node import open_node

    nodes = [open_node(model, node, folder) for node in address["nodes"]]
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    places: dict[Place, DirectionTrace] = {}
    x = probe.x
    for k, node in enumerate(nodes):
        made = _run_layer(node, k, x, probe, device)
        places.update(made)
        x = layer_output([trace.hidden for trace in made.values()], valid)
    native = not any(node.rewritten for node in nodes)
    notes = tuple(dict.fromkeys(note for node in nodes for note in node.notes))
    return Trace(NAME, version(), device, nodes[0].dtype.name, native, places, notes=notes)


def _run_layer(node: GRUNode, k: int, x: Array, probe: Probe, device: str) -> dict[Place, DirectionTrace]:
    x = x.astype(node.dtype)
    starts = node.constant_state(probe.batch)
    if starts is None:
        wanted = [initial_state(probe, (k, way), node.hidden_size) for way in node.directions]
        starts = np.stack(wanted).astype(node.dtype)
    steps = node.run(x, starts, probe.lengths, device)
    places: dict[Place, DirectionTrace] = {}
    for index, (way, start, hidden) in enumerate(zip(node.directions, starts, steps, strict=True)):
        previous = previous_state(way, hidden, start, probe.lengths)
        gates = node.gates(index, x, previous, device)
        places[k, way] = DirectionTrace(x, start, hidden, gates, "replayed")
    return places
