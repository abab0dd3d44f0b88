"""Child processes that answer requests: a line of JSON in for each, lines of JSON out. Both ends of them.

What a framework prints goes to the process's log, which is kept for the case that the process dies.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .child_environment import child_environment
from .text import printable

__all__ = ["ChildProcess", "Ended", "Message", "Parent"]

Message = dict[str, Any]
"""JSON values."""

_LAST_LINES = 6


class Ended(Exception):  # noqa: N818 - that a process has ended need be no error
    """A child has ended before it answered, or had to be ended; the message says how, with its last words.

    Attributes:
        late: whether its time was over.
    """

    def __init__(self, message: str, *, late: bool = False) -> None:
        super().__init__(message)
        self.late = late


class ChildProcess:
    """The parent's end: a process that runs `python -m MODULE ARGUMENT...` in a new folder of its own."""

    def __init__(self, module: str, *arguments: str, threads: int | None = None) -> None:
        """Start the process, whose matrix products take so many `threads`: see `child_environment`.

        Raises:
            OSError: when the system refuses the process or its folder.
        """
        self._folder = TemporaryDirectory(prefix="grubridge-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name) / "log.txt"
        self._heard = 0
        self._gave_up = threading.Event()
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    cwd=self._folder.name,
                    env=child_environment(self._folder.name, threads),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
        except OSError:
            self._folder.cleanup()
            raise

    def tell(self, message: Message) -> None:
        """Send a message; one that has ended does not hear it, and `hear` says so."""
        self._heard = self._log.stat().st_size
        try:
            self._stdin.write(json.dumps(message).encode() + b"\n")
            self._stdin.flush()
        except BrokenPipeError:
            pass

    def hear(self, timeout: float | None = None) -> Message:
        """Return the next message.

        Args:
            timeout: the seconds after which the process is ended; None waits for as long as it takes.

        Raises:
            Ended: when there is none.
        """
        timer = None if timeout is None else threading.Timer(timeout, self._give_up)
        try:
            if timer is not None:
                timer.start()
            line = self._stdout.readline()
        finally:
            if timer is not None:
                timer.cancel()
        if line.endswith(b"\n"):
            message: Message = json.loads(line)
            return message
        ending = self._ending(timeout)
        raise Ended(ending, late=self._gave_up.is_set())

    def kill(self) -> None:
        """End the process; any thread may do so, and who listens to it is told."""
        self._process.kill()

    def close(self) -> None:
        """End the process and remove its folder."""
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()
        self._folder.cleanup()

    @property
    def folder(self) -> Path:
        """Its working folder, which is removed with it."""
        return Path(self._folder.name)

    @property
    def _stdin(self) -> Any:  # noqa: ANN401 - a pipe, which Popen's type has as optional
        return self._process.stdin

    @property
    def _stdout(self) -> Any:  # noqa: ANN401 - likewise
        return self._process.stdout

    def _give_up(self) -> None:
        self._gave_up.set()
        self._process.kill()

    def _ending(self, timeout: float | None) -> str:
        code = self._process.wait()
        if self._gave_up.is_set():
            return f"it gave no answer within {timeout:g} s, so its process was ended"
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        with self._log.open("rb") as log:
            log.seek(self._heard)
            words = log.read().decode("utf-8", "replace")
        lines = [printable(line) for line in words.splitlines() if line.strip()]
        last_words = "\n  ".join(lines[-_LAST_LINES:]) or "(none)"
        return (
            f"its process {how} before it answered; the file may be damaged, or memory too small. "
            f"Its last words:\n  {last_words}"
        )


class Parent:
    """The child's end. Its standard streams are set aside, so that nothing else reads or writes there."""

    def __init__(self) -> None:
        self._requests = os.fdopen(os.dup(0), "rb")
        self._answers = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def __iter__(self) -> Iterator[Message]:
        """Yield requests until the parent has no more, or is gone."""
        for line in self._requests:
            yield json.loads(line)

    def tell(self, message: Message) -> None:
        """Send a message."""
        self._answers.write(json.dumps(message).encode() + b"\n")
        self._answers.flush()
