"""The text and the JSON of an identification, from results made by hand."""

from __future__ import annotations

import json
from dataclasses import replace

from grubridge.identification.measure import Measure
from grubridge.identification.result import Fit, Identification
from grubridge.layouts.description import CellLayout, TensorLayout
from grubridge.report import render, to_json
from grubridge.spec import TANH

LAYOUT = CellLayout(
    "identified",
    "Found from a recorded run.",
    "takes",
    "before",
    (
        TensorLayout("gates.weight", ("input_weight", "recurrent_weight"), ("reset", "update")),
        TensorLayout("new.weight", ("input_weight", "recurrent_weight"), ("candidate",), "input"),
        TensorLayout("gates.bias", ("input_bias",), ("reset", "update")),
    ),
    output_activation=TANH,
)
FIT = Fit(
    LAYOUT,
    shipped=False,
    prefix="rnn.",
    keys=("model",),
    measure=Measure(0.25, 6e-8, judged=True, first_bad_time=None),
    left_over=("head.weight",),
    remarks=("biases in a, b are zero: which gate has which does not matter",),
)
FOUND = Identification("m.pt", "pytorch", "run.npz", "every step", (FIT,), 1234, (), (), "own.toml")


def test_text() -> None:
    assert render(FOUND) == (
        """\
m.pt: a layout was found, in model, behind rnn.
  z = g(W x + b + U h + c)    g: sigmoid
  r = g(W x + b + U h + c)    g: sigmoid
  n = f(W x + b + U (r * h) + c)    f: tanh
  h' = (1 - z) * h + z * n
  output: tanh of h'
  gates.weight  [W, U] r z, y = W x
  new.weight    [W, U] n, y = x W
  gates.bias    b r z
  every step of run.npz is off by 6e-08 at most, 0.25 of
    what rounding may do
  note: biases in a, b are zero: which gate has which does
    not matter
  no part of it: head.weight

1,234 cells were tried; no other function fits
written: own.toml
to use it: --layout own.toml
"""
    )


def test_text_of_ties() -> None:
    same = replace(FIT, shipped=True, differs=("reset gate after instead of before",))
    other = replace(FIT, same=False, differs=("gates hard_sigmoid(0.2, 0.5) instead of sigmoid",))
    found = replace(
        FOUND,
        fits=(FIT, same, other),
        cut=("not every set of tensors was tried as weights, with sigmoid and tanh",),
        apart=("larger inputs, where sigmoid and hard_sigmoid(0.2, 0.5) differ",),
        written=None,
    )

    text = render(found)

    assert text.endswith(
        """
the shipped layout identified makes the same function of
  these tensors:
  reset gate after instead of before

another layout fits the run as well (0.25 of what rounding
  may do):
  gates hard_sigmoid(0.2, 0.5) instead of sigmoid

to tell them apart, record larger inputs, where sigmoid and
  hard_sigmoid(0.2, 0.5) differ

1,234 cells were tried; 1 other function would fit: the
  plainest of the best was chosen
  not every set of tensors was tried as weights, with
    sigmoid and tanh
to write its description: --out my_gru.toml
"""
    )
    assert max(map(len, text.splitlines())) <= 60
    assert to_json(found)["ambiguous"] is True


def test_many_ties_are_not_all_listed() -> None:
    found = replace(FOUND, fits=(FIT, *(replace(FIT, same=False, differs=(str(n),)) for n in range(7))))

    text = render(found)

    assert "\n  3\n\nand 3 more: see --json\n" in text
    assert len(to_json(found)["fits"]) == 8


def test_json() -> None:
    values = json.loads(json.dumps(to_json(FOUND)))

    assert values["schema_version"] == 1
    assert (values["ambiguous"], values["tried"], values["written"]) == (False, 1234, "own.toml")
    (fit,) = values["fits"]
    assert fit["layout"]["tensors"]["gates.bias"] == {"holds": ["input_bias"], "gates": ["reset", "update"]}
    assert (fit["headroom"], fit["max_abs"], fit["prefix"], fit["keys"]) == (0.25, 6e-8, "rnn.", ["model"])
    assert fit["same_function"] is True


def test_names_of_a_file_are_escaped() -> None:
    odd = replace(LAYOUT, tensors=(replace(LAYOUT.tensors[0], name="a\x1b[2J"), *LAYOUT.tensors[1:]))

    assert "\x1b" not in render(replace(FOUND, fits=(replace(FIT, layout=odd, prefix="\x1b."),)))
