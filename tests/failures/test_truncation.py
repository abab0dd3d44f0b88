"""A source that is cut off while it is read, as by a program that saves it anew: an error, no crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.large import random_spec
from grubridge import write
from grubridge.files.unfinished import PREFIX

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="no SIGBUS on this system")


@pytest.mark.parametrize("ending", [".pt", ".h5", ".onnx"])
def test_a_source_that_becomes_shorter(ending: str, tmp_path: Path) -> None:
    source, folder = tmp_path / "source.safetensors", tmp_path / "out"
    write(random_spec(2400), source)
    folder.mkdir()
    target = folder / f"target{ending}"
    target.write_bytes(b"old")
    command = [
        str(Path(sys.executable).with_name("grubridge")),
        "convert",
        str(source),
        str(target),
        "--force",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 30
        while not list(folder.glob(f"{PREFIX}*/*")) and time.monotonic() < deadline:
            time.sleep(0.001)
        os.truncate(source, 5000)
        stdout, stderr = running.communicate(timeout=30)

    assert (running.returncode, stdout) == (2, "")
    assert stderr.endswith("; wait until the program that writes it is done, and try again\n")
    assert stderr.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == [target.name]
    assert target.read_bytes() == b"old"
