"""Layouts out of TOML files: what is wrong is refused with the line and the key."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from grubridge.errors import FileFormatError, LayoutError, UnsafeFileError
from grubridge.layouts.toml import SHIPPED, from_json, load, shipped, to_json, to_toml
from grubridge.spec import Activation
from tests.layouts.descriptions import GOOD, WRONG, written


@pytest.mark.parametrize("name", shipped())
def test_shipped_layouts_survive_json_and_toml(name: str, tmp_path: Path) -> None:
    layout = load(name)
    copy = tmp_path / "copy.toml"
    copy.write_text(to_toml(layout), encoding="utf-8")

    assert layout.name == name
    assert layout.about.endswith(".")
    assert from_json(json.loads(json.dumps(to_json(layout)))) == layout
    assert load(copy) == layout
    assert copy.read_text(encoding="utf-8") == (SHIPPED / f"{name}.toml").read_text(encoding="utf-8")


def test_what_is_not_usual_survives_too(tmp_path: Path) -> None:
    layout = replace(
        load("pytorch"),
        name='quotes " and \\, \x7f, \u2028 and lines\n',
        gate_activation=Activation("hard_sigmoid", 1 / 6, 0.5),
        candidate_activation=Activation("elu", 1e-05),
        output_activation=Activation("relu"),
        time_major=True,
        directions={"forward": "", "backward": "_back"},
    )
    path = tmp_path / "odd.toml"
    path.write_text(to_toml(layout), encoding="utf-8")

    assert load(str(path)) == layout


def test_a_text_stands_for_a_list_of_one(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    lists = written(tmp_path, GOOD.replace('gates = "update"', 'gates = ["update"]'), "lists.toml")

    assert load(path).tensors == load(lists).tensors


@pytest.mark.parametrize("case", WRONG)
def test_wrong_descriptions_are_refused_with_line_and_key(case: str, tmp_path: Path) -> None:
    wrong = WRONG[case]
    path = written(tmp_path, wrong.text)

    with pytest.raises(LayoutError) as caught:
        load(path)

    assert str(caught.value) == f"{path}{wrong.told}"


def test_text_that_is_no_toml(tmp_path: Path) -> None:
    path = written(tmp_path, "name = d2l\n")

    with pytest.raises(
        LayoutError, match=r"my_gru\.toml: this is not TOML: Invalid value \(at line 1, column 8\)$"
    ):
        load(path)


@pytest.mark.parametrize(
    "content",
    [b"a = " + b"[" * 20_000, b"a = " + b"9" * 5_000, b"name = '\xff'", b"a = 1\na = 2"],
    ids=["deep", "long number", "no UTF-8", "twice"],
)
def test_hostile_files_are_no_toml(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hostile.toml"
    path.write_bytes(content)

    with pytest.raises(LayoutError, match=r"hostile\.toml: this is not TOML: "):
        load(path)


@pytest.mark.parametrize("content", [b"#" * (65 << 10), b"\n" * 1001], ids=["bytes", "lines"])
def test_large_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_bytes(content)

    with pytest.raises(
        UnsafeFileError, match=r"large\.toml: a layout takes a few lines; this file has [0-9]+ "
    ):
        load(path)


def test_names_of_the_file_are_escaped(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + '\n"\\u001b[31m" = 1\n')

    with pytest.raises(LayoutError, match=r"tensors\.\\x1b\[31m: expected a table; received the int 1$"):
        load(path)


def test_unknown_names_and_missing_files() -> None:
    with pytest.raises(
        LayoutError, match=r"^no layout is called 'd2k'\. Did you mean 'd2l'\? Known: concat-hx, "
    ):
        load("d2k")
    with pytest.raises(FileFormatError, match=r"^nowhere\.toml: there is no such file$"):
        load("nowhere.toml")
