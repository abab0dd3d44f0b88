"""TOML that was written to take long, or to break the words about it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from grubridge.errors import ManifestError
from grubridge.suite.reading import read_manifest

MANY = ".".join("a" * 3000)

CASES = {
    "a long number": ("version = 0x" + "f" * 5000, "m.toml: a number of more than 100 digits"),
    "digits": ("version = " + "9" * 4000, "m.toml: a number of more than 100 digits"),
    "parts": (f"version.{MANY} = 1", "m.toml, line 1: a key of more than 64 parts"),
    "quoted parts": (
        "version = 1\n" + '"a".' * 100_000 + "a = 1",
        "m.toml, line 2: a key of more than 64 parts",
    ),
    "parts between quotes": (
        "version = 1\n" + '"\\"".' + "a." * 100_000 + '"x" = 1',
        "m.toml, line 2: a key of more than 64 parts",
    ),
    "lists in lists": (
        "version = " + "[" * 300 + "]" * 300,
        "m.toml, line 1: version: expected a whole number; received the list " + "[" * 57 + "...",
    ),
    "a value that hides its line": (
        "version = 1\nx=[\n" + "1,\n" * 30_000 + "]",
        "m.toml: x: unknown key. Known: allow_outside, defaults, pair, version",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_is_refused_at_once(case: str, tmp_path: Path) -> None:
    text, told = CASES[case]
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    start = time.process_time()
    with pytest.raises(ManifestError) as caught:
        read_manifest(tmp_path / "m.toml")

    assert str(caught.value) == f"{tmp_path}/{told}"
    assert time.process_time() - start < 20  # minutes and more, before


def test_a_large_manifest_has_lines_still(tmp_path: Path) -> None:
    pairs = [
        f'[[pair]]\nartifacts = ["models/v1.2.{i}/a.keras", "models/v1.2.{i}/a.onnx"]\n' for i in range(800)
    ]
    pairs[700] += "sed = 1\n"
    (tmp_path / "m.toml").write_text("version = 1\n" + "".join(pairs), encoding="utf-8")
    with pytest.raises(ManifestError, match=r"m\.toml, line 1404: pair\.sed: unknown key"):
        read_manifest(tmp_path / "m.toml")


def test_dots_of_paths_and_comments_are_no_parts_of_keys(tmp_path: Path) -> None:
    names = ", ".join(f'"../models.{i}/a.onnx"' for i in range(50))
    text = f"version = 1  # {'.' * 100}\nallow_outside = true\n[[pair]]\nartifacts = [{names}]\n"
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")

    assert len(read_manifest(tmp_path / "m.toml").pairs[0].artifacts) == 50
