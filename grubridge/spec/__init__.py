"""The canonical spec: a GRU as pure numpy, with named gates and no format."""

from .activation import ONE, SIGMOID, TANH, ZERO, Activation, hard_sigmoid
from .biases import BiasChange, has_biases, split_biases, sum_biases
from .capability import Capabilities, unsupported
from .dtypes import DTYPES, numpy_dtype
from .fused import Array, Fused
from .gates import CANDIDATE, GATE_NAMES, RESET, UPDATE, Gate, Gates, fuse, split
from .gru import Direction, GRUDirection, GRULayer, GRUSpec
from .ledger import Action, Layout, TensorRecord, record, with_cast, with_held_gates
from .saturation import saturated
from .wiring import MergeMode, Source, StackIO

__all__ = [
    "CANDIDATE",
    "DTYPES",
    "GATE_NAMES",
    "ONE",
    "RESET",
    "SIGMOID",
    "TANH",
    "UPDATE",
    "ZERO",
    "Action",
    "Activation",
    "Array",
    "BiasChange",
    "Capabilities",
    "Direction",
    "Fused",
    "GRUDirection",
    "GRULayer",
    "GRUSpec",
    "Gate",
    "Gates",
    "Layout",
    "MergeMode",
    "Source",
    "StackIO",
    "TensorRecord",
    "fuse",
    "hard_sigmoid",
    "has_biases",
    "numpy_dtype",
    "record",
    "saturated",
    "split",
    "split_biases",
    "sum_biases",
    "unsupported",
    "with_cast",
    "with_held_gates",
]
