"""The command that a report tells to mend a file: pasted, it works, whatever options were needed."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import grubridge as library
from cli.commands import app
from grubridge.spec import Gates, GRUSpec
from grubridge.verification.asked import options_of_files
from tests.cli.command import grubridge
from tests.zoo import make_spec


def _exchanged(spec: GRUSpec) -> GRUSpec:
    direction = spec.layers[0].forward
    assert direction is not None
    assert direction.input_bias is not None
    w, u, b = (
        Gates(gates.reset, gates.update, gates.candidate)
        for gates in (direction.input_weight, direction.recurrent_weight, direction.input_bias)
    )
    wrong = replace(direction, input_weight=w, recurrent_weight=u, input_bias=b)
    return replace(spec, layers=(replace(spec.layers[0], forward=wrong),))


def _mend_line(report: str) -> list[str]:
    (line,) = [line for line in report.splitlines() if line.startswith("mend: ")]
    return shlex.split(line.removeprefix("mend: grubridge "))


def test_a_cell_in_a_layout_is_mended_by_the_line(
    torch: ModuleType, onnxruntime: ModuleType, tmp_path: Path
) -> None:
    del torch, onnxruntime
    spec = make_spec("cell", sizes=(4, 6), reset_after=False, biases="input", seed=42)
    library.write(spec, tmp_path / "a right one.onnx")
    by_layout = library.WriteOptions(layout="concat-xh")
    library.write(_exchanged(spec), tmp_path / "wrong.pt", options=by_layout)
    found = grubridge("verify", "a right one.onnx", "wrong.pt", "--layout", "concat-xh", cwd=tmp_path)
    line = _mend_line(found.stdout)

    assert line == ["verify", "a right one.onnx", "wrong.pt", "--layout=concat-xh", "--fix", "NEW"]
    mended = grubridge(*line[:-1], "new.pt", cwd=tmp_path)
    assert (found.code, mended.code) == (1, 0), mended.stderr
    assert mended.stdout.splitlines()[-1].startswith("EQUIVALENT: ")


@pytest.mark.parametrize(
    ("hints", "others"),
    [
        (library.ReadHints(), ("gru -1", {}, None)),
        (
            library.ReadHints("relu", "hard_sigmoid(0.2)", reset_after=False),
            (None, {"a": "b", "c": "d"}, None),
        ),
        (
            library.ReadHints(reset_after=True, layout="a folder/my.toml", skip_unsafe=True),
            (None, {}, "my run.npz"),
        ),
    ],
)
def test_the_options_say_what_was_given(
    hints: library.ReadHints,
    others: tuple[str | None, dict[str, str], str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    received: dict[str, Any] = {}

    def verify(*_: object, **given: object) -> None:
        received.update(given)
        raise library.ProbeError("enough")

    monkeypatch.setattr(library, "verify", verify)
    with pytest.raises(library.ProbeError, match="enough"):
        app(["verify", "a.pt", "b.pt", *options_of_files(hints, *others)], standalone_mode=False)

    assert received["hints"] == hints
    example = received["example"] and str(received["example"])
    assert (received["stack"], received["mapping"], example) == others
