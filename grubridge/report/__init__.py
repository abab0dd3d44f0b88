"""Results as text for people and as JSON values for programs: pure functions, one module per result."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

__all__ = ["render", "to_json"]

Form = Literal["text", "markdown", "latex"]

_MODULES = {
    "BackendTable": "backends",
    "CheckReport": "check",
    "Conversion": "conversion",
    "Explanation": "explanation",
    "FormatTable": "formats",
    "Identification": "identification",
    "Inspection": "inspection",
    "TracedModel": "trace",
}


def render(result: object, form: Form = "text") -> str:
    """Return a result in words, ending in a newline.

    Args:
        result: a CheckReport, Conversion, Explanation, Identification, Inspection, TracedModel, FormatTable or
            BackendTable.
        form: "text"; of an Explanation also "markdown" and "latex".

    Raises:
        ValueError: when the result has no such form.
    """
    module = import_module(f"{__name__}.{_MODULES[type(result).__name__]}")
    forms = {"text": "render", "markdown": "markdown", "latex": "latex"}
    if not hasattr(module, forms.get(form, "")):
        raise ValueError(f"a {type(result).__name__} has no form {form!r}")
    text: str = getattr(module, forms[form])(result)
    return text


def to_json(result: object) -> dict[str, Any]:
    """Return a result as JSON values, with its `schema_version`.

    Args:
        result: a CheckReport, Conversion, Explanation, Identification, Inspection, TracedModel, FormatTable or
            BackendTable.
    """
    values: dict[str, Any] = import_module(f"{__name__}.{_MODULES[type(result).__name__]}").to_json(result)
    return {"schema_version": 1, **values}
