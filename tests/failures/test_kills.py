"""SIGKILL at any instant of a conversion: the old file or the new one; the next run removes what was left."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import grubridge as library
from benchmarks.kills import in_a_process
from grubridge.files.unfinished import PREFIX
from tests.zoo import member

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@pytest.mark.parametrize(("source", "target"), [(".safetensors", ".pt"), (".pt", ".h5"), (".h5", ".onnx")])
def test_a_killed_conversion_leaves_the_old_file_or_the_new_one(
    source: str, target: str, tmp_path: Path
) -> None:
    found = in_a_process(tmp_path, source, target, size=800, kills=120)

    assert (found.torn, found.litter) == (0, 0)
    assert found.old + found.new == 120
    assert found.midway >= 12, "the kills have to come while the file is written"
    assert found.old >= 12


HOLDING = """
import sys, time
from pathlib import Path
from grubridge.files.staging import staged
with staged(Path(sys.argv[1]), force=True) as new:
    new.write_text("unfinished")
    print(new.parent.name, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_has_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "target.pt"
    with (
        subprocess.Popen([sys.executable, "-c", HOLDING, target], stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen([sys.executable, "-c", HOLDING, target], stdout=subprocess.PIPE, text=True) as other,
    ):
        assert one.stdout is not None
        assert other.stdout is not None
        killed, living = one.stdout.readline().strip(), other.stdout.readline().strip()
        one.kill()
        one.wait()
        left = {path.name for path in tmp_path.iterdir()}
        library.write(member("reset_after"), target)
        after = {path.name for path in tmp_path.iterdir()}
        other.terminate()

    assert killed.startswith(PREFIX)
    assert left == {killed, living}
    assert after == {living, "target.pt"}


def test_a_folder_that_is_taken_for_left_over_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the making of a folder and its lock, another run may lock it, or have removed it."""
    tries: list[int] = []
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        tries.append(descriptor)
        if len(tries) <= 2:
            (folder,) = tmp_path.glob(f"{PREFIX}*")
            folder.rmdir()
        if len(tries) == 1:
            raise BlockingIOError
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    library.write(member("reset_after"), tmp_path / "target.pt")

    assert len(tries) == 3
    assert (tmp_path / "target.pt").is_file()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    other = tmp_path / f"{PREFIX}other"
    other.mkdir()
    monkeypatch.setattr(fcntl, "flock", flock)
    library.write(member("reset_after"), tmp_path / "target.pt")

    assert {path.name for path in tmp_path.iterdir()} == {"target.pt", other.name}


def test_a_killed_check_leaves_the_old_lock_or_the_new_one(tmp_path: Path) -> None:
    """Written and written anew, as fast as it goes, by a process that is killed at twenty instants."""
    path = tmp_path / "grubridge.lock.json"
    writing = (
        "import itertools, sys\nfrom pathlib import Path\nfrom grubridge.files.staging import replace_file\n"
        "print(flush=True)\n"
        "for number in itertools.count():\n"
        "    replace_file(Path(sys.argv[1]), b'[' + b'%d, ' % (number % 10) * 50_000 + b'0]')\n"
    )
    for number in range(20):
        with subprocess.Popen([sys.executable, "-c", writing, path], stdout=subprocess.PIPE) as running:
            assert running.stdout is not None
            running.stdout.readline()
            time.sleep(0.004 + 0.0013 * number)
            running.send_signal(signal.SIGKILL)
        words = path.read_bytes()
        assert (len(words), len(set(words[1:-2].split()))) == (150_003, 1)
