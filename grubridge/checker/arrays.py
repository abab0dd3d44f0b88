"""Arrays in a user's own .npy and .npz files: read as data, and checked against what they are to hold."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from grubridge.errors import ProbeError
from grubridge.files.opening import check_budget, check_openable, shown
from grubridge.files.text import printable
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Place

__all__ = ["LARGEST", "check_numbers", "described", "read_arrays", "states_by_place"]

LARGEST = 1 << 30  # bytes of what one file holds


def read_arrays(path: Path) -> Mapping[str, Array] | Array:
    """Return the arrays of an .npz file by name, or the one array of an .npy file.

    Nothing is unpickled, and sizes are checked before memory is taken.

    Raises:
        ProbeError: when it is neither, or is damaged.
        FileFormatError: when it cannot be opened, or is too large.
    """
    check_openable(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            check_budget(path, size, "its content", LARGEST)
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        # numpy takes what it does not know for a pickle, and tells the user how to run it
        why = "" if "unsafely" in str(error) else f" ({printable(error)})"
        raise ProbeError(
            f"{shown(path)}: this is not an .npy or .npz file of numbers{why}; "
            "write one with numpy.savez(path, x=x)"
        ) from error


def check_numbers(
    name: str, array: Array, shape: Sequence[int | str], *, kinds: str = "fiu", order: str = ""
) -> None:
    """Refuse an array of another shape, or not of numbers.

    Args:
        name: its name, for the message.
        array: the array.
        shape: a number, or the word for a dimension of any size, for each dimension.
        kinds: of numpy dtypes that are accepted.
        order: how a dimension is ordered, for the message.

    Raises:
        ProbeError: when it does not fit.
    """
    fits = len(array.shape) == len(shape) and all(
        isinstance(expected, str) or size == expected
        for size, expected in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype.kind not in kinds:
        sizes = ", ".join(map(str, shape))
        what = "numbers" if "i" in kinds else "floating-point numbers"
        note = f" ({order})" if order else ""
        raise ProbeError(f"{name} must be [{sizes}] {what}{note}; received {described(array)}")


def described(array: Array) -> str:
    """Return dtype and shape, as messages print them."""
    return f"{array.dtype} {list(array.shape)}"


def states_by_place(stacked: Array, specs: Sequence[GRUSpec], batch: int) -> dict[Place, Array]:
    """Cut initial states [L*D, B, H], layer by layer, forward first, into one [B, H] for every place.

    Raises:
        ProbeError: when they do not fit specs of one shape, or one has learned ones of its own.
    """
    places = [(index, name) for index, name, _ in specs[0].directions()]
    if any(direction.initial_state is not None for spec in specs for _, _, direction in spec.directions()):
        raise ProbeError("initial_state was given, but the model carries a learned one of its own")
    sizes = {layer.hidden_size for layer in specs[0].layers}
    if len(sizes) > 1:
        raise ProbeError("initial_state cannot be one array for layers of different hidden sizes")
    expected = (len(places), batch, sizes.pop())
    check_numbers("initial_state", stacked, expected, order="layer by layer, forward first")
    return dict(zip(places, stacked, strict=True))
