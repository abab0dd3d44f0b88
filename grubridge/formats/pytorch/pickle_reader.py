"""The pickle of a PyTorch checkpoint: what its globals mean, and the tensors in it.

The globals that a state dict is made of have a meaning; those of a few harmless things that training
checkpoints hold beside it stand for nothing; every other one is refused by name.
Source: torch/_utils.py, torch/serialization.py, and the list of torch/_weights_only_unpickler.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from grubridge.errors import UnsafeFileError
from grubridge.files.pickles import ForbiddenGlobalError, Global, Unused, read_pickle
from grubridge.files.tensors import is_shape
from grubridge.files.text import printable

__all__ = ["STORAGES", "Storage", "Tensor", "load"]

STORAGES = {
    "BFloat16Storage": "bfloat16",
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "ShortStorage": "int16",
}
"""Class in the module torch -> dtype."""

_HARMLESS = """
    _codecs.encode argparse.Namespace collections.Counter
    builtins.bytearray builtins.complex builtins.set __builtin__.bytearray __builtin__.complex __builtin__.set
    numpy.dtype numpy.ndarray numpy.core.multiarray.scalar numpy._core.multiarray.scalar
    numpy.core.multiarray._reconstruct numpy._core.multiarray._reconstruct
    torch.Size torch.device torch.bfloat16 torch.bool torch.complex64 torch.complex128 torch.float16
    torch.float32 torch.float64 torch.int8 torch.int16 torch.int32 torch.int64 torch.uint8
    torch._utils._rebuild_qtensor torch._utils._rebuild_sparse_tensor torch._utils._rebuild_tensor_v3
    torch.serialization._get_layout torch.per_tensor_affine torch.per_channel_affine
"""
_STORAGE_KEY = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Storage:
    """A record of the checkpoint.

    Args:
        dtype: the name of its dtype.
        key: its name: the record is "data/" and this.
        size: how many numbers it should hold.
    """

    dtype: str
    key: str
    size: int


@dataclass(frozen=True)
class Tensor:
    """A tensor of the checkpoint. Its numbers are whole and not negative; more is not known of them.

    Args:
        storage: where its values are.
        offset: of its first value in the storage.
        shape: its shape.
        strides: the distance of neighbours along each axis, in values.
        negated: whether its values are those of the storage with the opposite sign.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    negated: bool


def load(data: bytes, where: str) -> object:
    """Return what the pickle of a checkpoint holds: dicts, lists, numbers, text, tensors and unused things.

    Args:
        data: the pickle.
        where: the file, as messages print it.

    Raises:
        UnsafeFileError: when it asks for anything that is not part of a state dict.
        CorruptFileError: when it is damaged.
    """
    known: dict[str, Storage] = {}

    def storage(identifier: object) -> Storage:
        made = _storage(identifier)
        if known.setdefault(made.key, made) != made:  # torch would take the first for both
            raise ValueError("a storage of two dtypes or sizes")
        return made

    try:
        return read_pickle(data, where, _MEANINGS, storage)
    except ForbiddenGlobalError as error:
        raise UnsafeFileError(
            f"{where}: its pickle asks for {printable(error)}, which belongs to no state dict: a whole model "
            "or other objects were saved, and loading them would run code from the file, which grubridge "
            "never does. If the model is your own, save its weights alone: "
            "model = torch.load('model.pt', weights_only=False); torch.save(model.state_dict(), 'weights.pt')"
        ) from None


def _storage(identifier: object) -> Storage:
    if not isinstance(identifier, tuple) or len(identifier) != 5:
        raise TypeError("a persistent id that is no storage")
    kind, storage, key, _, size = identifier
    dtype = storage.meaning if isinstance(storage, Global) else None
    if kind != "storage" or not isinstance(dtype, str) or not _STORAGE_KEY.fullmatch(key):
        raise ValueError("a persistent id that is no storage")
    return Storage(dtype, key, _count(size))


def _tensor(
    storage: object,
    offset: object,
    shape: object,
    strides: object,
    _requires_grad: object = None,
    _hooks: object = None,
    metadata: object = None,
) -> Tensor:
    if not (isinstance(storage, Storage) and isinstance(shape, tuple) and isinstance(strides, tuple)):
        raise TypeError("a tensor that is not made of a storage, an offset, a shape and strides")
    if len(shape) != len(strides):
        raise ValueError(f"a tensor of {len(shape)} dimensions with {len(strides)} strides")
    sizes = tuple(map(_count, shape))
    if not is_shape(sizes):
        raise ValueError("a tensor of a shape that no array can have")
    negated = isinstance(metadata, dict) and bool(metadata.get("neg"))
    return Tensor(storage, _count(offset), sizes, tuple(map(_count, strides)), negated)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("a size, offset or stride that is negative or no integer")
    if value >= 1 << 63:
        raise ValueError("a size, offset or stride of more than 63 bits")
    return value


def _parameter(data: object, *_: object) -> object:
    return data


def _ordered_dict() -> dict[object, object]:
    return {}


def _unused(*_: object) -> Unused:
    return Unused()


_MEANINGS: dict[tuple[object, object], object] = {
    **{(name.rpartition(".")[0], name.rpartition(".")[2]): _unused for name in _HARMLESS.split()},
    **{("torch", storage): dtype for storage, dtype in STORAGES.items()},
    ("torch.storage", "UntypedStorage"): "uint8",
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
}
"""What a call of a global returns; of a storage's class, the name of its dtype."""
