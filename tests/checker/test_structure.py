"""What is seen of two models before anything runs: shapes, and what they make of their states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from grubridge.checker.structure import outputs
from grubridge.checker.verdict import Verdict
from grubridge.conversion import write
from grubridge.report import render
from grubridge.spec import SIGMOID, TANH, Activation, GRUSpec, MergeMode
from grubridge.verification import compare_weights, verify
from tests.zoo import make_spec

BOTH = make_spec("both", sizes=(5, 7), directions="both", seed=3)
ONE = make_spec("one", sizes=(5, 7), seed=3)


def _joined(mode: MergeMode | None, spec: GRUSpec = BOTH) -> GRUSpec:
    return replace(spec, io=replace(spec.io, merge_mode=mode))


def _made(function: Activation | None) -> GRUSpec:
    return replace(ONE, io=replace(ONE.io, output_activation=function))


@pytest.mark.parametrize(
    ("left", "right", "told"),
    [
        (_joined("mul"), _joined("sum"), "the two directions are multiplied in A, summed in B"),
        (_joined("sum"), _joined("ave"), "the two directions are summed in A, averaged in B"),
        (_joined("sum"), _joined("sum"), None),
        (_joined("sum"), _joined("concat"), None),  # what ONNX and PyTorch return: the sum is the caller's
        (_joined("sum"), _joined(None), None),
        (_joined("mul", ONE), _joined("sum", ONE), None),  # there is nothing to join
        (_made(TANH), _made(SIGMOID), "the output is tanh of the states in A, sigmoid of them in B"),
        (_made(TANH), _made(TANH), None),
        (_made(TANH), _made(None), None),
    ],
)
def test_what_equal_states_are_made_into(left: GRUSpec, right: GRUSpec, told: str | None) -> None:
    assert outputs(left, right, ("A", "B")) == told


@pytest.mark.usefixtures("runtimes")
def test_directions_that_are_joined_otherwise_are_different(tmp_path: Path) -> None:
    files = [tmp_path / f"{mode}.keras" for mode in ("mul", "sum")]
    write(_joined("mul"), files[0])
    write(_joined("sum"), files[1])
    for report in (verify(*files), compare_weights(*files)):
        assert report.verdict is Verdict.DIFFERENT
        assert [(one.cause, one.detail) for one in report.diagnosis] == [
            ("output", f"the two directions are multiplied in {files[0]}, summed in {files[1]}")
        ]
        assert render(report).endswith("\nDIFFERENT: these GRUs return other outputs\n")
    assert verify(files[0], files[0]).verdict is Verdict.EQUIVALENT
