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
Source = Annotated[Path, typer.Argument(metavar="SRC", help="A Keras, PyTorch, safetensors or ONNX file.")]
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
