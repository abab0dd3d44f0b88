"""Assembles the command from its subcommands, one file each."""

from __future__ import annotations

from typing import Annotated

import typer

from . import backends, check, convert, doctor, explain, formats, identify, inspect, trace, verify
from .console import end_cleanly_on_truncation, say

app = typer.Typer(
    name="grubridge",
    help="Move GRUs between Keras, PyTorch and ONNX, and prove that they stayed the same function.",
    epilog="Exit codes: 0 equivalent or done, 1 different, 2 could not be done, 3 inconclusive, 70 a defect.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: rich would double the time of --help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("convert")(convert.convert)
app.command("verify")(verify.verify)
app.command("check")(check.check)
app.command("inspect")(inspect.inspect)
app.command("trace")(trace.trace)
app.command("explain")(explain.explain)
app.command("identify")(identify.identify)
app.command("formats")(formats.formats)
app.command("backends")(backends.backends)
app.command("doctor")(doctor.doctor)


def _version(value: bool) -> None:
    if value:
        from grubridge import __version__

        say(f"grubridge {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version  # the callback has done its work
    end_cleanly_on_truncation()
