"""--html: a page beside the usual answer, atomically, in the place of an old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from .command import grubridge

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SOURCE = SAMPLES / "digits_two_layer.pt"


def test_trace_writes_a_page_and_prints_its_text(tmp_path: Path) -> None:
    page = tmp_path / "gates.html"
    page.write_text("an old page", encoding="utf-8")
    ended = grubridge("trace", SOURCE, "--backend", "reference", "--html", page)

    assert (ended.code, ended.stderr) == (0, "")
    assert "layer 1 forward, 16 units" in ended.stdout
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "Which unit, and when?" in page.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [page]


def test_trace_prints_json_beside_a_page(tmp_path: Path) -> None:
    ended = grubridge("trace", SOURCE, "--backend", "reference", "--html", tmp_path / "p.html", "--json")

    assert ended.stdout.startswith('{\n  "schema_version": 1')
    assert (tmp_path / "p.html").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--html", "{here}/none/p.html"], "the folder {here}/none does not exist; create it first"),
        (["--html", "{here}"], "{here} is a folder; name a file in it"),
        (["--html", "{source}"], "{source} is read by this run, and no report may replace it"),
        (["--html", "{here}/t.npz", "--out", "{here}/t.npz"], "--out and --html both name {here}/t.npz"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused_before_the_run(
    options: list[str], said: str, tmp_path: Path
) -> None:
    names = {"here": tmp_path, "source": SOURCE}
    ended = grubridge("trace", SOURCE, *(option.format(**names) for option in options))

    assert ended.code == 2
    assert said.format(**names) in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("torch")
def test_verify_writes_a_page_with_all_pictures(tmp_path: Path) -> None:
    wrong = SAMPLES / "wrong" / "source.pt"
    ended = grubridge("verify", wrong, wrong, "--html", tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text(encoding="utf-8")

    assert ended.code == 0
    assert ended.stdout.splitlines()[-1].startswith("EQUIVALENT: the files are one function")
    for heading in ("Does the error stay", "Where does each weight go?", "Which unit, and when?"):
        assert heading in page
