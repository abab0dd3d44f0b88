"""The text of an inspection: nothing twice, nothing wide."""

from __future__ import annotations

from dataclasses import replace

from grubridge.inspection import Inspection, LayerSummary, StackSummary
from grubridge.report import render

LAYER = LayerSummary(
    input_size=24,
    hidden_size=96,
    directions=("forward", "backward"),
    reset_after=True,
    gate_activation="sigmoid",
    candidate_activation="tanh",
    bias="split",
    clip=None,
    initial_state=False,
)
STACK = StackSummary("gru", (), (LAYER,), "float32", 912, (), {"keras": (), "onnx": ()})


def _text(*stacks: StackSummary) -> str:
    return render(Inspection("a.h5", "keras", "keras 2.2.4", stacks, ()))


def test_one_stack() -> None:
    reset = "the reset gate is applied before the recurrent product, and {} has no such GRU"
    targets = {name: (reset.format(name),) for name in ("pytorch", "safetensors")}
    stack = replace(
        STACK, members=("gru_1", "gru_2"), layers=(LAYER, replace(LAYER, reset_after=False)), notes=("so",)
    )

    assert _text(replace(stack, targets={"keras": (), **targets})) == (
        """\
a.h5: keras, written by keras 2.2.4, 1 GRU

gru  (float32, 912 numbers)
  a chain of gru_1, gru_2
  layer 0: 24 -> 96, forward and backward, reset after the
    product, gates sigmoid, candidate tanh, bias split
  layer 1: 24 -> 96, forward and backward, reset before the
    product, gates sigmoid, candidate tanh, bias split
  note: so
  can be written as: keras
  not as pytorch, safetensors: the reset gate is applied
    before the recurrent product, and the target has no such
    GRU
"""
    )


def test_a_reason_of_one_format_names_it() -> None:
    text = _text(replace(STACK, targets={"keras": ("keras has no clip",), "onnx": ()}))

    assert "  not as keras: keras has no clip\n" in text


def test_what_holds_for_many_is_said_once() -> None:
    stacks = [replace(STACK, name=f"gru_{index}", notes=("assumed tanh",)) for index in range(4)]
    stacks[1] = replace(stacks[1], notes=("its own", "halves"))
    stacks[2] = replace(stacks[2], notes=("assumed tanh", "halves"))
    text = _text(*stacks)

    assert text.count("can be written as: keras, onnx") == 1
    assert text.count("assumed tanh") == 1
    assert text.count("note: halves") == 2  # of two only: it stays beside them
    assert text.index("note: its own") < text.index("gru_2  (float32")
    assert text.endswith(
        "\n\ngru_0, gru_2, gru_3:\n  note: assumed tanh\n\nall of them:\n  can be written as: keras, onnx\n"
    )


def test_what_is_not_converted_comes_last() -> None:
    others = ("LSTM 'lstm'", "a.h5, gelu: the activation is 'gelu'; a GRU can be converted with elu, tanh")
    inspection = Inspection("a.h5", "keras", "", (STACK,), others)

    assert render(inspection).endswith(
        "\n\nalso in it, not converted:\n"
        "  LSTM 'lstm'\n"
        "  a.h5, gelu: the activation is 'gelu'; a GRU can be\n"
        "    converted with elu, tanh\n"
    )
