"""The text and the JSON of a check, from reports made by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from grubridge.checker.findings import (
    Cause,
    Comparison,
    Side,
)
from grubridge.checker.result import CheckedArtifact
from grubridge.checker.verdict import Verdict
from grubridge.report import render, to_json

from .a_check import ONE, OTHER, a_report, a_run, comparisons


def test_text_of_an_equivalent_pair() -> None:
    assert render(a_report()) == (
        """\
A  a.keras (float32), keras 3.15.1 (tensorflow 2.21.0), cpu
   a GRU kernel; gates replayed by its operators
B  b.pt (float32), torch 2.13.0, cpu
   a GRU kernel; gates replayed by its operators
inputs: random, seed 0; 4 sequences, 24, 19, 13, 8 steps
  past a sequence's end PyTorch and ONNX Runtime give zeros,
  Keras repeats the last state: not compared
files: A and B hold the same numbers, which proves them to
  be one function for every input
  no bias in b.pt

read: A on keras against the equations of A
  hidden state  max |error| 2.5e-08, 0.25 of the bound
read: B on pytorch against the equations of B
  hidden state  max |error| 5.0e-08, 0.50 of the bound
end-to-end: A on keras against B on pytorch
  hidden state  max |error| 7.5e-08, 0.75 of the bound
  update gate   max |error| 7.5e-08, 0.75 of the bound
  reset gate    max |error| 7.5e-08, 0.75 of the bound
  candidate     max |error| 7.5e-08, 0.75 of the bound

The bound is what rounding can do in one step from the run's
own last state; one honest check in a billion exceeds it.
sensitivity: in 2048 further single steps, one weight off by
  1.9e-07 would have been seen in half of the 1,248 weights,
  7.9e-07 in 99% of them, and 1e-3 of itself in 98.4%
drift, never judged: running free, A on keras and B on
  pytorch come up to 3.0e-06 apart; a small difference
  shrinks 1.6 times a step (Lyapunov exponent -0.50)

EQUIVALENT: the files are one function; hidden states and gates agree, within 0.75 of the bound
"""
    )


def test_text_of_a_difference_says_where() -> None:
    report = replace(
        a_report(),
        verdict=Verdict.DIFFERENT,
        by_the_bound=Verdict.DIFFERENT,
        comparisons=(
            *comparisons("read", ONE, Side("a.keras", None)),
            *comparisons("end-to-end", ONE, OTHER, 2.5e6),
        ),
        diagnosis=(Cause("gate order", "the update and reset gates are exchanged", mend="write anew"),),
    )
    lines = render(report).splitlines()

    assert "  hidden state  max |error| 2.5e-01, 2.5e+06 times the bound" in lines
    place = lines.index("  DIFFERENT from step 2 on: layer 0 forward, hidden state;")
    assert lines[place + 1] == "  most at step 4, sequence 1, unit 3"
    why = lines.index("why: gate order: the update and reset gates are exchanged")
    assert lines[why + 1] == "mend: grubridge verify a.keras b.pt --fix NEW"
    assert lines[-1] == "DIFFERENT: B is not the function of A; up to 2.5e+06 times the bound"


@pytest.mark.parametrize("files", [["a.keras", "b.pt", "c.onnx"], ["a.keras", "b.pt", "a.keras", "b.pt"]])
def test_no_command_is_told_that_could_not_mend(files: list[str]) -> None:
    one = a_report().artifacts[0]
    report = replace(
        a_report(),
        verdict=Verdict.DIFFERENT,
        by_the_bound=Verdict.DIFFERENT,
        artifacts=tuple(replace(one, label=name, path=name) for name in files),
        diagnosis=(Cause("gate order", "the update and reset gates are exchanged", mend="write anew"),),
    )

    assert "--fix" not in render(report)
    assert "mend: write what is wrong anew from the first file, with" in render(report)


def test_blame_falls_on_the_first_edge_that_differs() -> None:
    for edge, left, right, words in (
        ("read", ONE, Side("a.keras", None), "A on keras is not what was read from the file"),
        ("write", Side("a.keras", None), OTHER, "B on pytorch is not the function of A"),
    ):
        found = comparisons(edge, left, right, 5.0)  # type: ignore[arg-type]
        text = render(
            replace(a_report(), verdict=Verdict.DIFFERENT, by_the_bound=Verdict.DIFFERENT, comparisons=found)
        )
        assert text.splitlines()[-1] == f"DIFFERENT: {words}; up to 5 times the bound"


def test_text_of_other_shapes() -> None:
    cause = Cause("structure", "a.keras has 1 layer, b.pt has 2 layers")
    report = replace(
        a_report(),
        verdict=Verdict.DIFFERENT,
        by_the_bound=Verdict.DIFFERENT,
        runs=(),
        comparisons=(),
        drift=(),
        lyapunov_exponent=None,
        proofs=(),
        sensitivity=(),
        probe=None,
        diagnosis=(cause,),
    )

    assert render(report) == (
        """\
A  a.keras (float32), not run
B  b.pt (float32), not run

why: structure: a.keras has 1 layer, b.pt has 2 layers

