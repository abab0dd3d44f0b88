"""The dtypes that weights are stored in, by name."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["DTYPES", "numpy_dtype"]

DTYPES = ("float16", "bfloat16", "float32", "float64")


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return the dtype called `name`; bfloat16 is ml_dtypes's, which numpy does not know by itself."""
    if name == "bfloat16":
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return dtype
    return np.dtype(name)
