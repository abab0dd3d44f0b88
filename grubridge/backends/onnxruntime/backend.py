"""ONNX Runtime: every GRU node of a stack, cut out of its graph and run by itself, layer after layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grubridge.backends.base import Artifact, initial_state, installed, layer_output, precision
from grubridge.backends.taps import Steps, direction_trace
from grubridge.spec import Array, Gates
from grubridge.traces import DirectionTrace, Place, Probe, Trace, valid_steps

if TYPE_CHECKING:
    from onnx import ModelProto

    from .node import GRUNode
    from .session import Processor

__all__ = ["NAME", "devices", "run", "run_model", "version"]

NAME = "onnxruntime"


def version() -> str:
    """Return ONNX Runtime and its version."""
    return installed("onnxruntime", "onnxruntime-gpu")


def devices() -> tuple[str, ...]:
    """Return "cpu", and "cuda" where this build of ONNX Runtime has it; it does not tell how many."""
    import onnxruntime

    return ("cpu", "cuda") if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else ("cpu",)


def run(artifact: Artifact, probe: Probe, device: str, *, allow_tf32: bool = False) -> Trace:
    """Load the model and run its GRU nodes; see `Backend.run`."""
    import onnx

    model = onnx.load(artifact.path, load_external_data=False)
    folder = Path(artifact.path).resolve().parent
    return run_model(model, artifact.address, folder, probe, device, allow_tf32=allow_tf32)


def run_model(
    model: ModelProto,
    address: Mapping[str, Any],
    folder: Path,
    probe: Probe,
    device: str,
    *,
    allow_tf32: bool = False,
) -> Trace:
    """Run the GRU nodes of a model whose external data, if it has any, is in `folder`; see `Backend.run`."""
    from .node import open_node
    from .session import Processor

    on = Processor(device, allow_tf32)
    nodes = [open_node(model, node, folder) for node in address["nodes"]]
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    places: dict[Place, DirectionTrace] = {}
    notes = dict.fromkeys(note for node in nodes for note in node.notes)
    x = probe.x
    for k, node in enumerate(nodes):
        made = _run_layer(node, k, x, probe, on)
        places.update({place: trace for place, (trace, _) in made.items()})
        notes.update(dict.fromkeys(note for _, told in made.values() for note in told))
        x = layer_output([trace.hidden for trace, _ in made.values()], valid)
    dtype = nodes[0].dtype.name
    return Trace(
        NAME,
        version(),
        device,
        dtype,
        native=not any(node.rewritten for node in nodes),
        places=places,
        notes=tuple(notes),
        kernel=f"GRU node, {' and '.join(dict.fromkeys(node.provider(on) for node in nodes))}",
        precision=precision(dtype, device, allow_tf32=allow_tf32),
    )


def _run_layer(
    node: GRUNode, k: int, x: Array, probe: Probe, on: Processor
) -> dict[Place, tuple[DirectionTrace, tuple[str, ...]]]:
    """Run one node on x, [B, T, I]; return the trace of every direction, and notes."""
    from .gates import replayed, tap_into

    x = x.astype(node.dtype)
    starts = node.constant_state(probe.batch)
    if starts is None:
        wanted = [initial_state(probe, (k, way), node.hidden_size) for way in node.directions]
        starts = np.stack(wanted).astype(node.dtype)
    returned = node.run(x, starts, probe.lengths, on)
    made: dict[Place, tuple[DirectionTrace, tuple[str, ...]]] = {}
    for index, (way, start, hidden) in enumerate(zip(node.directions, starts, returned, strict=True)):
        steps = Steps(x, start, hidden, way, probe.lengths, probe.gates)

        def replay(index: int = index, steps: Steps = steps) -> Gates[Array]:
            return replayed(node, index, steps.x, steps.previous, on)

        made[k, way] = direction_trace(steps, tap_into(node, index, on), replay)
    return made
