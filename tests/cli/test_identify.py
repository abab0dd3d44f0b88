"""grubridge identify, run as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.cli.command import grubridge

CELLS = Path(__file__).resolve().parents[2] / "samples" / "cells"
PAIR = (CELLS / "split-linear.pt", "--example", CELLS / "split-linear.npz")


def test_what_is_found_can_be_used(tmp_path: Path) -> None:
    ended = grubridge("identify", *PAIR, "--out", "own.toml", cwd=tmp_path)

    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{PAIR[0]}: the shipped layout split-linear, behind gru.\n")
    assert ended.stdout.endswith("\nwritten: own.toml\nto use it: --layout split-linear\n")
    converted = grubridge("convert", PAIR[0], "m.keras", "--layout", "own.toml", cwd=tmp_path)
    assert (converted.code, converted.stderr) == (0, "")


def test_json_is_one_document(tmp_path: Path) -> None:
    ended = grubridge("identify", *PAIR, "--json", cwd=tmp_path)

    values = json.loads(ended.stdout)
    assert (ended.code, ended.stderr, values["ambiguous"]) == (0, "", False)
    assert values["fits"][0]["layout"]["name"] == "split-linear"
    assert values["written"] is None


def test_nothing_fits_is_an_error(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 8))
    np.savez(tmp_path / "other.npz", x=x, hidden=np.tanh(x))

    ended = grubridge(
        "identify", CELLS / "d2l-update-only.pt", "--example", "other.npz", "--json", cwd=tmp_path
    )

    assert ended.code == 2
    assert json.loads(ended.stdout)["error"]["kind"] == "IdentificationError"
    assert ended.stderr.startswith(f"error: {CELLS / 'd2l-update-only.pt'}: no layout explains other.npz; ")
    assert not list(tmp_path.glob("*.toml"))


def test_an_existing_layout_is_kept(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("mine")

    ended = grubridge("identify", *PAIR, "--out", "own.toml", cwd=tmp_path)

    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        "error: own.toml: the file exists; choose another name, or replace it with --force\n"
    )
    assert (tmp_path / "own.toml").read_text() == "mine"
