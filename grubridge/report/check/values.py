"""A check as JSON values; what is not a finite number is null."""

from __future__ import annotations

import math
from typing import Any

from grubridge.checker.result import CheckReport, Comparison

__all__ = ["to_json"]


def to_json(report: CheckReport) -> dict[str, Any]:
    """Return a check as JSON values; what is not a finite number is null."""
    return {
        "verdict": report.verdict.value,
        "artifacts": [
            {"path": one.path, "format": one.format, "stack": one.stack, "sha256": one.sha256}
            for one in report.artifacts
        ],
        "runs": [
            {
                "artifact": run.artifact,
                "backend": run.backend,
                "version": run.version,
                "device": run.device,
                "dtype": run.dtype,
                "native": run.native,
                "seconds": round(run.seconds, 3),
                "gates": run.gates,
                "notes": list(run.notes),
            }
            for run in report.runs
        ],
        "comparisons": [_comparison(one) for one in report.comparisons],
        "diagnosis": [
            {"cause": one.cause, "detail": one.detail, "edits": list(one.edits)} for one in report.diagnosis
        ],
        "sensitivity": None,
        "drift": [
            {
                "left": str(one.left),
                "right": str(one.right),
                "max_abs": _finite(one.max_abs),
                "layer": one.layer,
                "direction": one.direction,
                "time": one.time,
                "by_step": [_rounded(apart) for apart in one.by_step],
                "horizon": one.horizon,
            }
            for one in report.drift
        ],
        "lyapunov_exponent": report.lyapunov_exponent,
        "tolerance": _tolerance(report),
        "probe": _probe(report),
        "environment": {**report.environment, "left_out": dict(report.left_out)},
    }


def _comparison(one: Comparison) -> dict[str, Any]:
    worst = one.worst
    return {
        "edge": one.edge,
        "left": str(one.left),
        "right": str(one.right),
        "layer": one.layer,
        "direction": one.direction,
        "quantity": one.quantity,
        "verdict": one.verdict.value,
        "max_abs": _finite(one.max_abs),
        "headroom": _finite(one.headroom),
        "certainty": _finite(one.certainty),
        "worst": worst and {"batch": worst.batch, "time": worst.time, "unit": worst.unit},
        "first_bad_time": one.first_bad_time,
    }


def _probe(report: CheckReport) -> dict[str, Any] | None:
    probe = report.probe
    if probe is None:
        return None
    return {
        "origin": probe.origin,
        "batch": probe.batch,
        "steps": probe.steps,
        "lengths": probe.lengths and list(probe.lengths),
        "initial_state": probe.initial_state,
    }


def _tolerance(report: CheckReport) -> dict[str, Any] | None:
    if report.tolerance is None:
        return None
    return {
        "atol": report.tolerance.atol,
        "rtol": report.tolerance.rtol,
        "by_the_bound": report.by_the_bound.value,
        "pairs": [
            {
                "left": str(one.left),
                "right": str(one.right),
                "largest": _finite(one.largest),
                "verdict": one.verdict.value,
            }
            for one in report.tolerated
        ],
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _rounded(number: float) -> float | None:
    """Three digits are enough to draw."""
    return float(f"{number:.3g}") if math.isfinite(number) else None
