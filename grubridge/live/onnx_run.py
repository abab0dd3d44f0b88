"""GRU nodes of an ONNX model in memory, run by ONNX Runtime in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grubridge.backends.base import choose_device
from grubridge.backends.onnxruntime import backend
from grubridge.backends.registry import require
from grubridge.traces import Probe, Trace

from .onnx import find_stack, stack_names
from .running import LiveGRU

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["find_gru", "gru_names"]


def find_gru(model: ModelProto, stack: str | None = None) -> LiveGRU:
    """Return the only GRU of a model, or the one called `stack`, as `from_model` calls it.

    To run it raises MissingDependencyError when ONNX Runtime is not installed.
    """
    entry = find_stack(model, stack)

    def run(probe: Probe, device: str) -> Trace:
        require(backend.NAME)
        chosen = choose_device(device, backend.devices())
        return backend.run_model(model, entry.address, Path(), probe, chosen)

    return LiveGRU(entry.name, entry.read(), backend.NAME, run, entry.layout)


def gru_names(model: ModelProto) -> list[str]:
    """Return what the stacks of a model are called."""
    return stack_names(model)
