"""ONNX models in memory: the GRUs of a ModelProto as specs, and a spec as a ModelProto, without a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grubridge.formats.base import StackEntry, WriteOptions

from .running import choose

if TYPE_CHECKING:
    from onnx import ModelProto

    from grubridge.spec import GRUSpec

__all__ = ["find_stack", "from_model", "stack_names", "to_model"]


def from_model(model: ModelProto, stack: str | None = None) -> GRUSpec:
    """Return the spec of a model's GRU. Its arrays are copies of the model's.

    Args:
        model: the model, its external data loaded.
        stack: the name of the GRU node, or "first:last" of a chain; None when the model holds one.

    Raises:
        StackSelectionError: when there is none, or several and none was chosen.
        FileFormatError: when the model is damaged, or its weights are not constant.
    """
    return find_stack(model, stack).read()


def find_stack(model: ModelProto, stack: str | None = None) -> StackEntry:
    """Return where a model's GRU is; arguments and errors are those of `from_model`."""
    stacks = {entry.name: entry for entry in _stacks(model)}
    members = {entry.name: entry for one in stacks.values() for entry in one.members}
    return choose(stacks, members, stack, "ONNX model")


def stack_names(model: ModelProto) -> list[str]:
    """Return what the GRUs of a model are called, chains of nodes by one name."""
    return [entry.name for entry in _stacks(model)]


def _stacks(model: ModelProto) -> tuple[StackEntry, ...]:
    from grubridge.formats.onnx.contents import contents_of
    from grubridge.formats.onnx.tensors import Tensors

    return contents_of(model, Tensors(), "").stacks


def to_model(spec: GRUSpec, options: WriteOptions | None = None) -> ModelProto:
    """Return a model of one GRU node per layer, as `grubridge.write` puts it into a file.

    Raises:
        UnsupportedFeatureError: when the options and the spec cannot go together, or the weights are
            more than protobuf's 2 GiB.
    """
    from grubridge.formats.onnx.store import embedded
    from grubridge.formats.onnx.write import prepare

    return embedded(prepare(spec, options or WriteOptions(), {}).model)
