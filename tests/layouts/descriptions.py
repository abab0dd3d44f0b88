"""Descriptions of a layout, one right and many wrong, and what is said of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["GOOD", "WRONG", "Wrong", "written"]

GOOD = """\
name = "mine"
about = "A cell."
update = "keeps"
reset = "after"
gate_activation = { name = "hard_sigmoid", alpha = 0.2, beta = 0.5 }

[tensors]
# the input
W_z = { holds = "input_weight", gates = "update", rows = "input" }
W_rn = { holds = "input_weight", gates = ["reset", "candidate"], rows = "input" }
U = { holds = "recurrent_weight", gates = [
    "update", "reset", "candidate"
], rows = "output" }
b = { holds = "input_bias", gates = ["update", "reset", "candidate"], optional = true }
h_0 = { holds = "initial_state", optional = true }
"""


def written(folder: Path, text: str, name: str = "my_gru.toml") -> Path:
    """Return the path of a file that holds `text`."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(frozen=True)
class Wrong:
    """A description.

    Args:
        text: its TOML.
        told: the message behind the file's name.
        by_schema: whether the JSON Schema refuses it too; it knows one place at a time.
    """

    text: str
    told: str
    by_schema: bool = True


def _changed(old: str, new: str, told: str, *, by_schema: bool = True) -> Wrong:
    assert GOOD.count(old) == 1
    return Wrong(GOOD.replace(old, new), told, by_schema)


