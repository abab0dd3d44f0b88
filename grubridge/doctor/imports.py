"""Whether installed packages can be imported: each is tried in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from grubridge.files.child_environment import child_environment
from grubridge.files.interrupts import deferred_signals
from grubridge.files.text import printable

__all__ = ["failed_imports"]

_SECONDS = 120.0
_LAST_LINES = 6
_LONGEST = 500
_MODULES = {"protobuf": "google.protobuf"}
"""What a distribution is imported as, where it is not by its own name."""

_IMPORT = """
import importlib, sys
try:
    importlib.import_module(sys.argv[1])
except BaseException as error:
    print(f"{type(error).__name__}: {error}", flush=True)
    sys.exit(1)
"""


def failed_imports(names: Sequence[str]) -> dict[str, str]:
    """Import each of these packages, all at once, and return the last words of those that fail."""
    with TemporaryDirectory(prefix="grubridge-") as folder:
        tried: list[_Import] = []
        try:
            for name in names:
                with deferred_signals():
                    tried.append(_Import(name, Path(folder)))
            deadline = time.monotonic() + _SECONDS
            words = {one.name: one.last_words(deadline) for one in tried}
        finally:
            for one in tried:
                one.end()
    return {name: said for name, said in words.items() if said}


class _Import:
    """One package and the process that imports it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.txt"
        module = _MODULES.get(name, name.lower().replace("-", "_"))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _IMPORT, module],
                cwd=folder,
                env=child_environment(str(folder)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.DEVNULL,
            )

    def last_words(self, deadline: float) -> str:
        """Wait until `deadline` and return what the process said last; "" when the import succeeded."""
        try:
            code = self._process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            return f"it was not imported within {_SECONDS:g} s"
        if code == 0:
            return ""
        if code < 0:
            return f"its import was killed by {signal.Signals(-code).name}"
        log = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        lines = [printable(line, _LONGEST) for line in log if line.strip()]
        return "\n".join(lines[-_LAST_LINES:]) or f"its import ended with exit code {code}"

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
