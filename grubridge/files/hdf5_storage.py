"""How an HDF5 array is stored: what of it is accepted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from grubridge.errors import CorruptFileError, UnsafeFileError

from .zips import unpacks_too_far

if TYPE_CHECKING:
    import h5py

__all__ = ["check_storage", "float_type"]

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
    if layout == h5py.h5d.CHUNKED:
        pieces = math.prod(
            -(-size // chunk) for size, chunk in zip(dataset.shape, how.get_chunk(), strict=True)
        )
        written = dataset.get_num_chunks()
        if written != pieces:
            raise CorruptFileError(
                f"{place} lies in {pieces} chunks, of which {written} were ever written; HDF5 would fill the "
                "rest in: save it again"
            )


def float_type(dataset: h5py.h5d.DatasetID, said: str | None) -> str | None:
    """Return the type of an array of floats: "<f4", ">f8" and so on, or "bfloat16"; None for any other.

    Args:
        dataset: h5py's low-level identifier of it.
        said: its attribute `dtype`; Keras stores bfloat16 as two opaque bytes, and names it there.
    """
    import h5py

    kind = dataset.get_type()
    if kind.get_class() == h5py.h5t.OPAQUE and kind.get_size() == 2 and said in (None, "bfloat16"):
        return "bfloat16"
    if kind.get_class() == h5py.h5t.FLOAT and dataset.dtype.name in _FLOATS:
        # floats of other bits, such as HDF5's own bfloat16, have the dtype to which h5py would convert them
        return str(dataset.dtype.str) if kind.equal(h5py.h5t.py_create(dataset.dtype)) else None
    return None
