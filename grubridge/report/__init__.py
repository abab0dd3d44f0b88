"""Results as text for people and as JSON values for programs: pure functions, one module per result."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any, Literal

from grubridge.files.text import inert_lines, printable_lines

__all__ = ["Form", "render", "to_json"]

Form = Literal["text", "markdown", "latex", "junit", "github", "html"]

_MODULES = {
    "BackendTable": "backends",
    "CheckReport": "check",
    "Conversion": "conversion",
    "Examination": "doctor",
    "Explanation": "explanation",
    "FormatTable": "formats",
    "Identification": "identification",
    "Inspection": "inspection",
    "SuiteReport": "suite",
    "TracedModel": "trace",
}


def render(result: object, form: Form = "text") -> str:
    """Return a result in a form that people or other programs read, ending in a newline.

    Whatever stands in it, a terminal or a CI log has nothing to obey: odd characters are escaped.

    Args:
        result: a CheckReport, SuiteReport, Conversion, Explanation, Identification, Inspection, TracedModel,
            FormatTable or BackendTable.
        form: "text"; of an Explanation also "markdown" and "latex"; of a CheckReport and a SuiteReport also
            "markdown", "junit", "github" (workflow commands) and "html"; of a TracedModel also "html".

    Raises:
        ValueError: when the result has no such form.
    """
    module = import_module(f"{__name__}.{_MODULES[type(result).__name__]}")
    written_by = "render" if form == "text" else form
    if written_by not in module.__all__:
        raise ValueError(f"a {type(result).__name__} has no form {form!r}")
    text: str = getattr(module, written_by)(result)
    return inert_lines(text) if form in {"text", "markdown"} else printable_lines(text)


def to_json(result: object) -> dict[str, Any]:
    """Return a result as JSON values, with its `schema_version`; what is not a finite number is null.

    Args:
        result: a CheckReport, SuiteReport, Conversion, Explanation, Identification, Inspection, TracedModel,
            FormatTable or BackendTable.
    """
    values: dict[str, Any] = import_module(f"{__name__}.{_MODULES[type(result).__name__]}").to_json(result)
    return {"schema_version": 1, **_finite(values)}


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON values
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
