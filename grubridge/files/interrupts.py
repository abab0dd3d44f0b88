"""Ctrl-C and `kill`, which Python raises between any two steps, and what must not be cut in two by them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["deferred_signals"]

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Let signals that would be raised here come at the end of the block.

    It is for the start of a process, which nobody could end if it had no name yet.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python raises in the main thread only
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    raising = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in raising:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in raising.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)
