"""grubridge identify: the layout of an unknown checkpoint, from one recorded run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import Output, show
from .options import Json, MaxMemory, Timeout


def identify(
    source: Annotated[
        Path,
        typer.Argument(metavar="SRC", help="A PyTorch, safetensors, Keras HDF5 or TensorFlow checkpoint."),
    ],
    example: Annotated[
        Path,
        typer.Option(
            "--example", metavar="FILE", help=".npz of x and hidden or last, initial_state, lengths."
        ),
    ],
    stack: Annotated[
        str | None,
        typer.Option("--stack", metavar="PREFIX", help="Only tensors whose names begin with it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.toml", help="Write the layout, for --layout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the .toml file if it exists.")] = False,
    _max_memory: MaxMemory = None,
    _timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Find how a checkpoint stores a GRU, and what it computes.

    Every layout is tried until one explains a recorded run.
    """
    import grubridge

    Output.as_json = json
    found = grubridge.identify(source, example, stack=stack, out=out, force=force)
    show(found, json=json)
