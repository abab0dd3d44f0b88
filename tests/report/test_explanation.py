"""An explanation in words: text that fits a terminal, Markdown that parses, LaTeX that compiles, JSON."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import grubridge
from grubridge import ReadHints

RNG = np.random.default_rng(0)
BOTH_WAYS = {
    f"{part}_l0{way}": RNG.standard_normal(shape)
    for way in ("", "_reverse")
    for part, shape in (("weight_ih", (12, 4)), ("weight_hh", (12, 4)), ("bias_ih", 12), ("bias_hh", 12))
}
X = RNG.standard_normal((3, 4)) * [1e-6, 1, 10, 1]
ONE = {"kernel": [-0.9, 1.0, -0.04], "recurrent_kernel": [0.2, 0.9, 0.4], "bias": [[0, 0, 0], [0, 0, 0.1]]}


@pytest.fixture(scope="module")
def widest() -> grubridge.Explanation:
    """As many terms as are written out."""
    hints = ReadHints(recurrent_activation="hard_sigmoid")
    return grubridge.explain(BOTH_WAYS, X, direction="backward", expect=["0.04", "9.75"], hints=hints)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> grubridge.Explanation:
    """Names that mean something in Markdown and LaTeX."""
    path = tmp_path_factory.mktemp("x") / r"w_{a}$%&#~^\input{x}|`*<b>.json"
    path.write_text(json.dumps(ONE), encoding="utf-8")
    return grubridge.explain(path, "1,2", expect=["0.123456"])


def test_text_fits_a_narrow_terminal(widest: grubridge.Explanation) -> None:
    text = grubridge.render(widest)

    assert max(map(len, text.splitlines())) <= 60
    assert text.isascii()
    assert "*(-" in text
    assert not re.search(r"[*+-] ?-", text.split("step 2")[1])
    assert text.endswith("\n")


def test_the_last_step_of_a_backward_direction(widest: grubridge.Explanation) -> None:
    text = grubridge.render(widest)

    assert "\nh after step 0, the last: [" in text
    assert "from the last step to the first, for this direction runs backward" in " ".join(text.split())


def test_text_of_one_step() -> None:
    story = grubridge.explain(ONE, "1,2", step=0, digits=4)

    assert (
        "step 0: x = 1, h = 0\n"
        "  z = sigmoid(-0.9*1 + 0 + 0.2*0 + 0)\n"
        "    = sigmoid(-0.9)\n"
        "    = 0.2891\n"
        "  r = sigmoid(1*1 + 0 + 0.9*0 + 0) = sigmoid(1) = 0.7311\n"
        "  n = tanh(-0.04*1 + 0 + 0.7311*(0.4*0 + 0.1))\n"
        "    = tanh(0.03311)\n"
        "    = 0.03309\n"
        "  h = 0.2891*0 + (1 - 0.2891)*0.03309 = 0.02353\n"
        "\nh after step 0: 0.023527998\n"
    ) in grubridge.render(story)


def test_what_the_formula_is() -> None:
    text = grubridge.render(grubridge.explain(ONE, "1,2"))
    words = " ".join(text.split())

    assert (
        "  z  = sigmoid(W_z x + b_z + U_z h + c_z)   update gate\n"
        "  r  = sigmoid(W_r x + b_r + U_r h + c_r)   reset gate\n"
        "  n  = tanh(W_n x + b_n + r*(U_n h + c_n))  candidate\n"
        "  h' = z*h + (1 - z)*n                      new state\n"
    ) in text
    assert "z keeps the state: z = 1 leaves it as it is (Keras, PyTorch, ONNX; Cho et al. 2014)." in words
    assert "Others write h' = (1 - z)*h + z*n, where z takes the candidate (Chung et al. 2014)" in words
    assert (
        "r is applied after the recurrent product (Keras reset_after=True, ONNX linear_before_reset=1"
        in words
    )
    assert "The recurrent bias of the candidate, c_n, is therefore multiplied by r too." in words
    assert "A sequence is fed one step at a time, in order: each step takes its own x (as given)" in words
    assert "The state at the start is zeros." in words
    assert "All is worked out in float64" in words
    assert "kernel [I, 3H]: W of z, r, n, in that order." in words
    assert "bias [2, 3H]: b and c of z, r, n, in that order; row 0 is b, row 1 c." in words


@pytest.mark.parametrize(
    ("layout", "drop", "said"),
    [
        ("d2l-reset-only", "z", ["h' = n", "There is no update gate", "W_xr [I, H]: W of r."]),
        (
            "d2l-update-only",
            "r",
            ["n = tanh(W_n x + b_n + U_n h)", "There is no reset gate", "z keeps the state"],
        ),
        (
            "d2l",
            "",
            [
                "n = tanh(W_n x + b_n + U_n (r*h))",
                "After the product it would be n = tanh(W_n x + r*(U_n h))",
            ],
        ),
    ],
)
def test_conventions_of_other_cells(layout: str, drop: str, said: list[str]) -> None:
    gates = [gate for gate in "zrh" if gate != drop]
    weights = {name: 0.5 for gate in gates for name in (f"W_x{gate}", f"W_h{gate}", f"b_{gate}")}

    text = " ".join(grubridge.render(grubridge.explain(weights, "1", hints=ReadHints(layout=layout))).split())

    assert [sentence for sentence in said if sentence not in text] == []
    assert f"Stored as {layout}:" in text


def test_a_takes_cell_is_told_in_its_own_sense() -> None:
    weights = {f"{name}.weight": [[0.5, -0.25]] for name in ("update_gate", "reset_gate", "candidate")}

    text = grubridge.render(grubridge.explain(weights, "2", hints=ReadHints(layout="concat-xh")))

    assert "  z = sigmoid(0.5*2 - 0.25*0) = sigmoid(1) = 0.7311\n" in text
    assert "  n = tanh(0.5*2 - 0.25*(0.7311*0)) = tanh(1) = 0.7616\n" in text
    assert "  h = (1 - 0.7311)*0 + 0.7311*0.7616 = 0.5568\n" in text
    assert "h' = (1 - z)*h + z*n" in text
    words = " ".join(text.split())
    assert "z takes the candidate: z = 1 replaces the state." in words
    assert "The model returns tanh(h'); the state that goes on is h' itself." in words
    assert re.search(r"h after step 0, the last: 0\.5567\d+; the model returns tanh\(h\) = 0\.5055\d+", words)


def test_markdown_tables_have_three_cells_a_row(widest: grubridge.Explanation) -> None:
    lines = grubridge.render(widest, "markdown").splitlines()
    rows = [line for line in lines if line.startswith("|")]

    assert len(rows) == 3 * (2 + 4 * 4)
    for row in rows:
        assert row.count("|") == 4
        assert row.count("`") in (0, 4, 6)
    assert lines.count("```") == lines.count("```text") == 1
    assert [line for line in lines if line.startswith("### ")] == [
        "### " + line.replace("[", "\\[").replace("]", "\\]")
        for line in re.findall(r"^step \d: .*\]$", _unwrapped(grubridge.render(widest)), re.MULTILINE)
    ]


def _unwrapped(text: str) -> str:
    return re.sub(r"\n  (?=[\d\[-])", " ", text)


def test_markdown_escapes_names(hostile: grubridge.Explanation) -> None:
    title = grubridge.render(hostile, "markdown").splitlines()[0]

    assert title.endswith(r"w\_{a}$%\&\#\~^\\input{x}\|\`\*\<b\>.json, gru")


@pytest.mark.parametrize("name", ["widest", "hostile"])
def test_latex_is_balanced(name: str, request: pytest.FixtureRequest) -> None:
    story: grubridge.Explanation = request.getfixturevalue(name)
    fragment = grubridge.render(story, "latex")
    bare = re.sub(r"\\[{}]", "", fragment)

    assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[$#~]|(?<!10)\^", fragment)
    opened = re.findall(r"\\(begin|end)\{(\w+\*?)\}", fragment)
    assert opened[::2] == [("begin", environment) for _, environment in opened[1::2]]
    for body in re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end\{align\*\}", fragment, re.DOTALL):
        rows = list(map(str.strip, body.split("\\\\")))
        assert {row.count("&") for row in rows} == {3 if "&&" in body else 1}
        assert all(row != other for row, other in itertools.pairwise(rows)), body
        assert all(rows), body
    assert r"\input" not in fragment


@pytest.mark.parametrize("name", ["widest", "hostile"])
def test_latex_compiles(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("pdflatex is not installed")
    fragment = grubridge.render(request.getfixturevalue(name), "latex")
    document = rf"\documentclass{{article}}\usepackage{{amsmath}}\begin{{document}}{fragment}\end{{document}}"
    (tmp_path / "x.tex").write_text(document.replace("% needs", "\n% needs"), encoding="utf-8")

    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "x.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-2000:]


def test_powers_of_ten_in_latex(widest: grubridge.Explanation) -> None:
    assert r" \cdot 10^{-" in grubridge.render(widest, "latex")


def test_json_has_the_numbers_in_full() -> None:
    story = grubridge.explain(ONE, "1,2", expect=["0.5"])

    values = json.loads(json.dumps(grubridge.to_json(story), allow_nan=False))

    assert values["schema_version"] == 1
    assert values["conventions"] == {
        "update": "keeps",
        "reset": "after",
        "gate_activation": "sigmoid",
        "candidate_activation": "tanh",
        "clip": None,
    }
    assert values["formulas"][2] == "n = tanh(W_n x + b_n + r*(U_n h + c_n))"
    assert values["layout"]["tensors"]["kernel"]["gates"] == ["update", "reset", "candidate"]
    (first, second) = values["steps"]
    (unit,) = second["units"]
    assert unit["previous"] == first["hidden"][0] == story.hidden[0, 0]
    assert unit["candidate"]["recurrent"] == {
        "terms": [{"weight": 0.4, "value": story.hidden[0, 0], "reset": None}],
        "count": 1,
        "total": 0.4 * story.hidden[0, 0],
    }
    assert unit["candidate"]["reset"] == unit["reset"]["value"]
    z, n = unit["update"]["value"], unit["candidate"]["value"]
    assert values["answer"] == {"step": 1, "hidden": [z * unit["previous"] + (1 - z) * n]}
    (found,) = values["expectations"]
    assert (found["expected"], found["right"], found["low"]) == ("0.5", False, 0.45)


def test_nan_is_null() -> None:
    nan = grubridge.explain(grubridge.to_model(_with_nan()), "1,2", expect=["0.5"])

    assert grubridge.to_json(nan)["answer"]["hidden"] == [None]
    assert "h after step 1, the last: nan" in grubridge.render(nan)
    (found,) = nan.expectations
    assert not found.right


def _with_nan() -> grubridge.GRUSpec:
    from grubridge.spec import Gates, GRUDirection, GRULayer, GRUSpec

    weight = Gates(*(np.array([[value]], np.float32) for value in (1.0, 2.0, np.nan)))
    return GRUSpec((GRULayer(GRUDirection(weight, weight), None, reset_after=True),))


def test_other_results_have_no_such_form() -> None:
    with pytest.raises(ValueError, match="a FormatTable has no form 'latex'"):
        grubridge.render(grubridge.format_table(), "latex")
