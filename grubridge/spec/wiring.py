"""Where a spec came from and how it was wired there: kept for round trips and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .activation import Activation

__all__ = ["MergeMode", "Source", "StackIO"]

MergeMode = Literal["concat", "sum", "mul", "ave"]


@dataclass(frozen=True)
class StackIO:
    """How a stack was wired in its file: what a round trip needs and the mathematics does not.

    Args:
        time_major: the file's own input is [T, B, I] rather than [B, T, I].
        return_sequences: the model used every step rather than the last.
        return_state: the model used the final state as well.
        stateful: the state is carried from one batch to the next.
        masking: a mask reaches the layer, so padded steps are skipped.
        merge_mode: how a bidirectional layer joins its halves; None keeps them apart.
        processing_order: a backward-only layer returns its steps last first (Keras `go_backwards`).
        output_activation: the model returns this function of the states; None returns the states.
    """

    time_major: bool = False
    return_sequences: bool = True
    return_state: bool = False
    stateful: bool = False
    masking: bool = False
    merge_mode: MergeMode | None = "concat"
    processing_order: bool = False
    output_activation: Activation | None = None


@dataclass(frozen=True)
class Source:
    """Where a spec was read from.

    Args:
        path: the file as the user named it.
        format: the adapter's name.
        stack: the stack's name in the file.
        framework: who wrote the file, as far as it says, e.g. "keras 2.2.4-tf".
        notes: what a reader should know: assumptions that were made, things the file does not say.
    """

    path: str
    format: str
    stack: str
    framework: str = ""
    notes: tuple[str, ...] = ()
