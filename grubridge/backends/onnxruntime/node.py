"""One GRU node, cut out of its graph: its constants as ONNX Runtime reads them, and sessions that run it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from grubridge.errors import BackendError, CannotRunError
from grubridge.files.beside import map_inside
from grubridge.files.text import quoted
from grubridge.spec import Array, Direction

from .cell import Function, functions
from .constants import OLDEST_IR_VERSION, constants_model, find_node, opset, unexpanded
from .session import CPU, Processor, open_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["GRUNode", "open_node"]

_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h")
_OLDEST_OPSET = 7
_EXTERNAL = TensorProto.EXTERNAL
_DTYPES = {"tensor(float)", "tensor(float16)"}
_DIRECTIONS: dict[str, tuple[Direction, ...]] = {
    "forward": ("forward",),
    "reverse": ("backward",),
    "bidirectional": ("forward", "backward"),
}


@dataclass(frozen=True)
class GRUNode:
    """A GRU node whose X, lengths and initial state are to be given.

    Args:
        attributes: the node's own, by name, those aside that ONNX Runtime refuses.
        constants: W [D, 3H, I], R [D, 3H, H], B [D, 6H] where there is one, and a constant initial_h
            [D, batch, H] that is not zero; as ONNX Runtime computed them from the file.
        opset: that of the session; the file's own unless it is too old.
        ir_version: of the session.
        notes: what is remarkable, changes included.
        rewritten: whether the node was changed, so that ONNX Runtime takes it and the lengths of the inputs.
    """

    attributes: Mapping[str, Any]
    constants: Mapping[str, Array]
    opset: int
    ir_version: int
    notes: tuple[str, ...]
    rewritten: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the weights."""
        return self.constants["R"].dtype

    @property
    def hidden_size(self) -> int:
        """H."""
        return int(self.constants["R"].shape[2])

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions, in the order of the node's arrays."""
        return _DIRECTIONS[self.attributes["direction"]]

    def constant_state(self, batch: int) -> Array | None:
        """Return the file's own h_0, [D, B, H], None when it has none.

        Raises:
            BackendError: when it was made for another batch and its rows differ.
        """
        stored = self.constants.get("initial_h")
        if stored is None or stored.shape[1] == batch:
            return stored
        if (stored != stored[:, :1]).any():
            raise BackendError(
                f"its constant initial_h is for a batch of {stored.shape[1]}; the inputs have {batch} rows"
            )
        return np.repeat(stored[:, :1], batch, axis=1)

    def run(self, x: Array, start: Array, lengths: Array | None, on: Processor) -> Array:
        """Run the node itself.

        Args:
            x: [B, T, I].
            start: h_0, [D, B, H].
            lengths: [B], or None.
            on: where to run.

        Returns:
            Every step of every direction in time order, [D, B, T, H].
        """
        feed = {"X": np.ascontiguousarray(x.transpose(1, 0, 2)), "initial_h": start}
        if lengths is not None:
            feed["sequence_lens"] = lengths.astype(np.int32)
        (y,) = self.open(on, list(feed)).run(["Y"], feed)
        steps: Array = y.transpose(1, 2, 0, 3)
        return steps

    def open(self, on: Processor, fed: Collection[str], *, whole: bool = False) -> InferenceSession:
        """Return a session of the node alone that makes Y.

        Args:
            on: where to run.
            fed: the names of the node's inputs that a run is given; the weights are not among them.
            whole: see `open_session`.
        """
        weights = {name: self.constants[name] for name in ("W", "R", "B") if name in self.constants}
        inputs = [name if name in weights or name in fed else "" for name in _INPUTS]
        types = {"sequence_lens": int(TensorProto.INT32)}
        own = _onnx_dtype(self.constants["R"])
        graph = helper.make_graph(
            [helper.make_node("GRU", inputs, ["Y"], **self.attributes)],
            "cut",
            [helper.make_tensor_value_info(name, types.get(name, own), None) for name in fed],
            [helper.make_empty_tensor_value_info("Y")],
            [_given_apart(name, array) for name, array in weights.items()],
        )
        imports = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=self.ir_version)
        return open_session(model, on, weights=weights, whole=whole)

    def provider(self, on: Processor) -> str:
        """Return the execution provider that runs the node; CUDA's leaves some GRUs to the CPU."""
        if not on.on_cuda:
            return "CPUExecutionProvider"
        try:
            self.open(on, ["X", "initial_h"], whole=True)
        except Exception:  # noqa: BLE001 - ONNX Runtime says it in an error of no class of its own
            return "CPUExecutionProvider, because CUDA's has no such GRU"
        return "CUDAExecutionProvider"

    def functions(self, direction: int) -> tuple[Function, Function]:
        """Return the activations of the gates and of the candidate of the direction with this index."""
        at = self.attributes
        given = (at.get(name, []) for name in ("activations", "activation_alpha", "activation_beta"))
        return functions(*given, directions=len(self.directions))[direction]


