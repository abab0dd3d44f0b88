"""grubridge convert: one GRU, or all of them, into another format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .console import Output, exit_code, highlighted, say, say_json
from .options import (
    Candidate,
    From,
    Gates,
    Json,
    Layout,
    MaxMemory,
    ResetAfter,
    SkipUnsafe,
    Source,
    Stack,
    Timeout,
)


def convert(
    source: Source,
    target: Annotated[Path, typer.Argument(metavar="DST", help="The new file; with --all, a folder.")],
    stack: Stack = None,
    all_stacks: Annotated[
        bool, typer.Option("--all", help="Every GRU of the file, each into a file of its own; needs --to.")
    ] = False,
    from_format: From = None,
    to_format: Annotated[
        str | None, typer.Option("--to", metavar="FORMAT", help="The target's format [default: its ending]")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype", metavar="DTYPE", help="float16, bfloat16, float32, float64 [default: as stored]"
        ),
    ] = None,
    saturate: Annotated[
        bool, typer.Option("--saturate", help="A bias holds each gate that the cell of SRC lacks.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the target if it exists.")] = False,
    check: Annotated[
        bool, typer.Option("--verify", help="Then run both files in their frameworks and compare them.")
    ] = False,
    opset: Annotated[int | None, typer.Option("--opset", help="ONNX: the opset [default: 17]")] = None,
    with_state: Annotated[
        bool, typer.Option("--with-state", help="ONNX: an initial_state input [L*D, batch, H].")
    ] = False,
    with_gates: Annotated[
        bool, typer.Option("--with-gates", help="ONNX: the gates of every layer as further outputs.")
    ] = False,
    time_major: Annotated[
        bool, typer.Option("--time-major", help="ONNX: x and y are [time, batch, *].")
    ] = False,
    activation: Candidate = None,
    recurrent_activation: Gates = None,
    reset_after: ResetAfter = None,
    layout: Layout = None,
    skip_unsafe: SkipUnsafe = False,
    to_layout: Annotated[
        str | None,
        typer.Option(
            "--to-layout", metavar="NAME|FILE", help="pytorch and safetensors: the layout of the tensors."
        ),
    ] = None,
    _max_memory: MaxMemory = None,
    _timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Convert a GRU into another format.

    Every tensor is accounted for, and the file is read back.
    """
    if not check:
        # a conversion multiplies nothing, and threads of BLAS would spin on the cores that copy
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import grubridge

    Output.as_json = json
    if all_stacks and (stack is not None or to_format is None):
        raise typer.BadParameter("--all converts every GRU of SRC and needs --to FORMAT; it takes no --stack")
    hints = grubridge.ReadHints(activation, recurrent_activation, reset_after, layout, skip_unsafe)
    options = grubridge.WriteOptions(opset, with_state, with_gates, time_major, to_layout)
    if to_format is not None and all_stacks:
        made = grubridge.convert_all(
            source,
            target,
            to_format=to_format,
            from_format=from_format,
            dtype=dtype,
            force=force,
            hints=hints,
            options=options,
            saturate=saturate,
        )
    else:
        one = grubridge.convert(
            source,
            target,
            stack=stack,
            from_format=from_format,
            to_format=to_format,
            dtype=dtype,
            force=force,
            hints=hints,
            options=options,
            saturate=saturate,
        )
        made = (one,)
    reports = [grubridge.verify_conversion(one, hints=hints) for one in made] if check else []
    if json:
        documents = [grubridge.to_json(one) for one in made]
        for document, report in zip(documents, reports, strict=False):
            document["verification"] = grubridge.to_json(report)
        say_json({"schema_version": 1, "conversions": documents} if all_stacks else documents[0])
    else:
        say(highlighted("\n".join(map(grubridge.render, [*made, *reports]))))
    if reports:
        raise typer.Exit(max(exit_code(report.verdict) for report in reports))
