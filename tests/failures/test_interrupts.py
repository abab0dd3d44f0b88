"""A signal may be raised between any two steps of Python's: at each of them, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import pytest

import grubridge.files.staging
import grubridge.files.unfinished
from grubridge.files.interrupts import deferred_signals
from grubridge.files.staging import staged_together
from grubridge.files.unfinished import remove_own

if TYPE_CHECKING:
    from _typeshed import TraceFunction

OWN = (grubridge.files.staging.__file__, grubridge.files.unfinished.__file__)


def interrupted(work: Callable[[], object], step: int) -> bool:
    """Do the work until its `step`, an instruction of the modules that are tried or a line of others; Ctrl-C.

    Returns:
        Whether there was such a step.
    """
    left = step

    def trace(frame: FrameType, event: str, _: object) -> TraceFunction:
        nonlocal left
        frame.f_trace_opcodes = frame.f_code.co_filename in OWN
        if event == "opcode" or (event in {"line", "call"} and not frame.f_trace_opcodes):
            left -= 1
            if not left:
                signal.raise_signal(signal.SIGINT)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files that nobody closed
@pytest.mark.parametrize(
    ("models", "names"),
    [
        (("model.pt",), ("model.pt",)),
        (("model.pt", "model.onnx"), ("model.pt", "model.onnx")),
        (("model.onnx",), ("model.onnx", "model.onnx.data")),
    ],
    ids=["one file", "several", "a model and its data"],
)
def test_a_write_that_is_interrupted_at_any_step(
    models: tuple[str, ...], names: tuple[str, ...], tmp_path: Path
) -> None:
    files = [tmp_path / name for name in names]

    def write() -> None:
        with staged_together([tmp_path / name for name in models], force=True) as folder:
            for name in names:
                (folder / name).write_text("new")

    stops = {"old": 0, "new": 0}
    step, worked = 0, True
    while worked:
        step += 3  # of some thousand
        for file in files:
            file.write_text("old")
        worked = interrupted(write, step)
        remove_own()  # as the interpreter does when it ends

        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names), f"at step {step}"
        (found,) = {file.read_text() for file in files}
        stops[found] += 1
    assert min(stops.values()) > 10


def test_what_an_interpreter_has_not_unwound_is_removed_when_it_ends(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from grubridge.files.unfinished import unfinished_folder\n"
        "context = unfinished_folder(Path(sys.argv[1])); print(context.__enter__().name)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True, timeout=60
    )

    assert ended.stdout.startswith(grubridge.files.unfinished.PREFIX)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_process_that_was_forked_off_leaves_the_folders_of_its_parent(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from grubridge.files.unfinished import unfinished_folder\n"
        "with unfinished_folder(Path(sys.argv[1])) as folder:\n"
        "    child = os.fork()\n"
        "    if not child: sys.exit()\n"
        "    os.waitpid(child, 0)\n"
        "    print(folder.is_dir())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True, timeout=60
    )

    assert ended.stdout.splitlines()[-1] == "True"
    assert list(tmp_path.iterdir()) == []


def test_signals_wait_for_the_end_of_what_is_not_to_be_cut() -> None:
    reached: list[str] = []
    handler = signal.getsignal(signal.SIGINT)

    def start() -> None:
        with deferred_signals():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        start()

    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is handler
