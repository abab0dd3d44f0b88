"""What an identification finds, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from grubridge.layouts.description import CellLayout

from .measure import Measure

__all__ = ["Fit", "Identification"]


@dataclass(frozen=True)
class Fit:
    """A layout, and how well it explains the run.

    Args:
        layout: the layout, its names without the prefix.
        shipped: whether it is one that comes with grubridge, to be asked for by name.
        prefix: what stands in front of the names in the file.
        keys: the keys that lead to the tensors from the file's root.
        measure: how far the run is from its equations.
        left_over: tensors of the file that are no part of the cell.
        remarks: what the run leaves open and does not matter.
        same: whether it computes the same function as the first of the fits.
        differs: in what it differs from the first of the fits, in words.
    """

    layout: CellLayout
    shipped: bool
    prefix: str
    keys: tuple[str, ...]
    measure: Measure
    left_over: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    same: bool = True
    differs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Identification:
    """The layouts that explain a recorded run.

    Args:
        path: the checkpoint.
        format: its format.
        example: the recorded run, as the user named it.
        outputs: what of the run was recorded: "every step" or "the last state".
        fits: the layouts that do, the chosen one first; at least one.
        tried: how many cells were tried.
        cut: what was left out, in words.
        apart: what would tell fits apart that compute different functions, in words.
        written: the file that holds the first one's description; None where none was asked for.
    """

    path: str
    format: str
    example: str
    outputs: str
    fits: tuple[Fit, ...]
    tried: int
    cut: tuple[str, ...]
    apart: tuple[str, ...]
    written: str | None
