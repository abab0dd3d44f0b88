"""grubridge trace: what the gates of a trained model do over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import Output, show
from .options import (
    Batch,
    Candidate,
    Device,
    Gates,
    Inputs,
    Json,
    Layout,
    ResetAfter,
    Seed,
    Source,
    Stack,
    Steps,
    numbers,
)


def trace(
    source: Source,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="An .npz file for the gates and states, [B, T, H] each."),
    ] = None,
    stack: Stack = None,
    inputs: Inputs = None,
    seed: Seed = 0,
    batch: Batch = 4,
    steps: Steps = 24,
    lengths: Annotated[
        str | None,
        typer.Option("--lengths", metavar="N,N,...", help="Valid steps of each sequence [default: all]"),
    ] = None,
    unit: Annotated[
        int | None, typer.Option("--unit", min=0, help="Show one hidden unit instead of their mean.")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend", metavar="NAME", help="Another runtime, or reference: the float64 equations."
        ),
    ] = None,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace the .npz file if it exists.")] = False,
    activation: Candidate = None,
    recurrent_activation: Gates = None,
    reset_after: ResetAfter = None,
    layout: Layout = None,
    json: Json = False,
) -> None:
    """Run a trained GRU and show its gates over time.

    The model runs unchanged in its own framework; a cell with --layout is computed as that describes it.
    """
    import grubridge

    Output.as_json = json
    traced = grubridge.trace(
        source,
        inputs,
        stack=stack,
        backend=backend,
        device=device,
        seed=seed,
        batch=batch,
        steps=steps,
        lengths=numbers(lengths),
        hints=grubridge.ReadHints(activation, recurrent_activation, reset_after, layout),
        out=out,
        force=force,
    )
    show(traced if unit is None else traced.of_unit(unit), json=json)