WRONG = {
    "unknown key": _changed(
        'reset = "after"',
        'reset = "after"\nrest = 1',
        ", line 5: rest: unknown key. Did you mean 'reset'? Known: about, candidate_activation, directions, "
        "gate_activation, name, output_activation, reset, tensors, time_major, update",
    ),
    "missing key": _changed('update = "keeps"\n', "", ": update is missing"),
    "wrong type": _changed('name = "mine"', "name = 3", ", line 1: name: expected text; received the int 3"),
    "empty name": _changed('name = "mine"', 'name = ""', ", line 1: name: a layout needs a name"),
    "wrong word": _changed(
        '"keeps"',
        '"keep"',
        ", line 3: update: expected one of keeps, takes, absent; received the str 'keep'. Did you mean "
        "'keeps'?",
    ),
    "unknown activation": _changed(
        '"hard_sigmoid", alpha = 0.2, beta = 0.5',
        '"sigmoidal"',
        ", line 5: gate_activation: unknown activation 'sigmoidal'; known: affine, elu, hard_sigmoid, "
        "leaky_relu, "
        "relu, scaled_tanh, sigmoid, softplus, softsign, tanh, thresholded_relu",
    ),
    "missing parameter": _changed(
        ", beta = 0.5",
        "",
        ", line 5: gate_activation: activation hard_sigmoid takes alpha and beta; received beta=None",
    ),
    "parameter too many": _changed(
        '"hard_sigmoid", alpha = 0.2, beta = 0.5',
        '"sigmoid", alpha = 0.2',
        ", line 5: gate_activation: activation sigmoid takes no parameter; received alpha=0.2",
    ),
    "parameter that is no number": _changed(
        "alpha = 0.2",
        "alpha = true",
        ", line 5: gate_activation.alpha: expected a number; received the bool True",
    ),
    "infinite parameter": _changed(
        "alpha = 0.2",
        "alpha = inf",
        ", line 5: gate_activation: activation hard_sigmoid: alpha must be finite; received inf",
        by_schema=False,
    ),
    "name with dots": _changed(
        "W_z = {",
        "W.z = {",
        ", line 9: tensors.W: a name with dots in it must be quoted; TOML takes this for a table in a table",
    ),
    "braces in a name": _changed(
        "W_z = {",
        '"W_{gate}" = {',
        ", line 9: tensors.W_{gate}: braces in a name stand for {layer} and {direction}, each once",
    ),
    "placeholder of some": _changed(
        "W_z = {",
        '"W_z{layer}" = {',
        ", line 10: tensors.W_rn: its name lacks {layer}, which others have: then it would belong to all "
        "of them",
        by_schema=False,
    ),
    "unknown key of a tensor": _changed(
        'h_0 = { holds = "initial_state", optional = true }',
        'h_0 = { hold = "initial_state", optional = true }',
        ", line 15: tensors.h_0.hold: unknown key. Did you mean 'holds'? Known: flat, gates, holds, "
        "optional, rows",
    ),
    "unknown part": _changed(
        '"input_bias"',
        '"input_biases"',
        ", line 14: tensors.b.holds: expected one of input_weight, recurrent_weight, input_bias, "
        "recurrent_bias, "
        "initial_state; received the str 'input_biases'. Did you mean 'input_bias'?",
    ),
    "unknown gate": _changed(
        'gates = "update"',
        'gates = "z"',
        ", line 9: tensors.W_z.gates: expected one of update, reset, candidate; received the str 'z'.",
    ),
    "gate twice in a tensor": _changed(
        'gates = ["reset", "candidate"]',
        'gates = ["reset", "reset"]',
        ", line 10: tensors.W_rn.gates: reset is named twice",
    ),
    "part of a gate twice": _changed(
        'gates = ["reset", "candidate"]',
        'gates = ["update", "reset", "candidate"]',
        ", line 10: tensors.W_rn.holds: the input_weight of the update is in W_z already",
        by_schema=False,
    ),
    "missing part": _changed(
        'W_z = { holds = "input_weight", gates = "update", rows = "input" }\n',
        "",
        ", line 7: tensors: no tensor holds the input_weight of the update gate",
        by_schema=False,
    ),
    "tensors of an absent gate": _changed(
        'reset = "after"',
        'reset = "absent"',
        ', line 10: tensors.W_rn.gates: the cell has no reset gate (reset = "absent"), so no tensor holds '
        "any "
        "of it",
        by_schema=False,
    ),
    "no tensors": Wrong(
        GOOD[: GOOD.index("[tensors]")] + "tensors = {}\n", ", line 7: tensors: a cell needs tensors"
    ),
    "missing rows": _changed(
        'gates = "update", rows = "input"',
        'gates = "update"',
        ', line 9: tensors.W_z: rows is missing: "output" where the weight is [H, I] (y = W x), "input" '
        "where "
        "[I, H] (y = x W)",
    ),
    "rows of a bias": _changed(
        '"input_bias",', '"input_bias", rows = "input",', ", line 14: tensors.b.rows: only weights have rows"
    ),
    "weight and bias": _changed(
        'holds = "input_bias"',
        'holds = ["input_weight", "input_bias"], rows = "input"',
        ", line 14: tensors.b.holds: expected weights, or biases, or the initial_state alone; received "
        "input_weight, input_bias",
    ),
    "missing gates": _changed(
        'gates = "update", rows',
        "rows",
        ", line 9: tensors.W_z: gates is missing: those that are stacked in it, in their order",
    ),
    "gates of a state": _changed(
        'holds = "initial_state"',
        'holds = "initial_state", gates = "update"',
        ", line 15: tensors.h_0.gates: an initial state belongs to no gate",
    ),
    "flat single bias": _changed(
        '"input_bias"',
        '"input_bias", flat = true',
        ", line 14: tensors.b.flat: only both biases in one tensor can be flat",
    ),
    "optional weight": _changed(
        'rows = "output"',
        'rows = "output", optional = true',
        ", line 11: tensors.U.optional: no cell works without its weights",
    ),
    "no boolean": _changed(
        'about = "A cell."',
        'about = "A cell."\ntime_major = 1',
        ", line 3: time_major: expected true or false; received the int 1",
    ),
    "directions without a place": _changed(
        "[tensors]",
        'directions = { forward = "f", backward = "b" }\n[tensors]',
        ", line 7: directions: no tensor's name has {direction} in it",
        by_schema=False,
    ),
    "one direction": _changed(
        "[tensors]", 'directions = { forward = "f" }\n[tensors]', ", line 7: directions: backward is missing"
    ),
}
