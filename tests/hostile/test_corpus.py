"""Broken and malicious files, through the command line: each is read, or refused in one line; no more."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from .corner import SECRET, Case, Corner, Expected
from .general_cases import general, safetensors
from .keras_cases import configurations, hdf5, zips
from .onnx_cases import external, graphs
from .pytorch_cases import pickles, records
from .run import Job, Outcome

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the runner forks")

_PARTS = (general, safetensors, zips, configurations, hdf5, pickles, records, external, graphs)
_CODES: dict[Expected, tuple[int, ...]] = {"refused": (2,), "read": (0,), "warned": (0,), "either": (0, 2)}
_COMMANDS = {"inspect": [], "convert": ["{out}/new.onnx"], "skip": ["--skip-unsafe"]}


def _outcomes(jobs: list[Job], folder: Path) -> Iterator[Outcome]:
    file = folder / "jobs.json"
    file.write_text(json.dumps([asdict(job) for job in jobs]), encoding="utf-8")
    command = [sys.executable, "-m", "tests.hostile.run", str(file)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return (Outcome(**one) for one in json.loads(done.stdout))


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corner, list[Case]]:
    corner = Corner(tmp_path_factory.mktemp("corner"))
    made = [case for part in _PARTS for case in part(corner)]
    corner.make(made)
    return corner, [case for case in made if case.expected != "beside"]


def _wrong(path: Path, expected: Expected, told: str, outcome: Outcome) -> list[str]:
    """Return what is not as it should be."""
    wrong = list(outcome.broken)
    if outcome.code not in _CODES[expected]:
        wrong.append(f"exit code {outcome.code} where it should be {expected}")
    if outcome.code == 2:
        lines = outcome.stderr.splitlines()
        if len(lines) != 1 or not lines[0].startswith(f"error: {path}"):
            wrong.append("not one line with the file")
        if not re.search(told, outcome.stderr):
            wrong.append(f"not told: {told}")
        if outcome.left:
            wrong.append(f"left {outcome.left}")
    if expected == "warned" and "holds NaN or infinity" not in outcome.stderr:
        wrong.append("no warning")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202e]", outcome.stdout + outcome.stderr):
        wrong.append("control characters on the terminal")
    return [f"{path.name}: {what}: {outcome.stderr[-300:]}" for what in wrong]


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_every_case(command: str, cases: tuple[Corner, list[Case]], tmp_path: Path) -> None:
    corner, made = cases
    jobs = [
        Job([command, str(corner.home / case.name), *_COMMANDS[command]],
            str(corner.home), str(corner.canary), SECRET.decode())
        for case in made
    ]  # fmt: skip
    found = [
        wrong
        for case, outcome in zip(made, _outcomes(jobs, tmp_path), strict=True)
        for wrong in _wrong(corner.home / case.name, case.expected, case.told, outcome)
    ]
    assert not found, "\n".join(found)
    assert len(made) > 150


def test_stored_code_is_skipped(cases: tuple[Corner, list[Case]], tmp_path: Path) -> None:
    """With --skip-unsafe the GRU beside it is read, and still nothing is run or opened."""
    corner, made = cases
    holding = [case for case in made if "Python bytecode" in case.told or "takes its" in case.told]
    jobs = [
        Job([command, "--skip-unsafe", str(corner.home / case.name), *_COMMANDS[command]],
            str(corner.home), str(corner.canary), SECRET.decode())
        for case in holding
        for command in ("inspect", "convert")
    ]  # fmt: skip
    outcomes = list(_outcomes(jobs, tmp_path))

    assert len(outcomes) == 2 * len(holding) >= 10
    for outcome in outcomes:
        assert (outcome.code, outcome.broken) == (0, []), outcome.stderr


def test_the_runner_sees_what_must_not_happen(tmp_path: Path) -> None:
    """A command that prints the secret and makes the canary is caught: the other tests would see it too."""
    corner = Corner(tmp_path)
    readable = corner.home / "run.csv"
    readable.write_bytes((corner.outside / "secret.bin").read_bytes())
    link = corner.home / "link.keras"
    link.symlink_to(corner.secret())
    (corner.home / "whole.onnx").write_bytes(corner.good["onnx"])
    home, canary = str(corner.home), str(corner.canary)
    jobs = [
        Job(["inspect", str(link)], home, canary, SECRET.decode()),
        Job(
            ["convert", str(corner.home / "whole.onnx"), str(corner.outside / "new.pt")],
            home,
            canary,
            "x" * 64,
        ),
        Job(["convert", str(corner.home / "whole.onnx"), canary, "--to", "pytorch"], home, canary, "x" * 64),
    ]
    opened, wrote, ran = _outcomes(jobs, tmp_path)

    assert any(event.startswith("opened") and "secret.bin" in event for event in opened.broken)
    assert "it wrote into the folder of the file, or outside" in wrote.broken
    assert "it ran what the file holds" in ran.broken


@pytest.fixture(scope="module")
def corpus(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "all"
    subprocess.run(
        [sys.executable, str(hostile / "gen_hostile.py"), str(folder)], check=True, capture_output=True
    )
    return folder


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_the_whole_corpus(command: str, corpus: Path, tmp_path: Path) -> None:
    manifest = json.loads((corpus / "manifest.json").read_text(encoding="utf-8"))
    meant: dict[str, Expected] = {"error": "refused", "ok": "read", "warn": "warned", "any": "either"}
    files = [(corpus / case["file"], meant[case["expect"]]) for case in manifest["cases"]]
    jobs = [
        Job([command, str(path), *_COMMANDS[command]],
            str(corpus / "files"), manifest["canary"], manifest["secret"])
        for path, _ in files
    ]  # fmt: skip
    found = [
        wrong
        for (path, expected), outcome in zip(files, _outcomes(jobs, tmp_path), strict=True)
        for wrong in _wrong(path, expected, "", outcome)
        if not (path.is_symlink() and "opened" in wrong)  # the user's own link may be followed
    ]
    assert not found, "\n".join(found)
    assert len(files) == 265
