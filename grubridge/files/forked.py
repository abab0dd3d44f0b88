"""A process forked off this one, for what may crash, hang or eat memory: it starts in a few milliseconds.

The child holds nothing of this process but its memory as it was: no other file or socket stays open in it,
and it ends without running anything that this process has left for its end. The two talk in JSON with its
length before it, and what the child says is taken for data like any other.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from .child_process import Ended, Message

__all__ = ["CAN_FORK", "Channel", "ForkedChild"]

CAN_FORK = hasattr(os, "fork")

_LENGTH = struct.Struct("<Q")
_LARGEST = 128 << 20
_PIECE = 1 << 20
_FATAL = [
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGTERM", "SIGXCPU")
    if hasattr(signal, name)
]
_USUAL_FILES = 1024
_QUIETLY = getattr(socket, "MSG_NOSIGNAL", 0)


class ForkedChild:
    """The parent's end. The child ends with `close`, with this object or with this process.

    Attributes:
        process: the number that the system has for the child.
    """

    def __init__(self, work: Callable[[Channel], None]) -> None:
        """Fork.

        Args:
            work: what the child does: it answers the requests that it is told. What it needs to import has
                been imported.

        Raises:
            OSError: when the system refuses the process.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                child = _fork()
            except BaseException:
                ours.close()
                raise
            if not child:
                _live(theirs, work)
        self.process = child
        self._socket = ours
        self._end = weakref.finalize(self, _end, ours, child, os.getpid())

    def tell(self, message: Message) -> None:
        """Send a request; a child that has ended does not hear it, and `hear` says so."""
        with suppress(OSError):
            self._socket.sendall(_framed(message), _QUIETLY)

    def hear(self, timeout: float) -> Message:
        """Return the answer.

        Args:
            timeout: the seconds after which the process is ended.

        Raises:
            Ended: when there is none.
        """
        deadline = time.monotonic() + timeout
        try:
            (size,) = _LENGTH.unpack(self._received(_LENGTH.size, deadline))
            message = json.loads(self._received(size, deadline)) if size <= _LARGEST else None
        except TimeoutError:
            self.close()
            raise Ended(f"it gave no answer within {timeout:g} s", late=True) from None
        except (OSError, ValueError, RecursionError):
            raise Ended(self._ending()) from None
        if not isinstance(message, dict):
            raise Ended(self._ending())
        return message

    def close(self) -> None:
        """End the process."""
        self._end()

    def _received(self, size: int, deadline: float) -> bytes:
        received = bytearray()
        while len(received) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            piece = self._socket.recv(min(size - len(received), _PIECE))
            if not piece:
                raise ConnectionResetError
            received += piece
        return bytes(received)

    def _ending(self) -> str:
        status = self._end()
        if status is not None and os.WIFSIGNALED(status):
            return f"it crashed ({signal.Signals(os.WTERMSIG(status)).name})"
        return "it ended without an answer"


class Channel:
    """The child's end."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def __iter__(self) -> Iterator[Message]:
        """Yield requests until the parent has no more, or is gone."""
        while head := self._socket.recv(_LENGTH.size, socket.MSG_WAITALL):
            (size,) = _LENGTH.unpack(head)
            yield json.loads(self._socket.recv(size, socket.MSG_WAITALL))

    def tell(self, message: Message) -> None:
        """Send an answer."""
        self._socket.sendall(_framed(message))


def _framed(message: Message) -> bytes:
    content = json.dumps(message).encode("ascii")
    return _LENGTH.pack(len(content)) + content


def _fork() -> int:
    """Fork; no signal is taken for the parent's in the child, which would unwind what is the parent's."""
    # The warning is of locks that other threads hold: the child takes none but Python's, malloc's and HDF5's,
    # which are all seen to at a fork. A filter of this module alone, because no other is safe among threads.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"grubridge\.files\.forked\Z")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    child = -1
    try:
        child = os.fork()
    finally:
        if child:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return child


def _live(connection: socket.socket, work: Callable[[Channel], None]) -> NoReturn:
    """Be the child, to the end."""
    code = 1
    try:
        _let_go(connection.fileno())
        work(Channel(connection))
        code = 0
    finally:
        os._exit(code)


def _let_go(kept: int) -> None:
    """Drop the signal handlers and open files of the parent."""
    import gc

    gc.disable()  # what it found unused may be the parent's, and closing it would write
    for number in _FATAL:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear, who then ends this process
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        if standard != kept:
            os.dup2(nothing, standard)
    for number in _open_files():
        if number > 2 and number != kept:
            with suppress(OSError):  # the listing's own
                os.close(number)


def _open_files() -> Iterable[int]:
    try:
        return [int(path.name) for path in Path("/dev/fd").iterdir()]
    except OSError:  # some jails have no such folder
        return range(_USUAL_FILES)


def _end(connection: socket.socket, child: int, owner: int) -> int | None:
    """End the child and return how it ended, where that is known; a fork of the parent leaves it alone."""
    connection.close()
    if os.getpid() != owner:
        return None
    with suppress(ProcessLookupError, ChildProcessError):  # others may collect the children of this process
        os.kill(child, signal.SIGKILL)
        return os.waitpid(child, 0)[1]
    return None
