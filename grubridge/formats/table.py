"""The table of formats: what can be read and written, straight from the adapters and the shipped layouts."""

from __future__ import annotations

from dataclasses import dataclass

from grubridge.layouts.description import CellLayout
from grubridge.layouts.toml import SHIPPED, load, shipped
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
    """Every format that grubridge reads and writes, and every layout of cells that it knows by name.

    Args:
        rows: the formats.
        layouts: the shipped layouts, by name.
        layout_folder: where their .toml files are, for people who copy one.
    """

    rows: tuple[FormatRow, ...]
    layouts: tuple[CellLayout, ...]
    layout_folder: str


def format_table() -> FormatTable:
    """Return the table of formats."""
    found = (adapter(name) for name in FORMATS)
    rows = tuple(FormatRow(one.NAME, one.SUFFIXES, one.CAPABILITIES) for one in found)
    return FormatTable(rows, tuple(map(load, shipped())), str(SHIPPED))
