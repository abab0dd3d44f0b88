"""Files compared by their numbers alone: nothing runs, and mistakes have their names all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grubridge.checker.verdict import Verdict
from grubridge.conversion import write
from grubridge.report import render
from grubridge.spec import GRUSpec
from grubridge.verification import compare_weights
from tests.mistakes import MISTAKES
from tests.suite.repository import Repository
from tests.zoo import make_spec

RIGHT = make_spec("gru", directions="both", initial_state=True)


def _written(folder: Path, name: str, spec: GRUSpec) -> Path:
    write(spec, folder / name)
    return folder / name


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_known_mistake_is_different(mistake: str, tmp_path: Path) -> None:
    one = _written(tmp_path, "a.onnx", RIGHT)
    other = _written(tmp_path, "b.onnx", MISTAKES[mistake](RIGHT))
    report = compare_weights(one, other)

    assert report.verdict is Verdict.DIFFERENT
    assert (report.runs, report.comparisons, report.probe) == ((), (), None)
    (cause,) = report.diagnosis
    assert cause.cause != "weights"


def test_the_mistake_has_its_name(tmp_path: Path) -> None:
    one = _written(tmp_path, "a.onnx", RIGHT)
    other = _written(tmp_path, "b.onnx", MISTAKES["update and reset exchanged"](RIGHT))
    report = compare_weights(one, other)

    (cause,) = report.diagnosis
    assert cause.cause == "gate order"
    assert cause.mend == "write anew"
    assert cause.detail.startswith("in every layer and direction the update and reset gates are exchanged")
    said = render(report)
    assert "A and B do not hold the same numbers" in said
    assert said.endswith("\nDIFFERENT: the files do not hold the same numbers; nothing was run\n")


def test_numbers_that_no_mistake_explains_are_named(tmp_path: Path) -> None:
    one, other = (
        _written(tmp_path, "a.onnx", RIGHT),
        _written(tmp_path, "b.onnx", make_spec("gru", directions="both", seed=5)),
    )
    report = compare_weights(one, other)

    (cause,) = report.diagnosis
    assert cause.cause == "weights"
    assert cause.detail.startswith("the files do not hold the same numbers: ")
    assert " of layer 0 forward" in cause.detail
    assert cause.detail.endswith(" more")


def test_one_number(tmp_path: Path) -> None:
    direction = next(RIGHT.directions())[2]
    weight = direction.recurrent_weight.reset.copy()
    weight[3, 1] += np.float32(0.25)
    forward = replace(direction, recurrent_weight=replace(direction.recurrent_weight, reset=weight))
    changed = replace(RIGHT, layers=(replace(RIGHT.layers[0], forward=forward),))
    report = compare_weights(_written(tmp_path, "a.onnx", RIGHT), _written(tmp_path, "b.onnx", changed))

    (cause,) = report.diagnosis
    assert cause.cause == "weight"
    assert "differs by 0.25: layer 0 forward recurrent_weight.reset[3, 1]" in cause.detail


def test_other_formats_of_the_same_numbers(tmp_path: Path) -> None:
    spec = make_spec("gru", sizes=(3, 4, 4))
    paths = [_written(tmp_path, name, spec) for name in ("a.pt", "b.onnx", "c.keras", "d.safetensors")]
    report = compare_weights(*paths)

    assert report.verdict is Verdict.EQUIVALENT
    assert len(report.proofs) == 3
    assert render(report).endswith("\nEQUIVALENT: the files hold the same numbers; nothing was run\n")


def test_rounded_numbers(tmp_path: Path) -> None:
    one = _written(tmp_path, "a.onnx", RIGHT)
    other = _written(tmp_path, "b.onnx", RIGHT.astype("float16"))
    strict, accepted = compare_weights(one, other), compare_weights(one, other, rounded=True)

    assert strict.verdict is Verdict.DIFFERENT
    assert strict.diagnosis[0].detail.split(";")[0].endswith("rounded to float16")
    assert accepted.verdict is Verdict.EQUIVALENT
    assert accepted.diagnosis == ()
    assert "the same numbers, rounded to the dtype of each; nothing was run" in render(accepted)


def test_numbers_that_are_not_only_rounded(tmp_path: Path) -> None:
    one = _written(tmp_path, "a.onnx", RIGHT)
    other = _written(tmp_path, "b.onnx", MISTAKES["gates rotated"](RIGHT).astype("float16"))

    assert compare_weights(one, other, rounded=True).verdict is Verdict.DIFFERENT


def test_other_shapes_and_files_alone(tmp_path: Path) -> None:
    one = _written(tmp_path, "a.onnx", RIGHT)
    other = _written(tmp_path, "b.onnx", make_spec("gru", sizes=(5, 8), directions="both"))
    different, alone = compare_weights(one, other), compare_weights(one)

    assert different.verdict is Verdict.DIFFERENT
    assert different.diagnosis[0].cause == "structure"
    assert alone.verdict is Verdict.INCONCLUSIVE
    assert alone.diagnosis[0].cause == "not run"


def test_a_suite(repository: Repository) -> None:
    repository.model("good.pt", "good.onnx")
    repository.model("wrong.onnx", mistake="gates rotated")
    repository.model("half.onnx", dtype="float16")
    repository.manifest(
        'a = "good.pt"\nb = "good.onnx"',
        'a = "good.pt"\nb = "wrong.onnx"',
        'name = "expected"\na = "good.pt"\nb = "wrong.onnx"\nxfail = "so"',
        # a runtime's mistake is no mistake of the files
        'name = "not in the files"\na = "good.pt"\nb = "good.onnx"\nxfail = "a bug of the runtime"',
        'name = "quantised"\na = "good.pt"\nb = "half.onnx"\ntolerance = { atol = 1e-2 }',
        'name = "rounded"\na = "good.pt"\nb = "half.onnx"',
        'name = "alone"\nartifacts = ["good.pt"]',
    )
    report = repository.check(weights_only=True)

    assert {result.name: result.status for result in report.results} == {
        "good.pt, wrong.onnx": "different",
        "rounded": "different",
        "good.{pt,onnx}": "equivalent",
        "expected": "xfailed",
        "not in the files": "equivalent",
        "quantised": "equivalent",
    }
    assert repository.ran() == []
    assert report.deselected == 1
    assert report.warnings == (
        "1 of one file alone: without running it, there is nothing to compare it with",
    )
    assert not (repository.folder / "grubridge.lock.json").exists()
