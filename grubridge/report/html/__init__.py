"""A check, a trace and a suite as one self-contained HTML page each; and fragments of them for notebooks."""

from .check import check_fragment, render_check
from .suite import render_suite, suite_fragment
from .trace import render_trace, trace_fragment

__all__ = [
    "check_fragment",
    "render_check",
    "render_suite",
    "render_trace",
    "suite_fragment",
    "trace_fragment",
]
