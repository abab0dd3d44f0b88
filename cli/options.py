"""Options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Stack = Annotated[
    str | None, typer.Option("--stack", metavar="NAME", help="Which GRU of the file; see grubridge inspect.")
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="FORMAT", help="The format of the source [default: its content]"),
]
Source = Annotated[
    Path,
    # whether it is readable is for its reader to say, in words of our own
    typer.Argument(metavar="SRC", readable=False, help="A Keras, PyTorch, safetensors or ONNX file."),
]
Candidate = Annotated[
    str | None,
    typer.Option("--activation", metavar="NAME", help="Keras weights without a model: the candidate's."),
]
Gates = Annotated[
    str | None,
    typer.Option("--recurrent-activation", metavar="NAME", help="Keras weights without a model: the gates'."),
]
ResetAfter = Annotated[
    bool | None,
    typer.Option("--reset-after/--reset-before", help="Keras weights without a model and without a bias."),
]
SkipUnsafe = Annotated[
    bool,
    typer.Option("--skip-unsafe", help="Read the GRUs of a Keras model that holds code; it is not run."),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout", metavar="NAME|FILE", help="The tensors of a cell of your own: see grubridge formats."
    ),
]
Inputs = Annotated[
    Path | None,
    typer.Option("--inputs", metavar="FILE", help=".npy of x, or .npz of x, initial_state, lengths."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the random inputs.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Sequences of the random inputs.")]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Steps of the random inputs.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
AllowTF32 = Annotated[bool, typer.Option("--allow-tf32", help="A GPU may round float32 factors to TF32.")]


def _take_no_more_memory(context: typer.Context, size: str | None) -> None:
    if size is not None:
        context.with_resource(_grubridge().limits(max_memory=_bytes(size)))


def _take_no_longer(context: typer.Context, seconds: float | None) -> None:
    if seconds is not None:
        if not seconds > 0:
            raise typer.BadParameter(f"expected a number of seconds above 0; received {seconds:g}")
        context.with_resource(_grubridge().limits(timeout=seconds))


def _grubridge() -> ModuleType:
    import grubridge

    return grubridge


MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        callback=_take_no_more_memory,
        help="Of a file's content, and of a run: 512MiB, 4GB [default: 1GiB; all there is]",
    ),
]
"""Holds for the whole command, which need not look at it."""

Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        callback=_take_no_longer,
        help="Of one answer of HDF5, and of a run [default: 10; 600]",
    ),
]
"""Likewise."""

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def _bytes(size: str) -> int:
    """Return how many bytes "512MiB" or "4GB" are."""
    read = _SIZE.fullmatch(size.strip())
    found = read and int(float(read[1]) * (1024 if read[3] else 1000) ** _UNITS[read[2].lower()])
    if not found:
        raise typer.BadParameter(f"expected a size such as 512MiB or 4GB; received {size!r}")
    return found


def numbers(text: str | None) -> tuple[int, ...] | None:
    """Return what an option --lengths N,N,... says; None where it was not given."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"--lengths expects whole numbers with commas between; received {text!r}"
        ) from None
