"""The examination of an installation, to paste into a bug report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from grubridge.doctor.examination import CacheUse, Examination

from .wrapping import in_columns

__all__ = ["render", "to_json"]


def to_json(examination: Examination) -> dict[str, Any]:
    """Return the examination as JSON values. What is absent is null, or an empty version."""
    rows = examination.runtimes
    return {
        "grubridge": examination.version,
        "machine": asdict(examination.machine),
        "packages": [asdict(package) for package in examination.packages],
        "runtimes": None if rows is None else [asdict(row) for row in rows],
        "cache": None if examination.cache is None else asdict(examination.cache),
        "problems": [asdict(problem) for problem in examination.problems],
    }


def render(examination: Examination) -> str:
    """Return the examination as text; what is broken, and what to do, comes last."""
    machine = examination.machine
    memory = "unknown" if machine.memory is None else f"{machine.memory / 2**30:.1f} GiB"
    lines = [
        f"grubridge {examination.version}, {machine.python}",
        machine.system,
        f"processors: {machine.processors}; memory: {memory}",
        f"cache: {_cache(examination.cache)}",
        *(f"{name}={value}" for name, value in machine.variables.items()),
        "",
        *_packages(examination),
        *_runtimes(examination),
        *_problems(examination),
    ]
    return "\n".join(lines) + "\n"


def _cache(cache: CacheUse | None) -> str:
    if cache is None:
        return "none"
    cannot = "" if cache.writable else "; it cannot be written, so every run measures anew"
    return f"{cache.folder}, {cache.files} measurements, {cache.size / 2**10:.1f} KiB{cannot}"


def _packages(examination: Examination) -> Iterator[str]:
    rows = [
        (package.name, package.version or "not installed", package.wanted, package.extra or "-")
        for package in examination.packages
    ]
    yield from in_columns([("package", "version", "wanted", "extra"), *rows])
    yield ""


def _runtimes(examination: Examination) -> Iterator[str]:
    if examination.runtimes is None:
        yield from ("runtimes: not started", "")
        return
    rows = [
        (row.name, row.version or "not installed", " ".join(row.devices) or "-")
        for row in examination.runtimes
    ]
    yield from in_columns([("runtime", "version", "devices"), *rows])
    yield ""


def _problems(examination: Examination) -> Iterator[str]:
    if not examination.problems:
        yield "nothing that is installed is broken"
        return
    yield "broken:"
    for problem in examination.problems:
        first, *rest = problem.words.splitlines()
        yield f"- {problem.what}: {first}"
        yield from (f"  {line.strip()}" for line in rest)
        yield f"  {problem.remedy}"
