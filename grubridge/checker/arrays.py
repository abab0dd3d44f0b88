"""Arrays in a user's own .npy and .npz files: read as data, and checked against what they are to hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from grubridge.errors import CorruptFileError, ProbeError
from grubridge.files.npy import LARGEST, read_numpy
from grubridge.files.opening import shown
from grubridge.spec import Array, GRUSpec
from grubridge.traces import Place

__all__ = ["LARGEST", "check_numbers", "described", "read_arrays", "states_by_place"]


def read_arrays(path: Path) -> Mapping[str, Array] | Array:
    """Return the arrays of an .npz file by name, or the one array of an .npy file.

    Nothing is unpickled, and sizes are checked before memory is taken.

    Raises:
        ProbeError: when it is neither, or is damaged.
        FileFormatError: when it cannot be opened, or is too large.
    """
    try:
        return read_numpy(path)
    except CorruptFileError as error:
        why = str(error).removeprefix(shown(path)).lstrip(":, ")
        raise ProbeError(
            f"{shown(path)}: this is not an .npy or .npz file of numbers ({why}); "
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
