"""A hand-written cell, run one step at a time as its layout describes it, by the framework's own operators.

The tensors are used as they lie in the file: what is fused is multiplied and then split, a concatenating
cell concatenates, an update gate that takes the candidate does so. Nothing here goes through a spec or the
reader of layouts, so that a mistake in either of the two readings of a description shows as a difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import count

import numpy as np

from grubridge.errors import CannotRunError
from grubridge.files.text import printable
from grubridge.layouts.description import CellLayout, TensorLayout
from grubridge.spec import Array, Direction, Gates
from grubridge.traces import DirectionTrace, Place, Probe, valid_steps

from .described_cell import DescribedCell
from .operators import Operators, Tensor

__all__ = ["NOTE", "StoredCell", "kernel", "own_tensors", "run_described", "stored_cells"]

NOTE = (
    "the cell was computed as its layout describes it; its own code was not run: "
    "verify --example holds a recorded run of that against the file"
)


def kernel(layout: CellLayout, framework: str) -> str:
    """Return what computes, in a few words."""
    return f"cell {printable(layout.name)} as described, {framework} operators"


def run_described(
    layout: CellLayout, tensors: Mapping[str, Tensor], probe: Probe, operators: Operators
) -> dict[Place, DirectionTrace]:
    """Run a stack of cells.

    Args:
        layout: what the tensors hold and what the cell does with them.
        tensors: of the cells by the names in the layout, with layer and direction filled in.
        probe: the inputs. A learned initial state among the tensors takes the place of its own.
        operators: the framework's.

    Returns:
        h' (before an output transform), z in the sense that keeps the state, r and n of every step, the gates
        "observed": they are what the run itself computed. Steps past a sequence's end are zero.

    Raises:
        CannotRunError: when a tensor is missing.
        ProbeError: when an initial state is not of the model's size.
    """
    valid = valid_steps(probe.batch, probe.steps, probe.lengths)
    places: dict[Place, DirectionTrace] = {}
    x = operators.tensor(probe.x)
    for index, layer in enumerate(stored_cells(layout, tensors)):
        returned: list[Tensor] = []
        for way, names in layer.items():
            own = {one: tensors[name] for one, name in names.items()}
            cell = DescribedCell(layout, own, operators, int(x.shape[-1]))
            start = cell.start(probe, (index, way))
            hidden, gates = _sequence(cell, operators, (x, start), way, valid)
            output = layout.output_activation
            returned.append(hidden if output is None else operators.activate(output, hidden))
            seen = gates.map(operators.array) if probe.gates else None
            x_array, start_array, hidden_array = map(operators.array, (x, start, hidden))
            places[index, way] = DirectionTrace(x_array, start_array, hidden_array, seen, "observed")
        x = operators.concat(returned)
    return places


StoredCell = Mapping[TensorLayout, str]
"""What of the layout one cell has, and the names of the tensors."""


def stored_cells(layout: CellLayout, names: Collection[str]) -> list[dict[Direction, StoredCell]]:
    """Return the cells that tensors of these names make up, a dict of directions for each layer.

    Raises:
        CannotRunError: when a tensor that a cell needs is missing, or there is no cell.
    """
    ways: tuple[Direction, ...] = ("forward", "backward") if layout.has_directions else ("forward",)
    layers: list[dict[Direction, StoredCell]] = []
    for number in count() if layout.has_layers else (0,):
        found = {way: _stored(layout, names, number, way) for way in ways}
        if any(found.values()):
            layers.append({way: cell for way, cell in found.items() if cell})
        elif number:  # names count layers from 0, or from 1
            break
    if not layers:
        reason = f"the file has no tensors of the layout {printable(layout.name)}"
        raise CannotRunError(reason, reason)
    return layers


def own_tensors(layout: CellLayout, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those of the tensors that `stored_cells` names.

    Raises:
        CannotRunError: see `stored_cells`.
    """
    cells = [cell for layer in stored_cells(layout, tensors) for cell in layer.values()]
    return {name: tensors[name] for cell in cells for name in cell.values()}


def _stored(layout: CellLayout, names: Collection[str], index: int, way: Direction) -> StoredCell:
    ending = layout.directions[way]
    named = {
        one: one.name.replace("{layer}", str(index)).replace("{direction}", ending) for one in layout.tensors
    }
    there = {one: name for one, name in named.items() if name in names}
    missing = [name for one, name in named.items() if name not in names and not one.optional]
    if there and missing:
        listed = ", ".join(map(printable, missing))
        reason = f"the layout {printable(layout.name)} needs {listed}, which the file has not"
        raise CannotRunError(reason, reason)
    return there


def _sequence(
    cell: DescribedCell, run: Operators, received: tuple[Tensor, Tensor], way: Direction, valid: Array
) -> tuple[Tensor, Gates[Tensor]]:
    """Run one direction over x [B, T, I] from h_0 [B, H]; return h' and the gates, each [B, T, H]."""
    x, h = received
    steps, zero = valid.shape[1], run.tensor(np.zeros((1, 1)))
    rows: dict[int, tuple[Tensor, ...]] = {}
    for t in range(steps) if way == "forward" else range(steps - 1, -1, -1):
        gates, following = cell.step(x[:, t], h)
        made = (following, gates.update, gates.reset, gates.candidate)
        if valid[:, t].all():
            h, rows[t] = following, made
        else:
            keep = run.tensor(valid[:, t, None])
            h = run.where(keep, following, h)
            rows[t] = tuple(run.where(keep, one, zero) for one in made)
    hidden, *of_gates = (run.stack(column) for column in zip(*(rows[t] for t in range(steps)), strict=True))
    return hidden, Gates(*of_gates)
