"""grubridge explain, run as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import grubridge as library
from tests.cli.command import grubridge

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
QUESTION = SAMPLES / "explain" / "keras_question.json"
INPUTS = SAMPLES / "explain" / "inputs.csv"
DIGITS = SAMPLES / "digits_two_layer.pt"


def test_the_question() -> None:
    arguments = ("--weights", QUESTION, "--inputs", INPUTS, "--expect", "0.9680257", "--expect", "-0.70691")
    ended = grubridge("explain", *arguments, PYTHONIOENCODING="ascii")

    assert (ended.code, ended.stderr) == (0, "")
    story = library.explain(QUESTION, INPUTS, expect=["0.9680257", "-0.70691"])
    assert ended.stdout == library.render(story)
    assert "\nh after step 3, the last: -0.46279538\n" in ended.stdout


def test_numbers_on_the_command_line_and_other_forms() -> None:
    story = library.explain(QUESTION, "1,2,9,8", step=2, digits=7)
    for form in ("markdown", "latex"):
        options = ("--inputs", "1,2,9,8", "--step", 2, "--digits", 7, "--format", form)
        ended = grubridge("explain", "--weights", QUESTION, *options)
        assert (ended.code, ended.stderr) == (0, "")
        assert ended.stdout == library.render(story, form)


def test_json_is_one_document(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((5, 8)))
    options = ("--layer", 1, "--unit", 3, "--direction", "forward", "--step", 2, "--expect", "0.1")
    ended = grubridge("explain", DIGITS, "--inputs", "x.npy", *options, "--json", cwd=tmp_path)

    assert (ended.code, ended.stderr) == (0, "")
    story = library.explain(DIGITS, tmp_path / "x.npy", layer=1, unit=3, step=2, expect=["0.1"])
    assert json.loads(ended.stdout) == json.loads(json.dumps(library.to_json(story)))


def test_a_cell_by_its_layout(tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(
        json.dumps({f"{name}.weight": [[0.5, -0.25]] for name in ("update_gate", "reset_gate", "candidate")}),
        encoding="utf-8",
    )
    ended = grubridge(
        "explain", "--weights", "w.json", "--inputs", "2", "--layout", "concat-xh", cwd=tmp_path
    )

    assert (ended.code, ended.stderr) == (0, "")
    assert "h' = (1 - z)*h + z*n" in ended.stdout


def test_what_is_missing_or_too_much() -> None:
    for arguments, said in (
        (("--inputs", "1"), "explain takes a model file SRC or --weights FILE.json, one of them"),
        (
            (DIGITS, "--weights", QUESTION, "--inputs", "1"),
            "explain takes a model file SRC or --weights FILE.json",
        ),
        (("--weights", DIGITS, "--inputs", "1"), "--weights is for a .json file of typed weights; received"),
        (("--weights", QUESTION), "Missing option '--inputs'"),
        (("--weights", QUESTION, "--inputs", "nowhere.csv"), "error: nowhere.csv: there is no such file"),
        (("--weights", QUESTION, "--inputs", "1", "--step", 1), "error: step must be 0 to 0"),
        (
            ("--weights", QUESTION, "--inputs", "1", "--expect", "x"),
            "an expected value must be a number such as",
        ),
    ):
        ended = grubridge("explain", *arguments)
        assert ended.code == 2
        assert ended.stdout == ""
        assert said in " ".join(ended.stderr.split())
