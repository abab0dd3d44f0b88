"""The canonical spec: a GRU as pure numpy, with named gates and no format."""

from .activation import SIGMOID, TANH, Activation, hard_sigmoid
from .capability import Capabilities, unsupported
from .fused import Array, Fused
from .gates import CANDIDATE, GATE_NAMES, RESET, UPDATE, Gate, Gates, fuse, split
from .gru import DTYPES, Direction, GRUDirection, GRULayer, GRUSpec, numpy_dtype
from .ledger import Action, TensorRecord
from .wiring import MergeMode, Source, StackIO

__all__ = [
    "CANDIDATE",
    "DTYPES",
    "GATE_NAMES",
    "RESET",
    "SIGMOID",
    "TANH",
    "UPDATE",
    "Action",
    "Activation",
    "Array",
    "Capabilities",
    "Direction",
    "Fused",
    "GRUDirection",
    "GRULayer",
    "GRUSpec",
    "Gate",
    "Gates",
    "MergeMode",
    "Source",
    "StackIO",
    "TensorRecord",
    "fuse",
    "hard_sigmoid",
    "numpy_dtype",
    "split",
    "unsupported",
]