def open_node(model: ModelProto, address: Mapping[str, Any], folder: Path) -> GRUNode:
    """Return the node at `address` of a model whose external data lies in `folder`.

    Raises:
        BackendError: when there is no such node, or its weights are computed while the model runs.
        CannotRunError: when ONNX Runtime has no GRU of its dtype.
    """
    node, constants = _with_constants(model, address, folder)
    attributes = {a.name: _decoded(helper.get_attribute_value(a)) for a in node.attribute}
    # "foward" is the default of opset 1, typing error included
    attributes["direction"] = attributes.get("direction", "forward").replace("foward", "forward")
    attributes.pop("output_sequence", None)
    batch_first = bool(attributes.pop("layout", 0))
    version = opset(model)
    lengths = constants.pop("sequence_lens", None)
    initial_h = constants.pop("initial_h", None)
    if initial_h is not None and initial_h.any():
        constants["initial_h"] = initial_h.transpose(1, 0, 2) if batch_first else initial_h
    rewrites = {
        "the node has layout=1, which ONNX Runtime refuses; it was run with layout=0": batch_first,
        f"ONNX Runtime has no GRU of opset {version}; it was run as one of opset {_OLDEST_OPSET}": (
            version < _OLDEST_OPSET
        ),
        "the file's constant sequence_lens were replaced by the lengths of the inputs": lengths is not None,
    }
    remarks = {
        "ONNX Runtime computes a float16 GRU in float32 and rounds what it returns": (
            constants["R"].dtype == np.float16
        ),
        "the file's constant initial_h is the initial state": "initial_h" in constants,
    }
    return GRUNode(
        attributes,
        constants,
        max(version, _OLDEST_OPSET),
        max(model.ir_version, OLDEST_IR_VERSION),
        tuple(note for note, holds in {**rewrites, **remarks}.items() if holds),
        any(rewrites.values()),
    )


def _with_constants(
    model: ModelProto, address: Mapping[str, Any], folder: Path
) -> tuple[NodeProto, dict[str, Array]]:
    """Return the node, and those of its inputs that are constants, as ONNX Runtime computes them."""
    node, scopes = find_node(model, address)
    names = {role: name for role, name in zip(_INPUTS, node.input, strict=False) if name and role != "X"}
    if "initial_h" in names:
        names["initial_h"] = unexpanded(scopes, names["initial_h"])
    constants, known = constants_model(model, scopes, list(dict.fromkeys(names.values())))
    for role in ("W", "R", "B"):
        if role in names and names[role] not in known:
            raise BackendError(
                f"input {role} of the GRU node, {quoted(names[role])}, is computed while the model runs"
            )
    session = open_session(constants, CPU, folder=_folder_of_data(constants, folder))
    stored = next(output.type for output in session.get_outputs() if output.name == names["R"])
    if stored not in _DTYPES:
        dtype = {"tensor(double)": "float64"}.get(stored, stored.removeprefix("tensor(").removesuffix(")"))
        raise CannotRunError(
            f"ONNX Runtime has no {dtype} GRU; it runs float32 and float16",
            reason=f"ONNX Runtime has no {dtype} GRU",
        )
    values = dict(zip(known, session.run(known, {}), strict=True))
    return node, {role: values[name] for role, name in names.items() if name in values}


def _folder_of_data(model: ModelProto, folder: Path) -> Path | None:
    """Return the folder that ONNX Runtime may read from, when the model's tensors lie in files there.

    Raises:
        UnsafeFileError: when one of them would be read from elsewhere; see `map_inside`.
    """
    attributes = [one.t for node in model.graph.node for one in node.attribute]
    outside = [one for one in (*model.graph.initializer, *attributes) if one.data_location == _EXTERNAL]
    for tensor in outside:
        for entry in tensor.external_data:
            if entry.key == "location":
                map_inside(folder, entry.value, f"tensor {quoted(tensor.name)}")
    return folder if outside else None


def _decoded(value: Any) -> Any:  # noqa: ANN401 - an attribute may be of any type
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def _onnx_dtype(array: Array) -> int:
    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


def _given_apart(name: str, array: Array) -> TensorProto:
    """Return an initializer without data: the session is given the array itself, however large it is."""
    tensor = TensorProto(name=name, data_type=_onnx_dtype(array), dims=array.shape)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="given-to-the-session")
    return tensor
