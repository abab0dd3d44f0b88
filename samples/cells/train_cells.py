"""Train one of each hand-written cell and record a run of it: python -m samples.cells.train_cells [FOLDER].

Of every cell two files: NAME.pt, the state dict of the model around it, and NAME.npz, inputs x [B, T, I] and
what the cell returned for them, `hidden` [B, T, H] of all steps or `last` [B, H].
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from samples.cells.classifier import Classifier
from samples.cells.concatenating import ConcatenatingGRU
from samples.cells.d2l import GRU, LanguageModel, ResetOnly, UpdateOnly
from samples.cells.split_linear import SplitLinearGRU
from samples.data import CHARACTERS, accuracy, digits, perplexity, text, windows
from samples.language_models import fit

SEED = 41
HIDDEN = 8
LENGTH = 16
RECORDED = 3
"""Sequences in a recording."""


def save(path: Path, model: torch.nn.Module, recording: Mapping[str, Tensor]) -> None:
    """Write the state dict and, beside it, the recorded run."""
    torch.save(model.state_dict(), path)
    arrays = {name: array.detach().numpy() for name, array in recording.items()}
    np.savez_compressed(path.with_suffix(".npz"), allow_pickle=False, **arrays)


def train_language_models(folder: Path) -> None:
    """Save d2l's cells, which take time-major inputs; a recording is batch-first like all others."""
    source = text()
    cells: dict[str, Callable[[], torch.nn.Module]] = {
        "d2l": lambda: GRU(len(CHARACTERS), HIDDEN),
        "d2l-reset-only": lambda: ResetOnly(len(CHARACTERS), HIDDEN),
        "d2l-update-only": lambda: UpdateOnly(len(CHARACTERS), HIDDEN),
        "d2l-concise": lambda: torch.nn.GRU(len(CHARACTERS), HIDDEN),
    }
    x, following = windows(source.valid[:6401], LENGTH)
    for name, cell in cells.items():
        torch.manual_seed(SEED)
        model = LanguageModel(cell(), HIDDEN, len(CHARACTERS))
        fit(model, source.train, LENGTH, steps=300)
        with torch.no_grad():
            inputs = torch.from_numpy(x)
            scores = model(inputs.transpose(0, 1)).transpose(0, 1).numpy()
            hidden, _ = model.rnn(inputs[:RECORDED].transpose(0, 1))
        save(folder / f"{name}.pt", model, {"x": inputs[:RECORDED], "hidden": hidden.transpose(0, 1)})
        print(f"cells/{name}.pt: perplexity {perplexity(scores, following):.4f}")


def train_classifiers(folder: Path) -> None:
    """Save the cells that read digits row by row."""
    task = digits()
    x, y = torch.from_numpy(task.train_x), torch.from_numpy(task.train_y)
    shown, test_x = torch.from_numpy(task.test_x[:RECORDED]), torch.from_numpy(task.test_x)
    cells: dict[str, Callable[[], torch.nn.Module]] = {
        "concat-xh": lambda: ConcatenatingGRU(8, HIDDEN, state_first=False),
        "concat-hx": lambda: ConcatenatingGRU(8, HIDDEN, state_first=True),
        "split-linear": lambda: SplitLinearGRU(8, HIDDEN),
    }
    loss = torch.nn.CrossEntropyLoss()
    for name, cell in cells.items():
        torch.manual_seed(SEED)
        model = Classifier(cell(), HIDDEN, 10)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(15):
            for batch in torch.split(torch.randperm(len(x)), 64):
                optimizer.zero_grad()
                torch.autograd.backward(loss(model(x[batch]), y[batch]))
                optimizer.step()
        model.eval()
        save(folder / f"{name}.pt", model, {"x": shown, **returned(model.gru, shown)})
        with torch.no_grad():
            print(f"cells/{name}.pt: accuracy {accuracy(model(test_x).numpy(), task.test_y):.4f}")


def returned(cell: torch.nn.Module, x: Tensor) -> Mapping[str, Tensor]:
    """Return what a user of the cell would record: its gates too, or only what the classifier reads."""
    if isinstance(cell, SplitLinearGRU):
        return cell.told(x)
    outputs = cell(x)
    return {"last": outputs[:, -1]} if cell.state_first else {"hidden": outputs}


def main(folder: Path) -> None:
    """Train and save every cell under cells/."""
    (folder / "cells").mkdir(exist_ok=True)
    train_language_models(folder / "cells")
    train_classifiers(folder / "cells")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
