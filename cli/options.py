"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
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
