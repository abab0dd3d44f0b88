"""Ctrl-C and `kill` as the entry point takes them: whatever runs, and wherever they come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

COMMANDS = {
    # typer has its own ideas of Ctrl-C; the command holds a folder, as verify does
    "a command": """
        def wait():
            with tempfile.TemporaryDirectory():
                print("started", flush=True)
                time.sleep(60)
    """,
    # Python can raise nothing in a finaliser: it tells that an exception was ignored, and goes on
    "a finaliser": """
        class Slow:
            def __del__(self):
                print("started", flush=True)
                time.sleep(60)
        def wait():
            with tempfile.TemporaryDirectory():
                Slow()
                time.sleep(60)
    """,
    # modules that a signal cuts off in their import may be in no state to be tidied up
    "a crash at the end": """
        class Broken:
            def __del__(self):
                os.abort()
        sys.modules["broken"] = Broken()
        def wait():
            with tempfile.TemporaryDirectory():
                print("started", flush=True)
                time.sleep(60)
    """,
    # as an import of a module in C does
    "another exception": """
        def wait():
            with tempfile.TemporaryDirectory():
                print("started", flush=True)
                try:
                    time.sleep(60)
                except BaseException as error:
                    raise ImportError("it could not be imported") from error
    """,
    # what was made, but not yet in the hands of a `with` block
    "a folder that nobody holds": """
        def wait():
            global held
            held = tempfile.TemporaryDirectory()
            print("started", flush=True)
            time.sleep(60)
    """,
}


@pytest.mark.parametrize(("signal_name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_unwinds_and_is_no_verdict(
    command: str, signal_name: str, code: int, tmp_path: Path
) -> None:
    before = """
        import os, signal, sys, tempfile, time, typer
        from cli import main
    """
    after = """
        app = typer.Typer()
        app.command()(wait)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["wait"]
        main._command = lambda: app(standalone_mode=False)
        main.main()
    """
    script = "".join(map(textwrap.dedent, (before, COMMANDS[command], after)))
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
        running.send_signal(getattr(signal, signal_name))
        _, told = running.communicate(timeout=30)

    assert (running.returncode, told) == (code, "interrupted\n")
    assert list(tmp_path.iterdir()) == []
