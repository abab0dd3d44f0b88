"""A suite as JSON values, which change where a result does: no times, and pairs in the order of their names.

`schema.json` beside this module describes them.
"""

from __future__ import annotations

from typing import Any

from grubridge.files.text import natural_order
from grubridge.report.check import values
from grubridge.suite.result import PairResult, SuiteReport

__all__ = ["to_json"]


def to_json(report: SuiteReport) -> dict[str, Any]:
    """Return a suite as JSON values; some may not be finite."""
    return {
        "outcome": report.outcome,
        "manifest": report.manifest,
        "counts": dict(report.counts),
        "deselected": report.deselected,
        "warnings": list(report.warnings),
        "pairs": [_pair(one) for one in sorted(report.results, key=lambda one: natural_order(one.name))],
        "environment": {name: report.environment[name] for name in sorted(report.environment)},
    }


def _pair(result: PairResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "artifacts": list(result.artifacts),
        "line": result.line,
        "status": result.status,
        "headroom": result.headroom,
        "cause": result.cause,
        "trouble": result.trouble,
        "xfail": result.reason,
        "locked": result.locked,
        "warnings": list(result.warnings),
        "check": None if result.report is None else values.to_json(result.report),
    }
