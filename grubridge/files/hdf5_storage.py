"""How an HDF5 array is stored: what of it is accepted, and the file as h5py sees it."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from grubridge.errors import CorruptFileError, UnsafeFileError
from grubridge.spec import numpy_dtype

from .opening import FileMap
from .zips import unpacks_too_far

if TYPE_CHECKING:
    import h5py
    from _typeshed import WriteableBuffer

__all__ = ["as_file", "check_storage", "float_dtype", "is_float"]

_FLOATS = ("float16", "float32", "float64")


def check_storage(dataset: h5py.h5d.DatasetID, place: str) -> None:
    """Refuse an array whose values lie elsewhere, are not all there, or take more than they should.

    Args:
        dataset: h5py's low-level identifier of it.
        place: the file and the path in it, for messages.

    Raises:
        CorruptFileError: when values are missing.
        UnsafeFileError: when reading it would leave the file, run a filter or exhaust memory.
    """
    import h5py

    how = dataset.get_create_plist()
    layout = how.get_layout()
    if layout == h5py.h5d.VIRTUAL or how.get_external_count():
        raise UnsafeFileError(f"{place} keeps its values in another file; copy them into this one first")
    known = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
    filters = [how.get_filter(index)[0] for index in range(how.get_nfilters())]
    if not known.issuperset(filters):
        raise UnsafeFileError(
            f"{place} is stored through HDF5 filter {next(one for one in filters if one not in known)}; "
            "expected gzip, shuffle, fletcher32 or none: save it without compression"
        )
    stored = dataset.get_storage_size()
    size = math.prod(dataset.shape) * dataset.get_type().get_size()
    complete = stored == size if layout == h5py.h5d.CONTIGUOUS else stored > 0
    if size and not complete:
        raise CorruptFileError(f"{place} should take {size} bytes; {stored} were ever written")
    if unpacks_too_far(stored, size):
        raise UnsafeFileError(f"{place} unpacks {stored} bytes into {size}; that is a bomb, not a model")


def float_dtype(dataset: h5py.h5d.DatasetID, said: str | None, place: str) -> np.dtype[Any]:
    """Return the dtype of an array of floats, in native byte order.

    Args:
        dataset: h5py's low-level identifier of it.
        said: its attribute `dtype`; Keras stores bfloat16 as two opaque bytes, and names it there.
        place: the file and the path in it, for messages.

    Raises:
        CorruptFileError: when it holds anything else.
    """
    import h5py

    kind = dataset.get_type()
    if kind.get_class() == h5py.h5t.OPAQUE and kind.get_size() == 2 and said in (None, "bfloat16"):
        return numpy_dtype("bfloat16")
    if kind.get_class() == h5py.h5t.FLOAT and dataset.dtype.name in _FLOATS:
        dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")
        return dtype
    raise CorruptFileError(f"{place} should hold floats of 16, 32 or 64 bits; its type is another")


def is_float(dataset: h5py.h5d.DatasetID, said: str | None) -> bool:
    """Whether `float_dtype` returns a dtype for the array."""
    try:
        float_dtype(dataset, said, "")
    except CorruptFileError:
        return False
    return True


def as_file(file: FileMap, start: int, size: int) -> io.RawIOBase:
    """Return the `size` bytes of a mapped file from `start` on as a file."""
    return _Window(file, start, size)


class _Window(io.RawIOBase):
    def __init__(self, file: FileMap, start: int, size: int) -> None:
        self._file, self._start, self._size = file, start, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = (0, self._position, self._size)[whence] + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        size = max(0, min(len(view), self._size - self._position))
        piece = self._file.bytes(self._start + self._position, size)
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
