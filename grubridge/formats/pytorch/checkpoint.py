"""The zip that torch.save has written since version 1.6, opened as data.

<root>/data.pkl is a pickle whose tensors refer to storages, and each storage is a stored record
<root>/data/<key>, which is mapped and not read. Like torch, grubridge does not check the CRC of a record
above 64 MiB; it does of smaller ones and of the pickle. Source: torch/serialization.py.
"""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided

from grubridge.errors import CorruptFileError, FileFormatError, UnsafeFileError
from grubridge.files.opening import FileMap, shown
from grubridge.files.tensors import StoredTensor
from grubridge.files.text import printable
from grubridge.files.zips import ZipEntry, check_crc, read_entry, read_zip
from grubridge.spec import Array, numpy_dtype

from . import pickle_reader

__all__ = ["PICKLE", "Checkpoint"]

PICKLE = re.compile(r"(?P<root>[^/]+/)data\.pkl")
"""The name of a checkpoint's pickle; the root is as its writer liked it."""

_LARGEST_PICKLE = 16 << 20
_LARGEST_DEFLATED = 256 << 20
_LARGEST_CHECKED = 64 << 20


class Checkpoint:
    """A checkpoint. `root` is what was saved: dicts, lists, numbers, text and `pickle_reader.Tensor`s."""

    def __init__(self, path: Path) -> None:
        """Open the checkpoint at `path`.

        Raises:
            FileFormatError: when it cannot be opened, or is a TorchScript archive.
            CorruptFileError: when it is damaged.
            UnsafeFileError: when it would run code.
        """
        self._entries = read_zip(path)
        self._file = FileMap(path)
        self._where = shown(path)
        self._folder = self._find_folder()
        self._checked: set[str] = set()
        if self._content("byteorder", b"little") != b"little":
            raise FileFormatError(
                f"{self._where}: it was saved on a big-endian machine; save it again on a usual one: "
                "torch.save(torch.load('model.pt', weights_only=True), 'weights.pt')"
            )
        self.root = pickle_reader.load(self._content("data.pkl"), self._where)

    def _find_folder(self) -> str:
        folders = [match["root"] for name in self._entries if (match := PICKLE.fullmatch(name))]
        if len(folders) != 1:
            raise CorruptFileError(
                f"{self._where}: expected one data.pkl, as torch.save writes; found {len(folders)}"
            )
        if f"{folders[0]}constants.pkl" in self._entries:
            raise FileFormatError(
                f"{self._where}: this is a TorchScript archive, which holds code; grubridge reads state "
                "dicts. Save its weights: torch.save(torch.jit.load('model.pt').state_dict(), 'weights.pt')"
            )
        return folders[0]

    def _content(self, record: str, default: bytes = b"") -> bytes:
        entry = self._entries.get(self._folder + record)
        return default if entry is None else read_entry(self._file.path, entry, _LARGEST_PICKLE)

    def stored(self, tensor: pickle_reader.Tensor) -> StoredTensor:
        """Return a tensor of the checkpoint, not yet read."""
        return StoredTensor(tensor.shape, tensor.storage.dtype, partial(self._read, tensor))

    def _read(self, tensor: pickle_reader.Tensor) -> Array:
        """Return a view of the tensor's record.

        Raises:
            CorruptFileError: when the record is missing or damaged, or the tensor goes beyond it.
            UnsafeFileError: when the tensor sees values more than once, and so can be of any size.
            FileFormatError: when its values are stored with the opposite sign.
        """
        storage = tensor.storage
        name = f"{self._folder}data/{storage.key}"
        entry, dtype = self._entries.get(name), numpy_dtype(storage.dtype)
        if entry is None or entry.size != storage.size * dtype.itemsize:
            found = "none" if entry is None else f"{entry.size} bytes"
            raise CorruptFileError(
                f"{self._where}: record {printable(name)} should hold {storage.size} values of {dtype}; "
                f"found {found}: the file is truncated or damaged: copy or download it again"
            )
        last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
        count = math.prod(tensor.shape)
        if count and tensor.offset + last >= storage.size:
            raise CorruptFileError(
                f"{self._where}: a tensor of shape {list(tensor.shape)} and strides {list(tensor.strides)} "
                f"goes beyond the {storage.size} values of record {printable(name)}; the file is damaged or "
                "hostile"
            )
        if count > storage.size:
            raise UnsafeFileError(
                f"{self._where}: a tensor of shape {list(tensor.shape)} is made of only {storage.size} "
                f"values (strides {list(tensor.strides)}); save it contiguous: tensor.contiguous()"
            )
        if tensor.negated:
            raise FileFormatError(
                f"{self._where}: a tensor of shape {list(tensor.shape)} is the negative of what record "
                f"{printable(name)} holds, as torch keeps some views; save it resolved: tensor.resolve_neg()"
            )
        values = self._values(entry, storage.size, dtype)
        strides = [stride * dtype.itemsize for stride in tensor.strides]
        return as_strided(values[tensor.offset :], tensor.shape, strides, writeable=False)

    def _values(self, entry: ZipEntry, count: int, dtype: np.dtype[np.generic]) -> Array:
        if entry.deflated:
            return np.frombuffer(read_entry(self._file.path, entry, _LARGEST_DEFLATED), dtype)
        if entry.size <= _LARGEST_CHECKED and entry.name not in self._checked:
            check_crc(self._file, entry)
            self._checked.add(entry.name)
        return self._file.view(entry.offset, (count,), dtype, entry.name)
