"""grubridge verify: are these files the same function?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import exit_code, highlighted, say, say_json, tell
from .options import (
    AllowTF32,
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
    Stack,
    Steps,
    Timeout,
    numbers,
)
from .outputs import Formats, Html, OutputFile, outputs


def verify(
    artifacts: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", readable=False, help="Two files or more; or one, through every runtime."
        ),
    ],
    stack: Stack = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="A=B", help="GRU A of the first file is GRU B of the others."),
    ] = None,
    inputs: Inputs = None,
    seed: Seed = 0,
    batch: Batch = 4,
    steps: Steps = 24,
    lengths: Annotated[
        str | None,
        typer.Option("--lengths", metavar="N,N,...", help="Valid steps of each sequence [default: unequal]"),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option("--backend", metavar="NAME", help="Only these runtimes; see grubridge backends."),
    ] = None,
    device: Device = "auto",
    atol: Annotated[
        float | None,
        typer.Option("--atol", help="A tolerance of your own, absolute; it then decides, not the bound."),
    ] = None,
    rtol: Annotated[float | None, typer.Option("--rtol", help="Likewise, relative.")] = None,
    allow_tf32: AllowTF32 = False,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", metavar="NEW", help="Write the second file as it should be, and verify that."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With --fix: replace NEW if it exists.")] = False,
    activation: Candidate = None,
    recurrent_activation: Gates = None,
    reset_after: ResetAfter = None,
    layout: Layout = None,
    skip_unsafe: SkipUnsafe = False,
    example: Annotated[
        Path | None,
        typer.Option("--example", metavar="FILE", help="A recorded run of your own code: .npz of x, hidden."),
    ] = None,
    formats: Formats = None,
    output: OutputFile = None,
    html: Html = None,
    _max_memory: MaxMemory = None,
    _timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Run files and say whether they are the same GRU.

    Each runs in its own framework, all on the same inputs; a cell of your own runs as its --layout describes
    it, and --example holds a run of your code against it.
    """
    import grubridge

    read = [*artifacts, *(path for path in (inputs, example) if path is not None)]
    wanted = outputs(formats, output, json=json, html=html, read=read)
    if fix is not None and (wanted.printed not in {"text", "json"} or output is not None or wanted.files):
        raise typer.BadParameter("--fix prints text or JSON; other forms and files are for a check of NEW")
    if force and fix is None:
        raise typer.BadParameter("--force is for --fix NEW; a report is replaced without it")
    if fix is not None and fix.exists() and not force:
        raise typer.BadParameter(f"--fix: {fix} exists; choose another name, or replace it with --force")
    hints = grubridge.ReadHints(activation, recurrent_activation, reset_after, layout, skip_unsafe)
    mapping, valid_steps = dict(_pair(pair) for pair in pairs or ()), numbers(lengths)
    with wanted.even_of_trouble(artifacts):
        tolerance = None if atol is None and rtol is None else grubridge.Tolerance(atol or 0.0, rtol or 0.0)
        report = grubridge.verify(
            *artifacts,
            stack=stack,
            mapping=mapping,
            inputs=inputs,
            seed=seed,
            batch=batch,
            steps=steps,
            lengths=valid_steps,
            backends=tuple(backend) if backend else None,
            device=device,
            allow_tf32=allow_tf32,
            tolerance=tolerance,
            hints=hints,
            example=example,
            keep_pictures="html" in wanted,
        )
    if fix is None or report.by_the_bound is grubridge.Verdict.EQUIVALENT:
        wanted.write(report)
        if fix is not None:
            tell(f"--fix: there is nothing to mend; {fix} was not written")
        raise typer.Exit(exit_code(report.verdict))
    if wanted.printed == "text":
        wanted.write(report)  # a refusal to mend must not hide what was found
    mended = grubridge.mend(report, fix, force=force, hints=hints)
    if wanted.printed == "json":
        parts = {"conversion": mended.conversion, "verification": mended.check}
        document = {name: grubridge.to_json(part) for name, part in parts.items()}
        say_json({**grubridge.to_json(report), "fix": document})
    else:
        say(highlighted(f"\n{grubridge.render(mended.conversion)}\n{grubridge.render(mended.check)}"))
    raise typer.Exit(exit_code(mended.check.verdict))


def _pair(text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise typer.BadParameter(f"--map expects A=B, two names of GRUs; received {text!r}")
    return left, right
