"""Layouts found from one run: random cells, stored in random ways; is what is found the same function?

What is found is run on other inputs, in float64, beside the equations that the cell was typed from.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from benchmarks.cells import Cell, draw
from benchmarks.journal import Journal
from benchmarks.slices import answer, measured
from grubridge import read
from grubridge.errors import IdentificationError
from grubridge.formats.base import ReadHints
from grubridge.identification.identify import identify
from grubridge.reference import run
from grubridge.reference.activations import evaluate
from grubridge.traces import Probe

__all__ = ["HEADER", "Found", "find", "rows"]

HEADER = (
    f"{'recorded':10} {'cells':>6} {'found':>6} {'ties':>5} {'wrong':>6} {'median s':>9} {'slowest s':>10}"
)

_SEED = 7
_SLICE = 10
_BATCH, _STEPS = 5, 8
_SAME = 1e-9
"""Of two functions computed in float64, by other sums: the largest difference on random inputs."""


@dataclass(frozen=True)
class Found:
    """What became of one cell.

    Args:
        outputs: "hidden" or "last".
        error: largest |difference| of the function that was found; infinite where none was.
        ties: other functions that fit the run.
        seconds: of the search.
        kind: of the cell, in words.
    """

    outputs: str
    error: float
    ties: int
    seconds: float
    kind: str

    @property
    def same(self) -> bool:
        """Whether the function that was found is the cell's."""
        return self.error < _SAME


@dataclass(frozen=True)
class Row:
    """What became of the cells of which the same outputs were recorded.

    Args:
        outputs: "hidden" or "last".
        records: one for each cell.
    """

    outputs: str
    records: Sequence[Mapping[str, Any]]

    @property
    def holds(self) -> bool:
        """Whether every layout was found."""
        return all(Found(**record).same for record in self.records)

    def __str__(self) -> str:
        cells = [Found(**record) for record in self.records]
        seconds = sorted(cell.seconds for cell in cells)
        wrong = sum(_SAME <= cell.error < float("inf") for cell in cells)
        found = sum(cell.same for cell in cells)
        return (
            f"{self.outputs:10} {len(cells):6} {found:6} "
            f"{sum(cell.ties > 0 for cell in cells):5} {wrong:6} "
            f"{seconds[len(cells) // 2]:9.2f} {seconds[-1]:10.1f}"
        )


def rows(folder: Path, cells: int, processes: int) -> Iterator[Row]:
    """Yield what was found of `cells` random cells, by what was recorded of their runs.

    Args:
        folder: where results are kept.
        cells: how many.
        processes: how many to run side by side.
    """
    journal = Journal(folder / "identification.jsonl")
    done = {record["number"] for record in journal.records}
    left = [number for number in range(cells) if number not in done]
    while left:
        slices = [left[first : first + _SLICE] for first in range(0, processes * _SLICE, _SLICE)]
        left = left[processes * _SLICE :]
        for records in measured(__name__, [some for some in slices if some]):
            journal.add(records)
    for outputs in ("hidden", "last"):
        of_kind = [
            {key: value for key, value in record.items() if key != "number"}
            for record in journal.records
            if record["outputs"] == outputs and record["number"] < cells
        ]
        if of_kind:
            yield Row(outputs, of_kind)


def find(number: int, folder: Path) -> Found:
    """Draw the cell of a number, record a run of it, and look for its layout with nothing else to go by.

    Args:
        number: seeds the cell.
        folder: an empty one, for the files.
    """
    rng = np.random.default_rng([_SEED, number])
    cell = draw(rng)
    hidden_size, input_size = next(iter(cell.weights.values()))[0].shape
    x = rng.standard_normal((_BATCH, _STEPS, input_size)).astype(np.float32)
    given = rng.random() < 0.5
    start = (rng.uniform(-1, 1, (_BATCH, hidden_size)) * given).astype(np.float32)
    outputs = "last" if rng.random() < 0.3 else "hidden"
    made = cell.run(x, start)
    recorded = {"x": x, outputs: made if outputs == "hidden" else made[:, -1]}
    if given:
        recorded["initial_state"] = start[None]
    model, example, layout = folder / "cell.safetensors", folder / "run.npz", folder / "found.toml"
    save_file(dict(cell.tensors), model)
    np.savez(example, **recorded)  # type: ignore[arg-type]
    began = time.perf_counter()
    kind = f"{cell.kind}, {cell.update}, reset {cell.reset}, {cell.gate}, {cell.candidate}"
    try:
        found = identify(model, example, out=layout)
    except IdentificationError:
        return Found(outputs, float("inf"), 0, time.perf_counter() - began, kind)
    seconds = time.perf_counter() - began
    ties = sum(not fit.same for fit in found.fits)
    return Found(outputs, _difference(cell, model, layout, rng), ties, seconds, kind)


def _difference(cell: Cell, model: Path, layout: Path, rng: np.random.Generator) -> float:
    """Run what a layout file makes of the tensors on new inputs, beside the cell itself."""
    spec = read(model, hints=ReadHints(layout=str(layout)))
    first = spec.layers[0]
    x = rng.standard_normal((16, 7, first.input_size))
    start = rng.uniform(-1, 1, (16, first.hidden_size))
    hidden = run(spec, Probe(x, {(0, "forward"): start}))[0, "forward"].hidden
    output = spec.io.output_activation
    made = hidden if output is None else evaluate(output, hidden)
    return float(np.abs(made - cell.run(x, start)).max())


def _measure(number: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return vars(find(number, Path(folder)))


if __name__ == "__main__":
    answer(_measure)
