"""ONNX's protobuf messages, without the rest of the onnx package."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = [
    "AttributeProto",
    "GraphProto",
    "ModelProto",
    "NodeProto",
    "OperatorSetIdProto",
    "TensorProto",
    "ValueInfoProto",
]


def _messages() -> ModuleType:
    """Return a module that holds the classes of onnx.proto.

    `import onnx` also imports its checker, its text formats and its C++ library: a sixth of the time that a
    small conversion takes, for nothing that it uses. So the module of generated classes is run alone. It is
    not put into sys.modules, so a later `import onnx` is an ordinary one and runs it again; both runs hand
    out the same classes, because protobuf keeps one class for each message.
    """
    package = None if "onnx" in sys.modules else find_spec("onnx")
    folders = package.submodule_search_locations if package else None
    spec = PathFinder.find_spec("onnx.onnx_ml_pb2", folders) if folders else None
    if spec is None or spec.loader is None:  # imported already, or laid out in another way
        return importlib.import_module("onnx")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from onnx import (
        AttributeProto,
        GraphProto,
        ModelProto,
        NodeProto,
        OperatorSetIdProto,
        TensorProto,
        ValueInfoProto,
    )
else:
    _MESSAGES = _messages()
    AttributeProto = _MESSAGES.AttributeProto
    GraphProto = _MESSAGES.GraphProto
    ModelProto = _MESSAGES.ModelProto
    NodeProto = _MESSAGES.NodeProto
    OperatorSetIdProto = _MESSAGES.OperatorSetIdProto
    TensorProto = _MESSAGES.TensorProto
    ValueInfoProto = _MESSAGES.ValueInfoProto
