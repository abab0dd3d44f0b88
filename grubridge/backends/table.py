"""The table of runtimes: what is installed, its version, its devices."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from grubridge.errors import GRUBridgeError

from .launch import devices
from .registry import BACKENDS, available, find

__all__ = ["BackendRow", "BackendTable", "backend_table"]


@dataclass(frozen=True)
class BackendRow:
    """One runtime.

    Args:
        name: what --backend calls it.
        version: e.g. "torch 2.13.0"; "" when it is not installed.
        devices: "cpu" and the CUDA devices that it can use; empty when it does not start.
        formats: the formats whose files it opens with its own loader.
        problem: why it cannot be used, and what to do; "" when it can.
    """

    name: str
    version: str
    devices: tuple[str, ...]
    formats: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class BackendTable:
    """Every runtime that grubridge knows, installed or not."""

    rows: tuple[BackendRow, ...]


def backend_table() -> BackendTable:
    """Return the table of runtimes. Each installed one is started to name its devices."""
    offered = devices(list(BACKENDS))
    return BackendTable(tuple(_row(name, offered[name]) for name in BACKENDS))


def _row(name: str, offered: tuple[str, ...] | GRUBridgeError) -> BackendRow:
    entry = find(name)
    module: Any = import_module(entry.module)
    version = module.version() if available(name) else ""
    if isinstance(offered, GRUBridgeError):
        return BackendRow(name, version, (), entry.formats, str(offered))
    return BackendRow(name, version, offered, entry.formats, "")
