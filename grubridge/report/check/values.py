"""A check as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from grubridge.checker.findings import Comparison, FileProof, Sensing
from grubridge.checker.result import CheckReport
from grubridge.checker.sensitivity import Visibility

__all__ = ["to_json"]


def to_json(report: CheckReport) -> dict[str, Any]:
    """Return a check as JSON values; some may not be finite."""
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
                "kernel": run.kernel,
                "precision": run.precision,
                "gates": run.gates,
                "activation_constants": run.constants or None,
                "notes": list(run.notes),
            }
            for run in report.runs
        ],
        "files": [_proof(one) for one in report.proofs],
        "comparisons": [_comparison(one) for one in report.comparisons],
        "diagnosis": [
            {
                "cause": one.cause,
                "detail": one.detail,
                "edits": list(one.edits),
                "ties": list(one.ties),
                "mend": one.mend or None,
            }
            for one in report.diagnosis
        ],
        "sensitivity": [_sensing(one) for one in report.sensitivity],
        "drift": [
            {
                "left": str(one.left),
                "right": str(one.right),
                "max_abs": one.max_abs,
                "layer": one.layer,
                "direction": one.direction,
                "time": one.time,
                "by_step": [float(f"{apart:.3g}") for apart in one.by_step],  # enough to draw
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
        "max_abs": one.max_abs,
        "headroom": one.headroom,
        "certainty": one.certainty,
        "worst": worst and {"batch": worst.batch, "time": worst.time, "unit": worst.unit},
        "first_bad_time": one.first_bad_time,
        "recomposition": one.recomposition
        and {
            "max_abs": one.recomposition.max_abs,
            "headroom": one.recomposition.headroom,
        },
        "ensemble": one.followed and asdict(one.followed),
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


def _proof(one: FileProof) -> dict[str, Any]:
    proof = one.proof
    return {
        "left": one.left,
        "right": one.right,
        "equal": proof.equal,
        "same_output": proof.same_output,
        "remarks": list(proof.remarks),
        "differences": [asdict(found) for found in proof.differences],
        "permutation": [asdict(found) for found in proof.permutation],
    }


def _sensing(one: Sensing) -> dict[str, Any]:
    return {
        "edge": one.edge,
        "left": str(one.left),
        "right": str(one.right),
        "verdict": one.verdict.value,
        "headroom": one.headroom,
        "total": _visibility(one.sensed.total),
        "places": [
            {
                "layer": place.layer,
                "direction": place.direction,
                "rows": place.rows,
                "score": place.score,
                "arrays": {name: _visibility(seen) for name, seen in place.arrays.items()},
            }
            for place in one.sensed.places
        ],
        "changes": [asdict(change) for change in one.sensed.changes],
    }


def _visibility(seen: Visibility) -> dict[str, Any]:
    """Changes of one weight that are seen: in half of the weights, in 99 of 100; shares by relative size."""
    return {
        "weights": seen.weights,
        "median": seen.median,
        "most": seen.most,
        "coverage": {f"{relative:g}": share for relative, share in seen.coverage.items()},
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
                "largest": one.largest,
                "verdict": one.verdict.value,
            }
            for one in report.tolerated
        ],
    }
