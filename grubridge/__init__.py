"""grubridge: move GRUs between Keras, PyTorch and ONNX, and prove that they stayed the same function.

The public names are imported when they are first used, so that `import grubridge` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grubridge.backends.table import backend_table
    from grubridge.checker.findings import Tolerance
    from grubridge.checker.result import CheckReport
    from grubridge.checker.verdict import Verdict
    from grubridge.conversion import Conversion, convert, convert_all, read, write
    from grubridge.doctor.examination import Examination, examine
    from grubridge.errors import (
        BackendError,
        CannotRunError,
        CorruptFileError,
        DeviceError,
        FileFormatError,
        GRUBridgeError,
        IdentificationError,
        InvalidSpecError,
        LayoutError,
        ManifestError,
        MissingDependencyError,
        ProbeError,
        StackSelectionError,
        TargetError,
        UnknownFormatError,
        UnsafeFileError,
        UnsupportedFeatureError,
    )
    from grubridge.explanation.explaining import Explanation, explain
    from grubridge.files.limits import Limits, limits
    from grubridge.files.text import inert_lines
    from grubridge.files.truncation import end_on_truncation
    from grubridge.formats.base import ReadHints, WriteOptions
    from grubridge.formats.registry import is_model_name
    from grubridge.formats.table import format_table
    from grubridge.identification.identify import identify
    from grubridge.identification.result import Identification
    from grubridge.inspection import Inspection, inspect, list_stacks
    from grubridge.live.keras import from_layer, to_layer
    from grubridge.live.onnx import from_model, to_model
    from grubridge.live.pytorch import from_module, to_module
    from grubridge.mending import Mended, mend
    from grubridge.report import render, to_json
    from grubridge.report.saving import save_report
    from grubridge.spec import GRUSpec
    from grubridge.suite.reading import manifest_files
    from grubridge.suite.result import PairResult, SuiteReport
    from grubridge.suite.run import check
    from grubridge.tracing import TracedModel, trace
    from grubridge.verification import verify, verify_conversion
    from grubridge.version import __version__ as __version__

_HOMES = {
    "BackendError": "errors",
    "CannotRunError": "errors",
    "CheckReport": "checker.result",
    "Conversion": "conversion",
    "CorruptFileError": "errors",
    "DeviceError": "errors",
    "Examination": "doctor.examination",
    "Explanation": "explanation.explaining",
    "FileFormatError": "errors",
    "GRUBridgeError": "errors",
    "GRUSpec": "spec",
    "Identification": "identification.result",
    "IdentificationError": "errors",
    "Inspection": "inspection",
    "InvalidSpecError": "errors",
    "LayoutError": "errors",
    "Limits": "files.limits",
    "ManifestError": "errors",
    "Mended": "mending",
    "MissingDependencyError": "errors",
    "PairResult": "suite.result",
    "ProbeError": "errors",
    "ReadHints": "formats.base",
    "StackSelectionError": "errors",
    "SuiteReport": "suite.result",
    "TargetError": "errors",
    "Tolerance": "checker.findings",
    "TracedModel": "tracing",
    "UnknownFormatError": "errors",
    "UnsafeFileError": "errors",
    "UnsupportedFeatureError": "errors",
    "Verdict": "checker.verdict",
    "WriteOptions": "formats.base",
    "__version__": "version",
    "backend_table": "backends.table",
    "check": "suite.run",
    "convert": "conversion",
    "convert_all": "conversion",
    "end_on_truncation": "files.truncation",
    "examine": "doctor.examination",
    "explain": "explanation.explaining",
    "format_table": "formats.table",
    "from_layer": "live.keras",
    "from_model": "live.onnx",
    "from_module": "live.pytorch",
    "identify": "identification.identify",
    "inert_lines": "files.text",
    "inspect": "inspection",
    "is_model_name": "formats.registry",
    "limits": "files.limits",
    "list_stacks": "inspection",
    "manifest_files": "suite.reading",
    "mend": "mending",
    "read": "conversion",
    "render": "report",
    "save_report": "report.saving",
    "to_json": "report",
    "to_layer": "live.keras",
    "to_model": "live.onnx",
    "to_module": "live.pytorch",
    "trace": "tracing",
    "verify": "verification",
    "verify_conversion": "verification",
    "write": "conversion",
}

__all__ = [
    "BackendError",
    "CannotRunError",
    "CheckReport",
    "Conversion",
    "CorruptFileError",
    "DeviceError",
    "Examination",
    "Explanation",
    "FileFormatError",
    "GRUBridgeError",
    "GRUSpec",
    "Identification",
    "IdentificationError",
    "Inspection",
    "InvalidSpecError",
    "LayoutError",
    "Limits",
    "ManifestError",
    "Mended",
    "MissingDependencyError",
    "PairResult",
    "ProbeError",
    "ReadHints",
    "StackSelectionError",
    "SuiteReport",
    "TargetError",
    "Tolerance",
    "TracedModel",
    "UnknownFormatError",
    "UnsafeFileError",
    "UnsupportedFeatureError",
    "Verdict",
    "WriteOptions",
    "backend_table",
    "check",
    "convert",
    "convert_all",
    "end_on_truncation",
    "examine",
    "explain",
    "format_table",
    "from_layer",
    "from_model",
    "from_module",
    "identify",
    "inert_lines",
    "inspect",
    "is_model_name",
    "limits",
    "list_stacks",
    "manifest_files",
    "mend",
    "read",
    "render",
    "save_report",
    "to_json",
    "to_layer",
    "to_model",
    "to_module",
    "trace",
    "verify",
    "verify_conversion",
    "write",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