DIFFERENT: these GRUs are not of one shape
"""
    )


def test_text_of_what_could_not_run() -> None:
    report = replace(
        a_report(),
        verdict=Verdict.INCONCLUSIVE,
        by_the_bound=Verdict.INCONCLUSIVE,
        runs=a_report().runs[:1],
        comparisons=(),
        drift=(),
        lyapunov_exponent=None,
        proofs=(),
        sensitivity=(),
        diagnosis=(Cause("not run", "a.keras: needs keras:\n  pip install 'grubridge[tensorflow]'"),),
        left_out={"pytorch": "the reset gate is applied before the recurrent product"},
    )
    lines = render(report).splitlines()

    assert "A  a.keras (float32), not run" in lines
    assert "left out: pytorch: the reset gate is applied before the" in lines
    assert "why: not run: a.keras: needs keras:" in lines
    assert "  pip install 'grubridge[tensorflow]'" in lines
    assert lines[-1] == "INCONCLUSIVE: not everything could be run and judged"


def test_many_files_get_one_line_each() -> None:
    sides = [Side(f"{name}.pt", "pytorch") for name in "abcdef"]
    found = [one for side in sides for one in comparisons("read", side, Side(side.artifact, None))]
    report = replace(
        a_report(),
        runs=tuple(a_run(side, "torch 2.13.0") for side in sides),
        comparisons=tuple(found),
        artifacts=tuple(
            CheckedArtifact(side.artifact, side.artifact, "pytorch", "rnn", "float32", None) for side in sides
        ),
        drift=(),
        lyapunov_exponent=None,
        proofs=(),
        sensitivity=(),
    )
    lines = render(report).splitlines()

    assert "F  f.pt (float32), torch 2.13.0, cpu" in lines
    assert lines.count("  hidden state  max |error| 2.5e-08, 0.25 of the bound") == 6
    assert not any("gate   " in line for line in lines)


def test_text_is_ascii_and_narrow_but_for_names() -> None:
    text = render(a_report())

    assert text.isascii()
    assert max(map(len, text.splitlines()[2:-1])) <= 60
    assert len(text.splitlines()) <= 32


def test_rebuilt_layers_are_told() -> None:
    why = "the layer was rebuilt in Keras 3 from the arrays in the file: the model holds a WeightClip, which "
    why += "no Keras may load \x1b[31m here, and this is the end"
    rebuilt = replace(a_run(ONE, "keras 3.15.1"), native=False, notes=(why,))
    report = replace(a_report(), runs=(rebuilt,))

    assert (
        "   note: the layer was rebuilt in Keras 3 from the arrays in\n"
        "     the file: the model holds a WeightClip, which no Keras\n"
        "     may load \\x1b[31m here, and this is the end\n"
    ) in render(report)


def test_json_is_the_documented_one() -> None:
    document = to_json(a_report())

    assert list(document) == [
        "schema_version",
        "verdict",
        "artifacts",
        "runs",
        "files",
        "comparisons",
        "diagnosis",
        "sensitivity",
        "drift",
        "lyapunov_exponent",
        "tolerance",
        "probe",
        "environment",
    ]
    assert (document["schema_version"], document["verdict"]) == (1, "EQUIVALENT")
    assert document["artifacts"][0] == {
        "path": "a.keras",
        "format": "keras",
        "stack": "gru",
        "sha256": "0" * 64,
    }
    assert document["runs"][1] == {
        "artifact": "a.keras",
        "backend": "keras",
        "version": "keras 3.15.1 (tensorflow 2.21.0)",
        "device": "cpu",
        "dtype": "float32",
        "native": True,
        "kernel": "a GRU kernel",
        "precision": "float32",
        "activation_constants": "measured here",
        "gates": "replayed",
        "notes": [],
    }
    assert document["comparisons"][16] == {
        "edge": "end-to-end",
        "left": "a.keras on keras",
        "right": "b.pt on pytorch",
        "layer": 0,
        "direction": "forward",
        "quantity": "hidden",
        "verdict": "EQUIVALENT",
        "max_abs": 0.75 * 1e-7,
        "headroom": 0.75,
        "certainty": 0.375,
        "worst": {"batch": 1, "time": 4, "unit": 3},
        "first_bad_time": None,
        "recomposition": None,
        "ensemble": None,
    }
    assert document["files"] == [
        {
            "left": "a.keras",
            "right": "b.pt",
            "equal": True,
            "same_output": True,
            "remarks": ["no bias in b.pt"],
            "differences": [],
            "permutation": [],
        }
    ]
    assert document["probe"] == {
        "origin": "random, seed 0",
        "batch": 4,
        "steps": 24,
        "lengths": [24, 19, 13, 8],
        "initial_state": "given",
    }
    seen = {"weights": 1248, "median": 1.9e-7, "most": 7.9e-7}
    seen["coverage"] = {"1e-05": 0.5, "0.0001": 0.9, "0.001": 0.984, "0.01": 1.0}  # type: ignore[assignment]
    assert document["sensitivity"][0]["total"] == seen
    assert document["sensitivity"][0]["places"][0]["arrays"] == {"recurrent_weight.reset": seen}
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_json_has_no_infinity() -> None:
    infinite = replace(a_report().comparisons[0], max_abs=math.inf, headroom=math.inf)
    unjudged = Comparison(
        "read", ONE, Side("a.keras", None), 0, "forward", "hidden", Verdict.INCONCLUSIVE, reason="none"
    )
    document = to_json(replace(a_report(), comparisons=(infinite, unjudged)))

    assert [one["max_abs"] for one in document["comparisons"]] == [None, None]
    assert [one["worst"] for one in document["comparisons"]] == [{"batch": 1, "time": 4, "unit": 3}, None]
    json.dumps(document, allow_nan=False)
    text = render(replace(a_report(), comparisons=(infinite,), verdict=Verdict.DIFFERENT))
    assert "max |error| inf, infinitely above the bound" in text
