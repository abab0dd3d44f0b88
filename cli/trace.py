"""grubridge trace: what the gates of a trained model do over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    Batch,
    Candidate,
    Device,
    Gates,
    Inputs,
    Json,
    Layout,
    MaxMemory,
    ResetAfter,
    Seed,
    SkipUnsafe,
    Source,
    Stack,
    Steps,
    Timeout,
    numbers,
)
from .outputs import outputs


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
    skip_unsafe: SkipUnsafe = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="A page with pictures; an old one is replaced."),
    ] = None,
    _max_memory: MaxMemory = None,
    _timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Run a trained GRU and show its gates over time.

    The model runs unchanged in its own framework; a cell with --layout is computed as that describes it.
    """
    import grubridge

    wanted = outputs(None, json=json, html=html, read=[path for path in (source, inputs) if path is not None])
    if html is not None and html == out:
        raise typer.BadParameter(f"--out and --html both name {html}; give each a file of its own")
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
        hints=grubridge.ReadHints(activation, recurrent_activation, reset_after, layout, skip_unsafe),
        out=out,
        force=force,
    )
    wanted.write(traced if unit is None else traced.of_unit(unit))
