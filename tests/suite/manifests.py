"""Manifests, one right and many wrong, and what is said of each."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GOOD", "WRONG", "Wrong"]

GOOD = """\
version = 1

[defaults]
inputs = { seed = 3, steps = 12 }
device = "cpu"
tolerance = { atol = 1e-5 }

[[pair]]
name = "kws"
artifacts = ["models/kws.keras", "models/kws.onnx", "models/kws.pt"]
map = { gru = "gru_1" }

[[pair]]
a = "old.h5"
b = "old.onnx"
inputs = { batch = 2, lengths = [
    7, 24
] }
tolerance = { rtol = 0.5, atol = 0 }
xfail = "quantised, see the ticket"
timeout = 2.5
"""


@dataclass(frozen=True)
class Wrong:
    """A manifest.

    Args:
        text: its TOML.
        told: the message behind the file's name.
        by_schema: whether the JSON Schema refuses it too; it knows one place at a time, and no files.
    """

    text: str
    told: str
    by_schema: bool = True


def _changed(old: str, new: str, told: str, *, by_schema: bool = True) -> Wrong:
    assert GOOD.count(old) == 1
    return Wrong(GOOD.replace(old, new), told, by_schema)


_OWN = (
    "a, activation, allow_tf32, artifacts, b, backends, device, example, inputs, layout, map, name, "
    "recurrent_activation, reset_after, skip_unsafe, stack, timeout, tolerance, xfail"
)

WRONG = {
    "no version": _changed("version = 1\n", "", ": version is missing"),
    "another version": _changed(
        "version = 1", "version = 2", ", line 1: version: this grubridge reads version 1; received 2"
    ),
    "unknown key at the top": _changed(
        "version = 1\n",
        "version = 1\npairs = 1\n",
        ", line 2: pairs: unknown key. Did you mean 'pair'? Known: allow_outside, defaults, pair, version",
    ),
    "unknown key of a pair": _changed(
        "tolerance = { rtol",
        "tolernace = { rtol",
        f", line 19: pair.tolernace: unknown key. Did you mean 'tolerance'? Known: {_OWN}",
    ),
    "unknown key of the inputs": _changed(
        "batch = 2",
        "bach = 2",
        ", line 16: pair.inputs.bach: unknown key. Did you mean 'batch'? Known: batch, lengths, seed, steps",
    ),
    "no default": _changed(
        'device = "cpu"',
        'xfail = "all"',
        ", line 5: defaults.xfail: unknown key. Known: allow_tf32, backends, device, inputs, timeout, "
        "tolerance",
    ),
    "a table, not an array": Wrong(
        'version = 1\n[pair]\na = "a.pt"\nb = "b.pt"\n',
        ", line 2: pair: pairs are an array of tables: write [[pair]], not [pair]",
    ),
    "not the other file": _changed('b = "old.onnx"\n', "", ", line 13: pair: b is missing"),
    "no file at all": _changed('a = "old.h5"\nb = "old.onnx"\n', "", ", line 13: pair: artifacts is missing"),
    "both ways": _changed(
        'a = "old.h5"\n',
        'a = "old.h5"\nartifacts = ["old.h5"]\n',
        ", line 14: pair.a: artifacts lists all files: leave out a and b",
    ),
    "an empty list": _changed(
        '["models/kws.keras", "models/kws.onnx", "models/kws.pt"]',
        "[]",
        ", line 10: pair.artifacts: it lists no file",
    ),
    "a file twice": _changed(
        '"models/kws.onnx"', '"models/kws.pt"', ", line 10: pair.artifacts: it lists the same file twice"
    ),
    "a file twice, written in two ways": _changed(
        '"models/kws.onnx"',
        '"models/./kws.pt"',
        ", line 10: pair.artifacts: it lists the same file twice",
        by_schema=False,
    ),
    "a file and itself, written in two ways": _changed(
        '"old.onnx"', '"./old.h5"', ", line 15: pair.b: a and b are the same file", by_schema=False
    ),
    "a file and itself": _changed(
        '"old.onnx"', '"old.h5"', ", line 15: pair.b: a and b are the same file", by_schema=False
    ),
    "no path": _changed('"old.h5"', "3", ", line 14: pair.a: expected text; received the int 3"),
    "an empty name": _changed('"kws"', '" "', ", line 9: pair.name: expected text; it is empty"),
    "stack and map": _changed(
        'name = "kws"',
        'stack = "gru"',
        ", line 11: pair.map: map pairs GRUs by name, and takes the place of stack",
    ),
    "an empty map": _changed('{ gru = "gru_1" }', "{}", ", line 11: pair.map: it pairs no GRUs"),
    "outside": _changed(
        '"old.h5"',
        '"../old.h5"',
        ", line 14: pair.a: ../old.h5 is outside the manifest's folder; to allow that, write "
        "allow_outside = true at the top",
        by_schema=False,
    ),
    "absolute": _changed(
        '"old.h5"',
        '"/old.h5"',
        ", line 14: pair.a: /old.h5 is outside the manifest's folder; to allow that, write "
        "allow_outside = true at the top",
        by_schema=False,
    ),
    "NUL": _changed('"old.h5"', '"old\\u0000.h5"', ", line 14: pair.a: no path holds a NUL", by_schema=False),
    "a negative seed": _changed(
        "seed = 3", "seed = -3", ", line 4: defaults.inputs.seed: expected 0 or more; received -3"
    ),
    "true is no number": _changed(
        "seed = 3",
        "seed = true",
        ", line 4: defaults.inputs.seed: expected a whole number; received the bool True",
    ),
    "too few lengths": _changed(
        "batch = 2",
        "batch = 3",
        ", line 16: pair.inputs.lengths: expected a length of at most 24 steps for each of 3 sequences",
        by_schema=False,
    ),
    "a length beyond the steps": _changed(
        "7, 24",
        "7, 25",
        ", line 16: pair.inputs.lengths: expected a length of at most 24 steps for each of 2 sequences",
        by_schema=False,
    ),
    "an unknown runtime": _changed(
        'xfail = "quantised, see the ticket"',
        'backends = ["pytroch"]',
        ", line 20: pair.backends: expected one of keras, onnxruntime, pytorch; received the str 'pytroch'. "
        "Did you mean 'pytorch'?",
    ),
    "no runtime": _changed(
        'xfail = "quantised, see the ticket"',
        "backends = []",
        ", line 20: pair.backends: it names no runtime",
    ),
    "an unknown device": _changed(
        '"cpu"', '"gpu"', ", line 5: defaults.device: expected auto, cpu, cuda or cuda:N; received 'gpu'"
    ),
    "no tolerance": _changed(
        "{ atol = 1e-5 }", "{}", ", line 6: defaults.tolerance: it needs atol, rtol or both"
    ),
    "a negative tolerance": _changed(
        "atol = 1e-5",
        "atol = -1e-5",
        ", line 6: defaults.tolerance.atol: expected 0 or more, and finite; received -1e-05",
    ),
    "an infinite tolerance": _changed(
        "atol = 1e-5",
        "atol = inf",
        ", line 6: defaults.tolerance.atol: expected 0 or more, and finite; received inf",
        by_schema=False,
    ),
    "no time": _changed(
        "timeout = 2.5",
        "timeout = 0",
        ", line 21: pair.timeout: expected a number of seconds above 0; received 0.0",
    ),
    "an unknown layout": _changed(
        "timeout = 2.5",
        'layout = "d2k"',
        ", line 21: pair.layout: no layout is called 'd2k'. Did you mean 'd2l'? Known: ",
        by_schema=False,
    ),
    "one name twice": _changed(
        'a = "old.h5"',
        'name = "kws"\na = "old.h5"',
        ", line 13: pair: another pair is called 'kws' too; give each a name of its own",
        by_schema=False,
    ),
}
