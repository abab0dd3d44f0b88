"""A small grid of language models, in every runtime: python -m samples.language_models [FOLDER].

The full GRU of Dive into Deep Learning, the one without an update gate and the one without a reset gate, in
two hidden sizes and three sequence lengths, are trained alike on the characters of one text. Each is then
converted, the converted files run in their own runtimes, and the perplexities are held side by side.
Keras and ONNX Runtime know full GRUs only: there a bias holds the gate that a cell lacks.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

import grubridge
from samples.cells.d2l import GRU, Cell, LanguageModel, ResetOnly, UpdateOnly
from samples.data import CHARACTERS, Text, perplexity, text, windows

__all__ = ["CELLS", "Row", "fit", "grid", "row", "table"]

SEED = 31
CELLS: dict[str, Callable[[int, int], Cell]] = {
    "d2l": GRU,
    "d2l-reset-only": ResetOnly,
    "d2l-update-only": UpdateOnly,
}
"""Each under the name of its layout."""

HIDDEN_SIZES = (16, 32)
LENGTHS = (8, 16, 32)
STEPS = 300
JUDGED = 6400
"""Characters of each part that a perplexity is worked out on."""


class Row(NamedTuple):
    """One model of the grid.

    Args:
        cell: the name of its layout.
        hidden_size: H.
        length: T, in training and in judging.
        train: perplexity on the training part, by runtime.
        valid: likewise on the part that training does not see.
    """

    cell: str
    hidden_size: int
    length: int
    train: dict[str, float]
    valid: dict[str, float]

    @property
    def largest_difference(self) -> float:
        """Between any two runtimes, on either part, as a share of the perplexity."""
        parts = (self.train.values(), self.valid.values())
        return max(max(part) / min(part) - 1 for part in parts)


def fit(model: LanguageModel, characters: npt.NDArray[np.int64], length: int, steps: int) -> None:
    """Train on random pieces of a text, 64 at a time."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    loss = torch.nn.CrossEntropyLoss()
    one_hot = torch.eye(len(CHARACTERS))
    for _ in range(steps):
        starts = rng.integers(0, len(characters) - length, 64)
        pieces = torch.from_numpy(characters[starts + np.arange(length + 1)[:, None]])  # [T + 1, B]
        logits = model(one_hot[pieces[:-1]])
        optimizer.zero_grad()
        torch.autograd.backward(loss(logits.flatten(0, 1), pieces[1:].flatten()))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


def row(cell: str, hidden_size: int, length: int, source: Text, steps: int, folder: Path) -> Row:
    """Train one model, save it, convert it, and return its perplexities in every runtime."""
    torch.manual_seed(SEED)
    model = LanguageModel(CELLS[cell](len(CHARACTERS), hidden_size), hidden_size, len(CHARACTERS))
    fit(model, source.train, length, steps)
    checkpoint = folder / f"{cell}-{hidden_size}-{length}.pt"
    torch.save(model.state_dict(), checkpoint)
    judged = []
    for part in (source.train, source.valid):
        x, following = windows(part[: JUDGED + 1], length)
        states = hidden_states(model, cell, checkpoint, x)
        judged.append({run: perplexity(logits(model, hidden), following) for run, hidden in states.items()})
    return Row(cell, hidden_size, length, *judged)


def logits(model: LanguageModel, hidden: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return what the output layer makes of states [N, T, H], worked out in float64: [N, T, 27]."""
    weight, bias = (p.detach().numpy().astype(np.float64) for p in (model.linear.weight, model.linear.bias))
    scores: npt.NDArray[np.float64] = hidden.astype(np.float64) @ weight.T + bias
    return scores


def hidden_states(
    model: LanguageModel, cell: str, checkpoint: Path, x: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[Any]]:
    """Return the states [N, T, H] of inputs [N, T, 27], by runtime."""
    hints = grubridge.ReadHints(layout=cell)
    with torch.no_grad():
        time_major, _ = model.rnn(torch.from_numpy(x).transpose(0, 1))
    found: dict[str, npt.NDArray[Any]] = {"PyTorch": time_major.transpose(0, 1).numpy()}
    for name, suffix, run in (("Keras", ".keras", run_keras), ("ONNX Runtime", ".onnx", run_onnxruntime)):
        target = checkpoint.with_suffix(suffix)
        grubridge.convert(checkpoint, target, hints=hints, force=True, saturate=cell != "d2l")
        found[name] = run(target, x)
    traced = grubridge.trace(checkpoint, {"x": x}, backend="reference", hints=hints)
    return {**found, "reference": traced[0, "forward"].hidden}


def run_keras(path: Path, x: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Return what a converted file gives in Keras."""
    import keras

    model = keras.saving.load_model(path, compile=False)
    return np.asarray(model.predict(x, batch_size=len(x), verbose=0))


def run_onnxruntime(path: Path, x: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Return what a converted file gives in ONNX Runtime."""
    import onnxruntime

    return np.asarray(onnxruntime.InferenceSession(path).run(["y"], {"x": x})[0])


def grid(
    hidden_sizes: Sequence[int], lengths: Sequence[int], source: Text, steps: int, folder: Path
) -> Iterator[Row]:
    """Yield the rows of the grid, trained and judged on `source`; files go into `folder`."""
    for cell in CELLS:
        for hidden_size in hidden_sizes:
            for length in lengths:
                yield row(cell, hidden_size, length, source, steps, folder)


def table(rows: Sequence[Row]) -> list[str]:
    """Return the grid as Markdown: perplexity of train / valid in every runtime."""
    runtimes = list(rows[0].train)
    lines = [
        f"| cell | H | T | {' | '.join(runtimes)} | largest difference |",
        "| --- |" + " --- |" * (len(runtimes) + 3),
    ]
    for one in rows:
        cells = [f"{one.train[runtime]:.4f} / {one.valid[runtime]:.4f}" for runtime in runtimes]
        sizes = f"{one.cell} | {one.hidden_size} | {one.length}"
        lines.append(f"| {sizes} | {' | '.join(cells)} | {one.largest_difference:.1e} |")
    return lines


def main(folder: Path) -> None:
    """Train the grid and print its table."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    rows = []
    for made in grid(HIDDEN_SIZES, LENGTHS, text(), STEPS, folder):
        rows.append(made)
        print(f"trained {made.cell}, H {made.hidden_size}, T {made.length}", file=sys.stderr)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory(prefix="grubridge-language-models-") as made_here:
            main(Path(made_here))
