"""Results as text for people and as JSON values for programs: pure functions, one module per result."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["render", "to_json"]

_MODULES = {
    "BackendTable": "backends",
    "CheckReport": "check",
    "Conversion": "conversion",
    "FormatTable": "formats",
    "Inspection": "inspection",
    "TracedModel": "trace",
}


def render(result: object) -> str:
    """Return the text of a result, ending in a newline.

    Args:
        result: a CheckReport, Conversion, Inspection, TracedModel, FormatTable or BackendTable.
    """
    text: str = import_module(f"{__name__}.{_MODULES[type(result).__name__]}").render(result)
    return text


def to_json(result: object) -> dict[str, Any]:
    """Return a result as JSON values, with its `schema_version`.

    Args:
        result: a CheckReport, Conversion, Inspection, TracedModel, FormatTable or BackendTable.
    """
    values: dict[str, Any] = import_module(f"{__name__}.{_MODULES[type(result).__name__]}").to_json(result)
    return {"schema_version": 1, **values}
