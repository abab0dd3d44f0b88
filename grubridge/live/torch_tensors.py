"""Tensors of torch as arrays of a spec."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from grubridge.files.tensors import StoredTensor
from grubridge.spec import Array, numpy_dtype

if TYPE_CHECKING:
    import torch

__all__ = ["stored"]


def stored(tensor: torch.Tensor) -> StoredTensor:
    """Return a tensor as one of a file; the array shares the memory of a tensor on the CPU."""
    return StoredTensor(
        tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), partial(_array, tensor)
    )


def _array(tensor: torch.Tensor) -> Array:
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:  # which torch does not hand to numpy
        return tensor.view(torch.int16).numpy().view(numpy_dtype("bfloat16"))
    return tensor.numpy()
