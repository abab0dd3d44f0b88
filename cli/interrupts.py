"""Signals that ask for the end: they unwind the run, which ends its children and removes its litter.

Nothing large is imported here, so that little of a run comes before the first signal that is handled.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any, NoReturn

__all__ = ["Stopped", "stop_if_asked", "unwind_on_signals"]

_SOON = 0.01  # seconds

_asked: list[int] = []
"""The signals that have raised Stopped."""


class Stopped(BaseException):
    """A signal asked for the end, whose number it has; no KeyboardInterrupt, which typer ends in its ways."""


def unwind_on_signals() -> None:
    """Let Ctrl-C, `kill` and a closed terminal raise Stopped, once."""
    heard = [number for number in _signals() if signal.getsignal(number) is not signal.SIG_IGN]

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        for each in heard:
            signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C must not cut the cleaning short
        _asked.append(number)
        raise Stopped(number)

    def listen() -> None:
        for number in heard:
            signal.signal(number, stop)

    def again(lost: Any) -> None:  # noqa: ANN401 - UnraisableHookArgs exists for type checkers only
        """The signal comes again where Python cannot raise, as in a finaliser or a callback of its own."""
        if not isinstance(lost.exc_value, Stopped):
            sys.__unraisablehook__(lost)
            return
        import threading

        listen()
        main, (number,) = threading.main_thread().ident, lost.exc_value.args
        threading.Timer(_SOON, signal.pthread_kill, (main, number)).start()

    if hasattr(signal, "pthread_kill"):  # Windows has no way to wake the main thread
        sys.unraisablehook = again
    listen()


def stop_if_asked() -> None:
    """Raise Stopped if it was raised before: modules written in C may have made another exception of it."""
    if _asked:
        raise Stopped(_asked[-1])


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
