"""A file that becomes shorter while a map of it is read: an error like any other, not a crash.

The system then sends SIGBUS to the very instruction that reads. Python's own handlers run between its
instructions, and this one never ends; a handler of C's kind runs at once, and does not return.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from grubridge.errors import FileFormatError

from .unfinished import remove_own

__all__ = ["end_on_truncation"]

_handlers: list[object] = []
"""What the system was given, which has to stay alive."""


def end_on_truncation(end: Callable[[Exception], int]) -> None:
    """Let this process end when a file that it reads is cut off; the target stays what it was.

    It is for programs that do one thing, such as the command line: nothing is unwound.

    Args:
        end: tells the user of the error, and returns the exit code.
    """
    if not hasattr(signal, "SIGBUS"):
        return  # where files that are mapped cannot become shorter
    import ctypes

    process = os.getpid()

    def ended(number: int) -> None:
        if os.getpid() != process:  # one that was forked from it, which has its own ways
            os._exit(128 + number)
        remove_own()
        os._exit(
            end(
                FileFormatError(
                    "a file became shorter while it was read; wait until the program that writes it is done, "
                    "and try again"
                )
            )
        )

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(ended)
    _handlers.append(handler)
    ctypes.CDLL(None).signal(int(signal.SIGBUS), handler)
