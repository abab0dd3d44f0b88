"""The table of formats: what can be read and written, straight from the adapters."""

from __future__ import annotations

from dataclasses import dataclass

from grubridge.spec import Capabilities

from .registry import FORMATS, adapter

__all__ = ["FormatRow", "FormatTable", "format_table"]


@dataclass(frozen=True)
class FormatRow:
    """One format: its name, its file name endings, and what it can hold."""

    name: str
    suffixes: tuple[str, ...]
    capabilities: Capabilities


@dataclass(frozen=True)
class FormatTable:
    """Every format that grubridge reads and writes."""

    rows: tuple[FormatRow, ...]


def format_table() -> FormatTable:
    """Return the table of formats."""
    found = (adapter(name) for name in FORMATS)
    return FormatTable(tuple(FormatRow(one.NAME, one.SUFFIXES, one.CAPABILITIES) for one in found))
