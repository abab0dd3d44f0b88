"""Cells whose layouts are looked for, typed from their equations, and runs of them in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

__all__ = ["Numbers", "own_cell", "run_own_cell", "write"]

Numbers: TypeAlias = NDArray[Any]


def own_cell(
    hidden_size: int = 6, input_size: int = 4, *, seed: int = 0, bias: float = 0.5
) -> dict[str, Numbers]:
    """Return the tensors of a cell with a matrix for every gate: y = x W, the names say nothing."""
    rng = np.random.default_rng(seed)

    def numbers(*shape: int) -> Numbers:
        drawn: Numbers = (0.5 * rng.standard_normal(shape)).astype(np.float32)
        return drawn

    tensors: dict[str, Numbers] = {}
    for gate in "abc":
        tensors[f"net.in_{gate}"] = numbers(input_size, hidden_size)
        tensors[f"net.rec_{gate}"] = numbers(hidden_size, hidden_size)
        tensors[f"net.off_{gate}"] = (bias * numbers(hidden_size)).astype(np.float32)
    tensors["head.weight"] = numbers(3, hidden_size)
    return tensors


def run_own_cell(tensors: dict[str, Numbers], x: Numbers, h: Numbers) -> Numbers:
    """Return the states [B, T, H]: a is z, which takes the candidate, b is r, before the product, c is n."""

    def sigmoid(a: Numbers) -> Numbers:
        made: Numbers = 1 / (1 + np.exp(-a))
        return made

    made = []
    for t in range(x.shape[1]):
        z, r = (
            sigmoid(x[:, t] @ tensors[f"net.in_{g}"] + h @ tensors[f"net.rec_{g}"] + tensors[f"net.off_{g}"])
            for g in "ab"
        )
        n = np.tanh(x[:, t] @ tensors["net.in_c"] + (r * h) @ tensors["net.rec_c"] + tensors["net.off_c"])
        h = (1 - z) * h + z * n
        made.append(h)
    return np.stack(made, axis=1)


def write(folder: Path, tensors: dict[str, Numbers], **recorded: Numbers) -> tuple[Path, Path]:
    """Write a checkpoint and a recorded run; return their paths."""
    model, example = folder / "model.safetensors", folder / "run.npz"
    save_file(tensors, model)
    np.savez(example, **recorded)  # type: ignore[arg-type]
    return model, example
