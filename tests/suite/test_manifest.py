"""Manifests out of TOML files: what they say, and what is wrong told with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from grubridge.checker.findings import Tolerance
from grubridge.errors import FileFormatError, ManifestError, UnsafeFileError
from grubridge.suite.manifest import Inputs
from grubridge.suite.reading import find_manifest, read_manifest
from tests.suite.manifests import GOOD, WRONG


def written(folder: Path, text: str, name: str = "grubridge.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_manifest_says(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    kws, old = read_manifest(path).pairs

    assert (kws.name, kws.artifacts) == ("kws", ("models/kws.keras", "models/kws.onnx", "models/kws.pt"))
    assert (kws.map, kws.stack, kws.xfail, kws.timeout) == ({"gru": "gru_1"}, None, None, None)
    assert (kws.inputs, kws.device) == (Inputs(seed=3, steps=12), "cpu")
    assert kws.tolerance == Tolerance(1e-5, 0)
    assert (kws.line, old.line) == (8, 13)
    assert kws.path(kws.artifacts[0]) == tmp_path / "models" / "kws.keras"

    # a pair's own value takes the place of the whole default
    assert (old.name, old.artifacts) == ("old.{h5,onnx}", ("old.h5", "old.onnx"))
    assert old.inputs == Inputs(batch=2, lengths=(7, 24))
    assert old.tolerance == Tolerance(0, 0.5)
    assert (old.device, old.xfail, old.timeout) == ("cpu", "quantised, see the ticket", 2.5)


def test_six_lines_are_enough(tmp_path: Path) -> None:
    text = """\
version = 1

[[pair]]
artifacts = ["model.keras", "model.onnx"]
[[pair]]
artifacts = ["model.keras", "deep/model.pt"]
"""
    first, second = read_manifest(written(tmp_path, text)).pairs

    assert (first.name, first.line) == ("model.{keras,onnx}", 3)
    assert (second.name, second.line) == ("model.keras, deep/model.pt", 5)
    assert first.settings() == {"artifacts": ("model.keras", "model.onnx")}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_manifests_are_refused_with_line_and_key(case: str, tmp_path: Path) -> None:
    wrong = WRONG[case]
    path = written(tmp_path, wrong.text)

    with pytest.raises(ManifestError) as refused:
        read_manifest(path)

    told = f"{path}{wrong.told}"
    assert str(refused.value)[: len(told)] == told
    assert str(refused.value) == told or told.endswith("Known: ")


def test_a_manifest_in_pyproject(tmp_path: Path) -> None:
    text = """\
[project]
name = "x"

[tool.grubridge]
version = 1
[[tool.grubridge.pair]]
artifacts = ["a.pt"]
"""
    path = written(tmp_path, text, "pyproject.toml")

    assert find_manifest(tmp_path) == path
    (pair,) = read_manifest(path).pairs
    assert (pair.artifacts, pair.line) == (("a.pt",), 6)

    path.write_text(text.replace("artifacts", "artefacts"), encoding="utf-8")
    with pytest.raises(
        ManifestError,
        match=r"pyproject\.toml, line 7: tool\.grubridge\.pair\.artefacts: unknown key\. Did you",
    ):
        read_manifest(path)

    own = written(tmp_path, "version = 1\n")  # goes before it
    assert find_manifest(tmp_path) == own
    assert read_manifest(own).pairs == ()


@pytest.mark.parametrize("text", ["[tool.ruff]\n", "tool = 3\n", "[project]\n"])
def test_no_manifest_is_found(text: str, tmp_path: Path) -> None:
    written(tmp_path, text, "pyproject.toml")

    with pytest.raises(
        ManifestError, match=r"^there is no grubridge\.toml here, and no pyproject\.toml with"
    ):
        find_manifest(tmp_path)
    with pytest.raises(ManifestError, match=r"pyproject\.toml(, line 1: tool)?: "):
        read_manifest(tmp_path / "pyproject.toml")


def test_headings_inside_texts_are_not_taken_for_pairs(tmp_path: Path) -> None:
    text = 'version = 1\n[[pair]]\nartifacts = ["a.pt"]\nxfail = """\n[[pair]]\n"""\n'
    (pair,) = read_manifest(written(tmp_path, text)).pairs

    assert pair.line is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_manifest_of_another_editor(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "grubridge.toml").write_bytes(GOOD.replace("\n", "\r\n").encode(encoding))
    pairs = read_manifest(tmp_path / "grubridge.toml").pairs

    assert [(pair.name, pair.line) for pair in pairs] == [("kws", 8), ("old.{h5,onnx}", 13)]


def test_links_that_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "models").symlink_to(tmp_path / "outside")
    text = '\n[[pair]]\nartifacts = ["models/a.pt", "b/../c.pt"]\n'

    with pytest.raises(
        ManifestError,
        match=r"grubridge\.toml, line 3: pair\.artifacts: models/a\.pt is outside the manifest's",
    ):
        read_manifest(written(inside, f"version = 1{text}"))
    (pair,) = read_manifest(written(inside, f"version = 1\nallow_outside = true{text}")).pairs
    assert pair.files() == ("models/a.pt", "b/../c.pt")


def test_every_file_of_a_pair(tmp_path: Path) -> None:
    text = """\
version = 1
[[pair]]
artifacts = ["a.pt", "b.onnx"]
inputs = "x.npz"
example = "run.npz"
layout = "mine.toml"
[[pair]]
artifacts = ["c.pt"]
layout = "d2l"
"""
    described, shipped = read_manifest(written(tmp_path, text)).pairs

    assert described.files() == ("a.pt", "b.onnx", "x.npz", "run.npz", "mine.toml")
    assert shipped.files() == ("c.pt",)


def test_runtimes_and_device_of_the_command_line(tmp_path: Path) -> None:
    manifest = read_manifest(written(tmp_path, GOOD))

    changed = manifest.overridden(("pytorch",), "cuda:1")
    assert {(pair.backends, pair.device) for pair in changed.pairs} == {(("pytorch",), "cuda:1")}
    assert manifest.overridden(None, None) == manifest


def test_files_that_are_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nowhere\.toml: there is no such file$"):
        read_manifest(tmp_path / "nowhere.toml")
    with pytest.raises(ManifestError, match=r"this is not TOML: "):
        read_manifest(written(tmp_path, "version 1\n"))
    with pytest.raises(UnsafeFileError, match=r"a manifest takes a few lines for each pair; this file has"):
        read_manifest(written(tmp_path, "\n" * 100_001))
