"""A manifest out of a TOML file: strictly checked, with the line of what is wrong."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from grubridge.errors import ManifestError
from grubridge.files.plain_data import Key, field_names
from grubridge.files.text import quoted
from grubridge.files.toml_data import Limits, TomlFile, read_toml

from .manifest import Manifest, Pair
from .settings import Folder, data, settings

__all__ = ["NAME", "SHARED", "find_manifest", "manifest_files", "read_manifest"]

NAME = "grubridge.toml"

SHARED = frozenset(("inputs", "backends", "device", "allow_tf32", "tolerance", "timeout"))
"""What [defaults] may say."""

_PYPROJECT = "pyproject.toml"
_SECTION = ("tool", "grubridge")
_LIMITS = Limits(4 << 20, 100_000, "a manifest takes a few lines for each pair")
_VERSION = 1
_OWN = field_names(Pair) - {"folder", "line"} | {"a", "b"}
_HEADING = re.compile(
    r"^[ \t]*\[\[[ \t]*(tool[ \t]*\.[ \t]*grubridge[ \t]*\.[ \t]*)?pair[ \t]*\]\]", re.MULTILINE
)


def find_manifest(folder: Path) -> Path:
    """Return the manifest of a folder: its grubridge.toml, or a pyproject.toml with [tool.grubridge].

    Raises:
        ManifestError: when there is neither.
    """
    own, shared = folder / NAME, folder / _PYPROJECT
    if own.exists():
        return own
    if shared.exists():
        tool = read_toml(shared, _LIMITS, ManifestError).values.get("tool")
        if isinstance(tool, dict) and "grubridge" in tool:
            return shared
    raise ManifestError(
        f"there is no {NAME} here, and no {_PYPROJECT} with [tool.grubridge]; write one: "
        'version = 1, and for each pair [[pair]] and artifacts = ["model.keras", "model.onnx"]'
    )


def manifest_files(manifest: Path | str | None = None) -> list[Path]:
    """Return every file that a manifest names, by pairs.

    Args:
        manifest: the file; None for grubridge.toml here, or pyproject.toml with [tool.grubridge].

    Raises:
        FileFormatError: as `read_manifest`.
        ManifestError: likewise, and when there is none here.
    """
    read = read_manifest(find_manifest(Path()) if manifest is None else Path(manifest))
    return [pair.path(name) for pair in read.pairs for name in pair.files()]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        FileFormatError: when the file cannot be opened, or is too large.
        ManifestError: when it is no manifest; the message says file, line and key.
    """
    file = read_toml(path, _LIMITS, ManifestError)
    try:
        return _manifest(file)
    except ManifestError as wrong:
        raise file.located(wrong) from None


def _manifest(file: TomlFile) -> Manifest:
    section = _SECTION if file.path.name == _PYPROJECT else ()
    values: Any = file.values
    for depth, name in enumerate(section):
        values = data.table(values, section[:depth], required=(name,))[name]
    table = data.table(values, section, ("version", "allow_outside", "defaults", "pair"), ("version",))
    if data.typed(table["version"], (*section, "version"), int) != _VERSION:
        raise ManifestError(
            f"this grubridge reads version {_VERSION}; received {table['version']}", (*section, "version")
        )
    allow_outside = data.typed(table.get("allow_outside", False), (*section, "allow_outside"), bool)
    folder = Folder(file.path.parent, allow_outside=allow_outside)
    shared = data.table(table.get("defaults", {}), (*section, "defaults"), SHARED)
    defaults = settings(shared, (*section, "defaults"), SHARED, folder)
    given = table.get("pair", [])
    if isinstance(given, dict):
        raise ManifestError("pairs are an array of tables: write [[pair]], not [pair]", (*section, "pair"))
    data.typed(given, (*section, "pair"), list)
    lines = _lines(file.text, len(given))
    pairs: dict[str, Pair] = {}
    for index, value in enumerate(given):
        key = (*section, "pair", index)
        own = _pair(value, key, folder)
        if own["name"] in pairs:
            raise ManifestError(
                f"another pair is called {quoted(own['name'])} too; give each a name of its own", key
            )
        pairs[own["name"]] = Pair(**{**defaults, **own}, folder=file.path.parent, line=lines[index])
    return Manifest(file.path, tuple(pairs.values()))


def _lines(text: str, count: int) -> list[int | None]:
    """Return the line of every pair; None where headings do not tell, as inside texts of several lines."""
    found = [text.count("\n", 0, heading.start()) + 1 for heading in _HEADING.finditer(text)]
    return [*found] if len(found) == count else [None] * count


def _pair(value: object, key: Key, folder: Folder) -> dict[str, Any]:
    """Return what a pair says of itself, its name among it."""
    own = settings(data.table(value, key, _OWN), key, _OWN, folder)
    if "artifacts" in own:
        for other in ("a", "b"):
            if other in own:
                raise ManifestError("artifacts lists all files: leave out a and b", (*key, other))
    else:
        data.table(own, key, required=("a", "b") if {"a", "b"} & own.keys() else ("artifacts",))
        own["artifacts"] = own.pop("a"), own.pop("b")
        if len(set(map(posixpath.normpath, own["artifacts"]))) == 1:
            raise ManifestError("a and b are the same file", (*key, "b"))
    if own.keys() >= {"stack", "map"}:
        raise ManifestError("map pairs GRUs by name, and takes the place of stack", (*key, "map"))
    return {"name": _usual_name(own["artifacts"]), **own}


def _usual_name(artifacts: Sequence[str]) -> str:
    """Return a name in the shell's way: models/kws.{keras,onnx} where only the endings differ."""
    paths = [PurePosixPath(artifact) for artifact in artifacts]
    stems = {str(path.with_suffix("")) for path in paths if path.name}
    endings = [path.suffix[1:] for path in paths]
    if len(stems) == 1 and len(paths) > 1 and all(endings):
        return f"{stems.pop()}.{{{','.join(endings)}}}"
    return ", ".join(artifacts)
