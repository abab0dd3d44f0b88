"""What the GRU is fed: a table with a row a step, arrays, or numbers typed on the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from grubridge.checker.arrays import read_arrays
from grubridge.checker.probe import probe_from_arrays
from grubridge.errors import ProbeError
from grubridge.files.opening import check_budget, check_openable, shown
from grubridge.files.text import quoted
from grubridge.spec import GATE_NAMES, Array, GRUSpec
from grubridge.traces import Probe

__all__ = ["read_inputs"]

_LARGEST_TABLE = 64 << 20  # bytes: as Python's numbers it takes ten times as much


def read_inputs(inputs: object, spec: GRUSpec) -> tuple[Probe, str]:
    """Return one sequence to explain, and a note about what was left of the inputs.

    Args:
        inputs: x [T, I] or [B, T, I], of which the first sequence is taken; [T] where I is 1; a mapping of x
            and, if wanted, initial_state [L*D, B, H] and lengths [B]; a text of numbers, "1,2,9,8", or with
            more than one number a step "1,2;9,8"; or a path: a .csv file with a row a step and perhaps a line
            of headings, an .npy file of x, an .npz file of these, or of a recording, whose outputs are left.
        spec: what is fed; numbers are rounded to its dtype.

    Raises:
        ProbeError: when they cannot be read or do not fit.
    """
    typed = _typed(inputs, spec.input_size) if isinstance(inputs, str) else None
    if typed is not None:
        return _one_sequence({"x": typed}, spec, "given")
    if isinstance(inputs, (str, Path)):
        path = Path(inputs)
        found = _table(path) if path.suffix.lower() == ".csv" else read_arrays(path)
        arrays = {"x": found} if isinstance(found, np.ndarray) else _without_outputs(found)
        try:
            return _one_sequence(arrays, spec, path.name)
        except ProbeError as error:
            raise ProbeError(f"{shown(path)}: {error}") from error
    named = inputs if isinstance(inputs, Mapping) else {"x": inputs}
    try:
        arrays = {str(name): np.asarray(array) for name, array in named.items()}
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor on a GPU, a ragged list, ...
        raise ProbeError(f"the inputs cannot be made NumPy arrays: {error}") from error
    return _one_sequence(arrays, spec, "given")


def _without_outputs(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array for name, array in arrays.items() if name not in ("hidden", "last", *GATE_NAMES)}


def _one_sequence(arrays: Mapping[str, Array], spec: GRUSpec, origin: str) -> tuple[Probe, str]:
    """Return the first sequence of `arrays`, as long as it says, and a note when there are others."""
    x = arrays.get("x")
    if x is not None:
        if x.ndim == 1 and spec.input_size == 1:
            x = x[:, None]
        if x.ndim == 2:
            x = x[None]
        if x.ndim != 3 or x.shape[2] != spec.input_size:
            raise ProbeError(
                f"x must have a row for every step and {_columns(spec.input_size)}, the layer's input size; "
                f"received {list(arrays['x'].shape)}"
            )
        arrays = {**arrays, "x": x}
    probe = probe_from_arrays(arrays, [spec], origin)
    steps = probe.steps if probe.lengths is None else int(probe.lengths[0])
    states = {place: state[:1] for place, state in probe.initial_state.items()}
    note = "" if probe.batch == 1 else f"of {probe.batch} sequences the first is worked out"
    return Probe(probe.x[:1, :steps], states, origin=origin), note


def _typed(text: str, input_size: int) -> Array | None:
    """Return x [T, I] of a text of numbers, "1,2,9,8" or "1,2;9,8"; None if it is no such text."""
    rows = [row.split(",") for row in text.split(";")]
    if len(rows) == 1 and input_size == 1:
        rows = [[number] for number in rows[0]]
    if not all(_is_number(number) for row in rows for number in row):
        return None
    if len({len(row) for row in rows}) > 1:
        raise ProbeError(f"every step must have as many numbers as the others; received {quoted(text)}")
    return np.array(rows, np.float64)


def _columns(size: int) -> str:
    return "1 column" if size == 1 else f"{size} columns"


def _table(path: Path) -> Array:
    """Return a table of numbers, [T, I]; a first line that holds no number at all is headings."""
    check_budget(path, check_openable(path), "the table", _LARGEST_TABLE)
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(map(str.strip, row))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ProbeError(f"{shown(path)}: this is no table of numbers with commas between: {error}") from None
    if rows and not any(map(_is_number, rows[0])):
        del rows[0]
        heading = 1
    else:
        heading = 0
    if not rows:
        raise ProbeError(f"{shown(path)}: the table holds no numbers; expected a row for every step")
    for index, row in enumerate(rows):
        wrong = next((cell for cell in row if not _is_number(cell)), None)
        where = f"{shown(path)}: row {index + 1 + heading}"
        if wrong is not None:
            raise ProbeError(f"{where}: expected numbers with commas between; received {quoted(wrong)}")
        if len(row) != len(rows[0]):
            raise ProbeError(f"{where} has {_columns(len(row))}, the rows before it {len(rows[0])}")
    return np.array([[float(cell) for cell in row] for row in rows])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
