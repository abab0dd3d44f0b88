"""Why no layout explains a run: what is usually wrong with such a pair, tried one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from grubridge.checker.recording import Recording
from grubridge.errors import ProbeError
from grubridge.files.tensors import StoredTensor

from .assembly import without_prefix
from .choices import weight_choices
from .measure import Measure, measure, read
from .search import search
from .structures import structures

__all__ = ["reasons"]

_CLOSE = 2e-2

_OTHER_SHAPES = (
    "the run has I = {} inputs and D*H = {} outputs, and no tensors of the file have the shapes of all the "
    "weights of such a cell: it is another model's run, or hidden is not what the cell returned"
)
_NOT_JUDGED = (
    "rounding alone may carry such a run far from the equations: record hidden, or shorter sequences"
)
_NEAR = (
    "the nearest is close: the run was made in a lower precision (TF32, half), or with the weights of "
    "another moment of the training"
)
_NOT_ONE_MODEL = (
    "the file and the run are not of one model; or the cell is none that is searched for: other gates, "
    "normalisation, dropout that was left on, other activations"
)
_OTHER_START = (
    "the first step alone does not fit: the run did not start from the state that is recorded, or from zero "
    "where none is; record its initial_state"
)
_TIME_FIRST = (
    "with batch and time exchanged it fits: the run is recorded time first; transpose x and hidden to "
    "[B, T, ...]"
)
_BACKWARD = (
    "read from its last step to its first it fits: the cell runs backward; record x and hidden in the order "
    "in which it reads"
)


def reasons(
    tensors: Mapping[str, StoredTensor], recording: Recording, nearest: Measure | None
) -> Iterator[str]:
    """Yield likely reasons; at least one.

    Args:
        tensors: of the checkpoint.
        recording: the run that nothing explains.
        nearest: of the layout that comes closest.
    """
    sizes = recording.x.shape[2], recording.outputs.shape[-1]
    if not any(weight_choices(structure.weights) for structure in structures(tensors, *sizes)):
        yield _OTHER_SHAPES.format(*sizes)
        return
    found = [reason for reason, changed in _changed(recording) if _explained(tensors, changed)]
    yield from found
    if found:
        return
    if nearest is not None and not nearest.judged:
        yield _NOT_JUDGED
    else:
        yield _NEAR if nearest is not None and nearest.max_abs < _CLOSE else _NOT_ONE_MODEL


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
    x, hidden = recording.x, recording.hidden
    if hidden is None or recording.lengths is not None:
        return
    plain = replace(recording, gates={})
    if x.shape[1] > 1:
        yield (
            _OTHER_START,
            replace(plain, x=x[:, 1:], hidden=hidden[:, 1:], initial_state=hidden[None, :, 0]),
        )
    with suppress(ProbeError):
        yield (
            _TIME_FIRST,
            replace(plain, x=x.swapaxes(0, 1), hidden=hidden.swapaxes(0, 1), initial_state=None),
        )
    yield _BACKWARD, replace(plain, x=x[:, ::-1], hidden=hidden[:, ::-1])
