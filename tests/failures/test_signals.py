"""Ctrl-C and kill: at once, quietly, with exit code 130 or 143, and nothing left of the run."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import grubridge as library
from benchmarks.large import random_spec
from tests.cli.command import grubridge
from tests.failures.running import stopped
from tests.zoo import make_spec

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to see processes in")

SENT = {
    "Ctrl-C": (signal.SIGINT, True, 130),
    "SIGINT to the first process": (signal.SIGINT, False, 130),
    "SIGTERM": (signal.SIGTERM, False, 143),
}


@dataclass(frozen=True)
class Working:
    """A command, and when it has something to leave behind.

    Args:
        arguments: of grubridge.
        wait: seconds until the signal, from when it is handled.
        children: or from the start of its first child.
    """

    arguments: tuple[str, ...]
    wait: float
    children: bool = True


COMMANDS = {
    "verify": Working(("verify", "a.pt", "b.onnx"), 0.3),
    "check": Working(("check", "grubridge.toml", "--jobs", "1"), 0.3),
    "check of several": Working(("check", "grubridge.toml", "--jobs", "2"), 0.8),
    "trace": Working(("trace", "a.pt"), 0.3),
    "doctor": Working(("doctor",), 0.3),
    "identify": Working(("identify", "a.pt", "--example", "foreign.npz"), 1.0, children=False),
    "explain": Working(("explain", "long.safetensors", "--inputs", "long.npz"), 0.6, children=False),
}


@pytest.fixture(scope="module", name="files")
def _files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name in ("a.pt", "b.onnx"):
        library.write(make_spec("small"), folder / name)
    library.write(random_spec(500), folder / "long.safetensors")
    x = np.random.default_rng(0).normal(size=(1, 900, 500)).astype(np.float32)
    np.savez(folder / "long.npz", x=x)
    np.savez(folder / "foreign.npz", x=np.ones((2, 9, 5), np.float32), hidden=np.ones((2, 9, 7), np.float32))
    pair = '[[pair]]\nartifacts = ["a.pt", "b.onnx"]\ninputs = {{ seed = {} }}\nname = "{}"\n'
    pairs = "".join(pair.format(number, number) for number in range(4))
    (folder / "grubridge.toml").write_text(f"version = 1\n{pairs}", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("torch", "onnxruntime")
@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_stopped(command: str, sent: str, files: Path, tmp_path: Path) -> None:
    working, (number, to_all, code) = COMMANDS[command], SENT[sent]
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    named = [files / one if (files / one).exists() else one for one in working.arguments]
    ended = stopped(
        list(named),
        number,
        to_all=to_all,
        temporary=tmp_path / "tmp",
        wait=working.wait,
        children=working.children,
    )

    assert (ended.code, ended.stdout, ended.stderr) == (code, "", "interrupted\n")
    assert ended.seconds < 2
    assert ended.left == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


@pytest.mark.parametrize("sent", SENT)
def test_a_conversion_that_is_stopped_anywhere(sent: str, tmp_path: Path) -> None:
    """At instants from its start to its end; one that was done before the signal is done."""
    source, target = tmp_path / "large.safetensors", tmp_path / "out" / "target.h5"
    library.write(random_spec(1200), source)
    target.parent.mkdir()
    number, to_all, code = SENT[sent]
    stops = 0
    for wait in np.linspace(0, 0.5, 11):
        target.write_bytes(b"old")
        ended = stopped(
            ["convert", source, target, "--force"],
            number,
            to_all=to_all,
            temporary=tmp_path / "tmp",
            wait=float(wait),
            children=False,
        )
        if ended.code == code:
            stops += 1
            assert ended.stderr == "interrupted\n"
            assert ended.seconds < 2
        else:
            assert (ended.code, ended.stderr) == (0, "")
            assert target.read_bytes() != b"old"
        assert ended.left == []
        assert list((tmp_path / "tmp").iterdir()) == []
        assert [path.name for path in target.parent.iterdir()] == [target.name]
        if target.read_bytes() != b"old":
            assert library.list_stacks(target)
    assert stops >= 3


@pytest.mark.usefixtures("torch", "onnxruntime")
def test_a_check_that_is_stopped_keeps_the_lock_it_had(files: Path, tmp_path: Path) -> None:
    for name in ("a.pt", "b.onnx", "grubridge.toml"):
        (tmp_path / name).write_bytes((files / name).read_bytes())
    manifest, lock = tmp_path / "grubridge.toml", tmp_path / "grubridge.lock.json"
    assert grubridge("check", manifest).code == 0
    before = lock.read_bytes()
    ended = stopped(
        ["check", manifest, "--no-cache"],
        signal.SIGINT,
        to_all=True,
        temporary=tmp_path / "tmp",
        wait=0.8,
        children=True,
    )

    assert ended.code == 130
    assert lock.read_bytes() == before
    assert grubridge("check", manifest, "--locked").code == 0
