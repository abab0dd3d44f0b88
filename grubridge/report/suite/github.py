"""A suite as workflow commands, which GitHub shows as annotations of the job.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands. GitHub keeps ten
annotations of a kind and step and says nothing of the rest, so there are ten, the worst.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import PurePath
from typing import Literal

from grubridge.files.text import printable
from grubridge.suite.result import PairResult, PairStatus, SuiteReport

from .words import NOTHING, counted, headline, named, sentence

__all__ = ["github"]

Level = Literal["error", "warning", "notice"]

_MOST = 10
_LONGEST_PATH = 1000
_IN_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTIES = _IN_DATA | str.maketrans({":": "%3A", ",": "%2C"})
_LEVELS: dict[PairStatus, Level] = {
    "trouble": "error",
    "different": "error",
    "xpassed": "error",
    "inconclusive": "warning",
    "xfailed": "notice",
}


def github(report: SuiteReport) -> str:
    """Return a command on each line, the worst pair first; the tenth stands for all others where more are."""
    found = list(_annotations(report))
    if len(found) > _MOST:
        left = len(found) - _MOST + 1
        said = _command(found[_MOST - 1][0], {"title": f"{left} more"}, counted(report))
        found[_MOST - 1 :] = [(found[_MOST - 1][0], said)]
    return "".join(f"{command}\n" for _, command in found)


def _annotations(report: SuiteReport) -> Iterator[tuple[Level, str]]:
    """The commands with their levels: errors, then warnings, then notices, each worst first."""
    found: list[tuple[Level, str]] = []
    if not report.results:
        found.append(("error", _command("error", {"title": NOTHING}, counted(report))))
    for result in report.results:
        level = _LEVELS.get(result.status)
        if level is not None:
            found.append((level, _of_pair(level, result, headline(result), report.manifest)))
        found += (
            ("warning", _of_pair("warning", result, sentence(warning), report.manifest))
            for warning in result.warnings
        )
    found += (("warning", _command("warning", {}, sentence(warning))) for warning in report.warnings)
    for level in ("error", "warning", "notice"):
        yield from (one for one in found if one[0] == level)


def _of_pair(level: Level, result: PairResult, said: str, manifest: str) -> str:
    title = f"{named(result.name)}: {result.status}"
    files = result.artifacts[1:2] or result.artifacts
    properties = {"title": title}
    if files:
        path = posixpath.normpath((PurePath(manifest).parent / files[0]).as_posix())
        properties = {"file": printable(path, _LONGEST_PATH), "title": title}
    return _command(level, properties, said)


def _command(level: Level, properties: dict[str, str], data: str) -> str:
    """Return a command, escaped as the toolkit of GitHub's own actions escapes."""
    listed = ",".join(f"{name}={_escaped(value, _IN_PROPERTIES)}" for name, value in properties.items())
    return f"::{level}{' ' if listed else ''}{listed}::{_escaped(data)}"


def _escaped(text: str, escapes: dict[int, str] = _IN_DATA) -> str:
    return text.translate(escapes)
