"""The story of a suite: manifest read, pairs selected, answered from the lock or checked, lock written."""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from grubridge.backends.registry import BACKENDS, available
from grubridge.errors import ManifestError
from grubridge.files.limits import current
from grubridge.version import __version__

from .keeping import Keeper
from .manifest import Pair
from .pair import Way
from .reading import find_manifest, read_manifest
from .result import PairResult, SuiteReport, worst_first
from .select import selector
from .workers import check_all, check_here, processors

__all__ = ["Progress", "check"]

Progress = Callable[[PairResult, int, int], object]
"""Called with every result as it comes, how many there are by then, and how many there will be."""


def check(  # noqa: PLR0913 - the options of one command
    manifest: Path | str | None = None,
    *,
    select: str | None = None,
    jobs: int | None = None,
    backends: Sequence[str] | None = None,
    device: str | None = None,
    weights_only: bool = False,
    locked: bool = False,
    use_lock: bool = True,
    scheduler: str | None = None,
    keep_pictures: bool = False,
    progress: Progress | None = None,
) -> SuiteReport:
    """Check every pair of a manifest. What cannot be checked is trouble, and never stops the others.

    What was found is kept in grubridge.lock.json beside the manifest. A pair of which nothing has changed
    since, neither files nor settings nor versions, is answered from it, unless that answer is a failure. What
    `backends`, `device` and `weights_only` ask for is not what the manifest says: with them, the lock is
    neither asked nor written.

    Args:
        manifest: the file; None for grubridge.toml here, or pyproject.toml with [tool.grubridge].
        select: only these pairs: words of their names with and, or, not and parentheses.
        jobs: how many pairs at once; None for as many as there are processors.
        backends: only these runtimes, whatever the manifest says.
        device: "auto", "cpu", "cuda" or "cuda:N", likewise.
        weights_only: compare the numbers of the files, and run nothing.
        locked: leave the lock as it is; a pair for which it is out of date is trouble.
        use_lock: whether the lock may answer.
        scheduler: the address of a Dask scheduler, whose workers then check the pairs.
        keep_pictures: keep what an HTML page shows beyond the reports.
        progress: called with every result as it comes.

    Raises:
        ManifestError: when the manifest, the lock or `select` is wrong, or options contradict each other.
        FileFormatError: when the manifest or the lock cannot be opened.
        MissingDependencyError: when a scheduler is named and distributed is not installed.
        BackendError: when no scheduler answers.
    """
    own = backends is None and device is None and not weights_only
    if locked and not own:
        raise ManifestError("a lock is of runs as the manifest has them: leave out what changes them")
    if jobs is not None and jobs < 1:
        raise ManifestError(f"jobs must be 1 or more; received {jobs}")
    path = find_manifest(Path()) if manifest is None else Path(manifest)
    read = read_manifest(path).overridden(None if backends is None else tuple(backends), device)
    chosen, warnings = _chosen(read.pairs, select, weights_only=weights_only)
    keeper = Keeper(read, locked=locked, use_lock=use_lock) if own else None
    found: list[PairResult] = []
    way = Way(weights_only, keep_pictures, current())
    with closing(_results(chosen, keeper, way, jobs, scheduler)) as results:
        for result in results:
            found.append(result)
            if progress is not None:
                progress(result, len(found), len(chosen))
    warnings += [] if keeper is None else keeper.close()
    left_out = len(read.pairs) - len(chosen)
    places = {pair.name: place for place, pair in enumerate(chosen)}
    found.sort(key=lambda result: places[result.name])  # they came as they were ready
    return SuiteReport(str(path), worst_first(found), _environment(), left_out, tuple(warnings))


def _chosen(pairs: Sequence[Pair], select: str | None, *, weights_only: bool) -> tuple[list[Pair], list[str]]:
    """Return the pairs that are meant, and what the user should know of the others."""
    chooses = selector(select) if select is not None else lambda name: True
    chosen = [pair for pair in pairs if chooses(pair.name)]
    compared = [pair for pair in chosen if not weights_only or len(pair.artifacts) > 1]
    alone = len(chosen) - len(compared)
    warning = f"{alone} of one file alone: without running it, there is nothing to compare it with"
    return compared, [warning] if alone else []


def _results(
    pairs: Sequence[Pair], keeper: Keeper | None, way: Way, jobs: int | None, scheduler: str | None
) -> Generator[PairResult]:
    """Yield the result of every pair as it comes."""
    rest: list[Pair] = []
    for pair in pairs:
        answer = None if keeper is None else keeper.answer(pair)
        if answer is None:
            rest.append(pair)
        else:
            yield answer
    if scheduler is not None and rest:
        from .scheduler import check_on_cluster

        checked = check_on_cluster(rest, scheduler, partial(check_here, way=way))
    else:
        # numbers are compared sooner than a second process could be started
        checked = check_all(rest, way, jobs or (1 if way.weights_only else processors()))
    with closing(checked):  # and so its processes, whatever happens here and where the results go
        for result in checked:
            yield result if keeper is None else keeper.learn(result)


def _environment() -> dict[str, str]:
    runtimes: dict[str, Any] = {
        name: import_module(entry.module) for name, entry in BACKENDS.items() if available(name)
    }
    return {
        "grubridge": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        **{name: backend.version() for name, backend in runtimes.items()},
        "platform": f"{platform.system()} {platform.machine()}".lower(),
    }
