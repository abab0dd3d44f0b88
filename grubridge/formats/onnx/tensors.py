"""ONNX tensors as numpy arrays: views of the file wherever their bytes lie in one."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from grubridge.errors import CorruptFileError, FileFormatError, UnsafeFileError
from grubridge.files.opening import FileMap
from grubridge.files.tensors import is_shape
from grubridge.files.text import printable, quoted
from grubridge.spec import Array, numpy_dtype

from .external import ExternalData
from .messages import TensorProto

__all__ = ["DATA_TYPES", "Tensors", "dtype_name"]

DATA_TYPES: dict[str, int] = {
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}
"""numpy's name of a dtype -> TensorProto.DataType: those of weights, and of the shapes around them."""

_TYPED_FIELDS = {
    "float16": ("int32_data", "uint16"),
    "bfloat16": ("int32_data", "uint16"),
    "float32": ("float_data", "float32"),
    "float64": ("double_data", "float64"),
    "int32": ("int32_data", "int32"),
    "int64": ("int64_data", "int64"),
    "bool": ("int32_data", "bool"),
}
"""Where a tensor's numbers are when they are not raw: the field, and the dtype of the numbers in it."""

_NAMES = {number: name for name, number in DATA_TYPES.items()}


def dtype_name(data_type: int) -> str | None:
    """Return numpy's name of a TensorProto.DataType; None for those that no GRU needs."""
    return _NAMES.get(data_type)


class Tensors:
    """The tensors of one model, as arrays.

    Args:
        file: the file that the model was read from, if it was.
        spans: where the data of long tensors lies in that file (see `protobuf`).
    """

    def __init__(
        self, file: FileMap | None = None, spans: Mapping[bytes, tuple[int, int]] | None = None
    ) -> None:
        self._file = file
        self._spans = spans or {}
        self._external = ExternalData(file.path.parent) if file else None

    @property
    def size(self) -> int:
        """The size of the model's file in bytes; 0 without a file."""
        return self._file.size if self._file else 0

    def array(self, tensor: TensorProto) -> Array:
        """Return the tensor's values, as a view of the file where it is long.

        Raises:
            FileFormatError: when its size is not its shape's, or its type is none that a GRU can have.
            UnsafeFileError: when its data would be read from outside the model's folder.
        """
        what = quoted(tensor.name)
        name = dtype_name(tensor.data_type)
        if name is None:
            names = {number: known for known, number in TensorProto.DataType.items()}
            raise FileFormatError(
                f"tensor {what} has type {names.get(tensor.data_type, tensor.data_type)}; expected one of "
                f"{', '.join(DATA_TYPES)}: convert a quantised model before it is quantised"
            )
        shape = tuple(int(dimension) for dimension in tensor.dims)
        if any(dimension < 0 for dimension in shape):
            raise CorruptFileError(f"tensor {what} has a negative dimension: {printable(list(shape))}")
        if not is_shape(shape):
            raise CorruptFileError(
                f"tensor {what} has a shape that no array can have: {printable(list(shape))}"
            )
        dtype = numpy_dtype(name)
        if tensor.data_location == TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            if self._external is None:
                raise UnsafeFileError(
                    f"tensor {what} lies in an external file, and a model in memory has no folder; load it "
                    "with onnx.load(path, load_external_data=True)"
                )
            return self._external.view(entries, shape, dtype, what)
        span = self._spans.get(tensor.raw_data)
        if span is not None and self._file is not None:
            offset, size = span
            _check_size(what, shape, dtype, size)
            return self._file.view(offset, shape, dtype, what)
        return _embedded(tensor, name, shape, what)


def _embedded(tensor: TensorProto, name: str, shape: tuple[int, ...], what: str) -> Array:
    dtype = numpy_dtype(name)
    if tensor.HasField("raw_data"):
        _check_size(what, shape, dtype, len(tensor.raw_data))
        return np.frombuffer(tensor.raw_data, dtype).reshape(shape)
    field, stored = _TYPED_FIELDS[name]
    numbers = getattr(tensor, field)
    _check_size(what, shape, dtype, len(numbers) * dtype.itemsize)
    try:
        return np.fromiter(numbers, stored, len(numbers)).view(dtype).reshape(shape)
    except (OverflowError, ValueError):
        raise CorruptFileError(f"tensor {what} holds numbers in {field} that are no {name}") from None


def _check_size(what: str, shape: tuple[int, ...], dtype: np.dtype[np.generic], size: int) -> None:
    expected = prod(shape) * dtype.itemsize
    if size != expected:
        raise CorruptFileError(
            f"tensor {what} of shape {list(shape)} and type {dtype} takes {expected} bytes; the file "
            f"holds {size}"
        )
