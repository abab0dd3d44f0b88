"""Why no layout explains a run: what is usually wrong with such a pair, tried one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from grubridge.checker.recording import Recording
from grubridge.errors import ProbeError
from grubridge.files.tensors import StoredTensor
from grubridge.spec import Array

from .assembly import without_prefix
from .measure import measure, read
from .result import Fit
from .search import search
from .structures import structures

__all__ = ["reasons"]

_CLOSE = 2e-2


def reasons(tensors: Mapping[str, StoredTensor], recording: Recording, nearest: Fit | None) -> Iterator[str]:
    """Yield likely reasons, the surest first; at least one.

    Args:
        tensors: of the checkpoint.
        recording: the run that nothing explains.
        nearest: the layout that comes closest.
    """
    sizes = recording.x.shape[2], recording.outputs.shape[-1]
    if not any(structure.weights for structure in structures(tensors, *sizes)):
        yield (
            f"the run has I = {sizes[0]} inputs and D*H = {sizes[1]} outputs, and no tensors of the file have the "
            "shapes of such a cell's weights: it is another model's run, or hidden is not what the cell returned"
        )
        return
    found = [reason for reason, changed in _changed(recording) if _explained(tensors, changed)]
    yield from found
    if found:
        return
    if nearest is None:
        yield "the tensors make no whole cell: some of them are missing, or it is no GRU"
    elif not nearest.measure.judged:
        yield "by rounding alone such a run may come far from the equations: record hidden, or shorter sequences"
    elif nearest.measure.max_abs < _CLOSE:
        yield (
            "the nearest is close: the run was made in a lower precision (TF32, half), or with the weights of "
            "another moment of the training"
        )
    else:
        yield (
            "the file and the run are not of one model; or the cell is none that is searched for: other gates, "
            "normalisation, dropout that was left on, other activations"
        )


def _explained(tensors: Mapping[str, StoredTensor], recording: Recording) -> bool:
    for layout in search(tensors, recording, usual_only=True).fits:
        prefix, bare = without_prefix(layout)
        spec = read(bare, prefix, tensors)
        found = None if spec is None else measure(spec, recording)
        if found is not None and found.fits:
            return True
    return False


def _changed(recording: Recording) -> Iterator[tuple[str, Recording]]:
    """Yield what may have been recorded otherwise than it should be, and the run as it then is."""
    hidden = recording.hidden
    if hidden is None or recording.lengths is not None:
        return
    if hidden.shape[1] > 1:
        yield (
            "the first step alone does not fit: the run did not start from the state that is recorded, or from "
            "zero where none is; record its initial_state",
            replace(
                recording, x=recording.x[:, 1:], hidden=hidden[:, 1:], initial_state=hidden[None, :, 0], gates={}
            ),
        )

    def swapped(array: Array) -> Array:
        return np.ascontiguousarray(array.swapaxes(0, 1))

    try:
        yield (
            "with batch and time exchanged it fits: the run is recorded time first; transpose x and hidden to "
            "[B, T, ...]",
            replace(
                recording,
                x=swapped(recording.x),
                hidden=swapped(hidden),
                initial_state=None,
                gates={},
            ),
        )
    except ProbeError:
        pass
    yield (
        "read from its last step to its first it fits: the cell runs backward; record x and hidden in the order "
        "in which it reads",
        replace(recording, x=recording.x[:, ::-1], hidden=hidden[:, ::-1], gates={}),
    )
