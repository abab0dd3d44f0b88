"""Several arrays seen as one, without the copy that `np.concatenate` makes.

A weight of 1 GiB is read as views of a memory-mapped file and written strip by strip: the fused
array of the target layout never exists in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Fused"]

Array = npt.NDArray[Any]

_TILE = 256  # a transposed copy walks both arrays in tiles that stay in cache


@dataclass(frozen=True)
class Fused:
    """Arrays that stand side by side along one axis (0 or 1); all 1-D, or all 2-D."""

    parts: tuple[Array, ...]
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole."""
        first = self.parts[0].shape
        along = sum(part.shape[self.axis] for part in self.parts)
        return (*first[: self.axis], along, *first[self.axis + 1 :])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the whole; the parts share it."""
        return self.parts[0].dtype

    @property
    def nbytes(self) -> int:
        """The size of the whole in bytes."""
        return sum(part.nbytes for part in self.parts)

    def copy_rows(self, start: int, stop: int, out: Array) -> None:
        """Write rows `start` to `stop` of the whole into `out`, of shape (stop - start, ...).

        `out` may have another dtype; the values are cast.
        """
        if self.axis == 0:
            offset = 0
            for part in self.parts:
                low, high = max(start - offset, 0), min(stop - offset, part.shape[0])
                if low < high:
                    at = offset + low - start
                    _copy(part[low:high], out[at : at + high - low])
                offset += part.shape[0]
        else:
            offset = 0
            for part in self.parts:
                width = part.shape[1]
                _copy(part[start:stop], out[:, offset : offset + width])
                offset += width

    def to_array(self) -> Array:
        """Return the whole as one new array."""
        out = np.empty(self.shape, self.dtype)
        self.copy_rows(0, self.shape[0], out)
        return out


def _copy(source: Array, target: Array) -> None:
    """Copy `source` into `target`; where `source` is transposed in memory, in cache-sized tiles."""
    if source.ndim == 1 or source.strides[1] == source.itemsize:
        np.copyto(target, source, casting="unsafe")
        return
    for column in range(0, source.shape[1], _TILE):
        columns = slice(column, column + _TILE)
        np.copyto(target[:, columns], source[:, columns], casting="unsafe")
