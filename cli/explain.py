"""grubridge explain: the arithmetic of a GRU, for a person with a pencil."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .console import Output, highlighted, say, say_json
from .options import Candidate, Gates, Json, Layout, MaxMemory, ResetAfter, SkipUnsafe, Stack, Timeout


def explain(
    inputs: Annotated[
        str,
        typer.Option(
            "--inputs", metavar="FILE", help="A .csv file with a row a step, .npy, .npz, or numbers: 1,2,9,8."
        ),
    ],
    source: Annotated[
        Path | None, typer.Argument(metavar="[SRC]", help="A model file; or --weights instead.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="FILE", help="A .json file: kernel, recurrent_kernel, bias, ..."),
    ] = None,
    stack: Stack = None,
    layer: Annotated[int, typer.Option("--layer", min=0, help="Which layer of the GRU.")] = 0,
    direction: Annotated[
        Literal["forward", "backward"] | None,
        typer.Option("--direction", help="Which direction [default: forward, where there is one]"),
    ] = None,
    step: Annotated[int | None, typer.Option("--step", min=0, help="One step only [default: all]")] = None,
    unit: Annotated[
        int | None, typer.Option("--unit", min=0, help="One hidden unit only [default: all of up to 4]")
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option("--expect", metavar="VALUE", help="What you expected instead: where does it come from?"),
    ] = None,
    digits: Annotated[
        int, typer.Option("--digits", min=1, max=17, help="Significant digits of every number.")
    ] = 4,
    form: Annotated[
        Literal["text", "markdown", "latex"], typer.Option("--format", help="Of what is printed.")
    ] = "text",
    layout: Layout = None,
    skip_unsafe: SkipUnsafe = False,
    activation: Candidate = None,
    recurrent_activation: Gates = None,
    reset_after: ResetAfter = None,
    _max_memory: MaxMemory = None,
    _timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Work out a GRU on a sequence, with the numbers that it has.

    Step by step and gate by gate, and where an expected value comes from.
    """
    import grubridge

    Output.as_json = json
    model = source if weights is None else weights
    if model is None or (source is not None and weights is not None):
        raise typer.BadParameter("explain takes a model file SRC or --weights FILE.json, one of them")
    if weights is not None and weights.suffix.lower() != ".json":
        raise typer.BadParameter(f"--weights is for a .json file of typed weights; received {weights}")
    story = grubridge.explain(
        model,
        inputs,
        stack=stack,
        layer=layer,
        direction=direction,
        step=step,
        unit=unit,
        expect=expect or (),
        digits=digits,
        hints=grubridge.ReadHints(activation, recurrent_activation, reset_after, layout, skip_unsafe),
    )
    if json:
        say_json(grubridge.to_json(story))
    else:
        say(highlighted(grubridge.render(story, form)))
