"""grubridge check: every pair of a manifest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json, MaxMemory, Timeout
from .outputs import Formats, Html, OutputFile, outputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from grubridge import PairResult

_EXIT_CODES = {"passed": 0, "different": 1, "trouble": 2, "inconclusive": 3}


def check(
    manifest: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="[default: grubridge.toml, or pyproject.toml]"),
    ] = None,
    select: Annotated[
        str | None, typer.Option("-k", metavar="EXPR", help='Only these pairs: "kws and not onnx".')
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", min=1, help="Pairs at once [default: all processors]"),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="A Dask scheduler, whose workers check them."),
    ] = None,
    weights_only: Annotated[
        bool, typer.Option("--weights-only", help="Compare the numbers of the files, and run nothing.")
    ] = False,
    locked: Annotated[
        bool, typer.Option("--locked", help="Write no lock; fail where the one that is there is out of date.")
    ] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Check what has not changed, too.")] = False,
    backend: Annotated[
        list[str] | None,
        typer.Option("--backend", metavar="NAME", help="Only these runtimes, whatever the manifest says."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N, whatever the manifest says.")
    ] = None,
    formats: Formats = None,
    output: OutputFile = None,
    html: Html = None,
    _max_memory: MaxMemory = None,
    _timeout: Timeout = None,
    json: Json = False,
) -> int:
    """Check every pair of a manifest, in a repository's CI.

    What has not changed since it was checked is answered from grubridge.lock.json.
    """
    import grubridge

    manifests = [manifest] if manifest is not None else [Path("grubridge.toml"), Path("pyproject.toml")]
    lock = manifests[0].parent / "grubridge.lock.json"
    wanted = outputs(formats, output, json=json, html=html, read=(*manifests, lock))
    there = [path for path in manifests if path.exists()] or manifests
    with wanted.even_of_trouble(there[:1]):
        wanted.spare(grubridge.manifest_files(manifest))
        report = grubridge.check(
            manifest,
            select=select,
            jobs=jobs,
            scheduler=scheduler,
            weights_only=weights_only,
            locked=locked,
            use_lock=not no_cache,
            backends=backend or None,
            device=device,
            keep_pictures="html" in wanted,
            progress=_progress(),
        )
    wanted.write(report)
    return _EXIT_CODES[report.outcome]


def _progress() -> Callable[[PairResult, int, int], None] | None:
    """Return what shows on a terminal how far it is; None where nobody watches."""
    if not sys.stderr.isatty():
        return None

    def show(result: PairResult, done: int, total: int) -> None:
        last = result.name.encode("ascii", "replace").decode()[:40]
        line = "" if done == total else f"{done} of {total} pairs; last: {last}, {result.status}"
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()

    return show
