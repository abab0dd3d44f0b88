"""A check of two files, made by hand."""

from __future__ import annotations

from grubridge.checker.algebra import Proof
from grubridge.checker.findings import Comparison, Drift, Edge, FileProof, Sensing, Side
from grubridge.checker.judge import Element
from grubridge.checker.result import CheckedArtifact, CheckedProbe, CheckReport, Run
from grubridge.checker.sensitivity import Sensed, Sensitivity, Visibility
from grubridge.checker.verdict import Verdict
from grubridge.reference.rounding import QUANTITIES

__all__ = ["ONE", "OTHER", "SENSED", "a_report", "a_run", "comparisons"]

_NATIVE = True
ONE, OTHER = Side("a.keras", "keras"), Side("b.pt", "pytorch")


def comparisons(edge: Edge, left: Side, right: Side, times: float = 0.25) -> tuple[Comparison, ...]:
    verdict = Verdict.EQUIVALENT if times <= 1 else Verdict.DIFFERENT
    first = None if times <= 1 else 2
    return tuple(
        Comparison(
            edge,
            left,
            right,
            layer,
            "forward",
            quantity,
            verdict,
            times * 1e-7,
            times,
            times / 2,
            Element(1, 4, 3),
            first,
        )
        for layer in (0, 1)
        for quantity in QUANTITIES
    )


def a_run(side: Side, version: str) -> Run:
    how = ("a GRU kernel", "float32", "measured here")
    return Run(
        side.artifact, str(side.backend), version, "cpu", "float32", _NATIVE, 1.25, (), "replayed", *how
    )


_TOTAL = Visibility(1248, 1.9e-7, 7.9e-7, {1e-5: 0.5, 1e-4: 0.9, 1e-3: 0.984, 1e-2: 1.0})
SENSED = Sensed(_TOTAL, (Sensitivity(0, "forward", 2048, 0.4, 0.2, {"recurrent_weight.reset": _TOTAL}),), ())


def a_report() -> CheckReport:
    return CheckReport(
        verdict=Verdict.EQUIVALENT,
        by_the_bound=Verdict.EQUIVALENT,
        artifacts=(
            CheckedArtifact("a.keras", "a.keras", "keras", "gru", "float32", "0" * 64),
            CheckedArtifact("b.pt", "b.pt", "pytorch", "rnn", "float32", None),
        ),
        runs=(
            Run("a.keras", "reference", "numpy 2.0", "cpu", "float64", False, 0.1, (), "reference"),  # noqa: FBT003
            a_run(ONE, "keras 3.15.1 (tensorflow 2.21.0)"),
            a_run(OTHER, "torch 2.13.0"),
        ),
        proofs=(FileProof("a.keras", "b.pt", Proof(True, True, ("no bias in b.pt",), (), ())),),  # noqa: FBT003
        comparisons=(
            *comparisons("read", ONE, Side("a.keras", None)),
            *comparisons("read", OTHER, Side("b.pt", None), 0.5),
            *comparisons("end-to-end", ONE, OTHER, 0.75),
        ),
        sensitivity=(Sensing("end-to-end", ONE, OTHER, Verdict.EQUIVALENT, 0.4, SENSED),),
        diagnosis=(),
        drift=(Drift(ONE, OTHER, 3e-6, 1, "forward", 23, (0.0, 3e-6)),),
        lyapunov_exponent=-0.5,
        tolerance=None,
        tolerated=(),
        probe=CheckedProbe("random, seed 0", 4, 24, (24, 19, 13, 8), "given"),
        environment={"grubridge": "0.1.0"},
        left_out={},
    )
